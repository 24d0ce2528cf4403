"""Known faults that the tests are to find, each a text of a file and what replaces it."""

from collections.abc import Sequence
from dataclasses import dataclass

TWO_STAGE, LEARNER = "nas_tf/training/two_stage.py", "nas_tf/training/learner.py"
AGENT, CONTROLLER = "tuner_oracles/agent.py", "tuner_oracles/controller.py"
PPO, PREDICTOR = "tuner_oracles/ppo.py", "tuner_oracles/predictor.py"
OF_STAGES = ("tests/training/test_two_stage.py",)
OF_POLICY = ("tests/tuner_oracles/test_controller.py", "tests/tuner_oracles/test_ppo.py")
OF_LEARNER = ("tests/training/test_learner.py",)
OF_SECOND_SEEDS = ("tests/search/test_second_seed.py",)
OF_PREDICTOR = ("tests/tuner_oracles/test_predictor.py",)


@dataclass(frozen=True)
class Mutation:
    """A text of a file and what replaces it, and the tests that are to find it."""

    name: str
    path: str
    old: str
    new: str
    tests: Sequence[str]


MUTATIONS = (
    Mutation(
        "stage two trains nothing",
        TWO_STAGE,
        "loss = float(learner.step(inputs, target, rates, teacher))",
        "rates = {part: rate * (self._number == 1) for part, rate in rates.items()}\n"
        "            loss = float(learner.step(inputs, target, rates, teacher))",
        OF_STAGES,
    ),
    Mutation(
        "stage two leaves the encoder",
        TWO_STAGE,
        "loss = float(learner.step(inputs, target, rates, teacher))",
        'rates = {part: rate * (part != "encoder") for part, rate in rates.items()}\n'
        "            loss = float(learner.step(inputs, target, rates, teacher))",
        OF_STAGES,
    ),
    Mutation(
        "the encoder has the decoder's optimiser",
        TWO_STAGE,
        "optimisers={part: getattr(settings, part) for part in parts}",
        "optimisers={part: settings.decoder for part in parts}",
        OF_STAGES,
    ),
    Mutation(
        "stage two's result is discarded",
        TWO_STAGE,
        "state = learner.state()\n        self._validate(stage, state)",
        "state = learner.state() if stage.state is None else stage.state\n"
        "        self._validate(stage, state)",
        OF_STAGES,
    ),
    Mutation(
        "no auxiliary loss",
        TWO_STAGE,
        "auxiliary_weight=settings.auxiliary_weight",
        "auxiliary_weight=0.0",
        OF_STAGES,
    ),
    Mutation(
        "steps that overflow in float16 count",
        LEARNER,
        "tf.cond(finite, apply, lambda: finite)",
        "apply()",
        ("tests/training/test_loss_scale.py",),
    ),
    Mutation(
        "the loss of float16 has no factor",
        "nas_tf/training/loss_scale.py",
        "_FIRST = 2.0**15",
        "_FIRST = 1.0",
        ("tests/training/test_loss_scale.py",),
    ),
    Mutation(
        "running statistics keep those of the initialisation",
        LEARNER,
        "share = (1 - recipe.momentum) / (1 - tf.pow(recipe.momentum, steps))",
        "share = 1 - recipe.momentum",
        OF_LEARNER,
    ),
    Mutation(
        "averaged statistics keep those of the initialisation",
        "nas_tf/training/optimizers.py",
        "tf.where(untrained, 1.0, 1 - decay)",
        "1 - decay",
        OF_LEARNER,
    ),
    Mutation(
        "averaged statistics forget those of a trained network",
        "nas_tf/training/optimizers.py",
        "tf.reduce_all((average == 0) | (average == 1))",
        "tf.reduce_all(average == average)",
        OF_LEARNER,
    ),
    Mutation("no Polyak average", TWO_STAGE, "polyak=settings.polyak", "polyak=None", OF_STAGES),
    Mutation(
        "the policy is blind to the previous token",
        AGENT,
        "self._body(\n            observation, step_type",
        "self._body(\n            {**observation, 'previous': observation['position']}, step_type",
        OF_POLICY,
    ),
    Mutation(
        "no entropy bonus",
        AGENT,
        "entropy_regularization=entropy",
        "entropy_regularization=0.0",
        OF_POLICY,
    ),
    Mutation(
        "gradients are not clipped",
        AGENT,
        "gradient_clipping=gradient_clip",
        "gradient_clipping=None",
        OF_POLICY,
    ),
    Mutation(
        "advantages are not scaled",
        PPO,
        "self.baseline.spread if self.config.scale_rewards else 1.0",
        "1.0",
        OF_POLICY,
    ),
    Mutation(
        "the window is not shuffled",
        PPO,
        "order = rng.permutation(len(episodes))",
        "order = np.arange(len(episodes))",
        OF_POLICY,
    ),
    Mutation(
        "max_lag is off by one",
        PPO,
        "> self.config.max_lag:",
        ">= self.config.max_lag:",
        OF_POLICY,
    ),
    Mutation(
        "a failure has a rank above the worst",
        PPO,
        "failed = -math.inf if self.config.ranked else failed",
        "failed = self._worst - self.baseline.spread",
        OF_POLICY,
    ),
    Mutation(
        "the gate's chance falls before the draw",
        "nas_tf/training/gate.py",
        "        chance = self._random() < self.probability\n"
        "        self.probability *= self._settings.anneal\n",
        "        self.probability *= self._settings.anneal\n"
        "        chance = self._random() < self.probability\n",
        ("tests/training/test_gate.py",),
    ),
    Mutation(
        "a joint at the threshold is missed",
        "nas_tf/tasks/pose_metrics.py",
        "distance <= threshold",
        "distance < threshold",
        ("tests/tasks/test_pose.py",),
    ),
    Mutation(
        "a record is written after its effect",
        "tuner_oracles/recorded.py",
        "self._apply(self._ledger.append(kind, **fields))",
        "self._apply({'kind': kind, **fields})\n            self._ledger.append(kind, **fields)",
        ("tests/tuner_oracles/test_durable.py",),
    ),
    Mutation(
        "an attempt may outlast the deadline",
        "serving/client.py",
        "min(retry.attempt, max(left, 1e-3))",
        "retry.attempt",
        ("tests/serving/test_client.py",),
    ),
    Mutation(
        "the predictor learns rewards and not ranks",
        PREDICTOR,
        "return special.ndtri((stats.rankdata(values) - 0.5) / len(values))",
        "return values - np.mean(values[np.isfinite(values)])",
        OF_PREDICTOR,
    ),
    Mutation(
        "the predictor has no uncertainty",
        PREDICTOR,
        "temperature * np.sqrt(process.variance) * noise",
        "0.0 * noise",
        OF_PREDICTOR,
    ),
    Mutation(
        "scale and noise are never chosen",
        PREDICTOR,
        "self._chosen = count, max(found, key=found.__getitem__)",
        "self._chosen = count, min(found)",
        OF_PREDICTOR,
    ),
    Mutation(
        "what was tried is a candidate again",
        PREDICTOR,
        "new = [vector for vector in distinct if vector not in self.predictor]",
        "new = distinct",
        OF_PREDICTOR,
    ),
    Mutation(
        "what is not worth a trial is proposed",
        PREDICTOR,
        "next((item for item in ranked if is_worthwhile(item.vector)), ranked[0])",
        "ranked[0] if is_worthwhile else ranked[0]",
        OF_PREDICTOR,
    ),
    Mutation(
        "a second training has the first seed",
        "nas_tf/search/tuner.py",
        "seed=config.seed + (first is not None)",
        "seed=config.seed",
        OF_SECOND_SEEDS,
    ),
    Mutation(
        "a second training asks the gate again",
        "nas_tf/search/tuner.py",
        "gate = second_seed.SameGate(first)",
        "pass",
        OF_SECOND_SEEDS,
    ),
    Mutation(
        "networks rank by their first seed",
        "nas_tf/runs/record.py",
        "key=lambda trial: -means[trial.trial]",
        "key=lambda trial: -trial.reward",
        OF_SECOND_SEEDS,
    ),
    Mutation(
        "limits on size are ignored",
        "nas_tf/jobs/oracles.py",
        "if not self._is_limited:",
        "if True:",
        ("tests/jobs/test_oracle_arguments.py",),
    ),
    Mutation(
        "a late worker ends after any number of trials",
        "tuner_oracles/worker.py",
        'return self._mark.read_text(encoding="ascii") == f"{self._trials}\\n"',
        "return self._mark.exists()",
        ("tests/tuner_oracles/test_distributed.py",),
    ),
    Mutation(
        "a late worker waits as long as any other",
        "tuner_oracles/worker.py",
        "seconds = _COMPLETE_SECONDS if self._is_complete() else _CALL_SECONDS",
        "seconds = _CALL_SECONDS",
        ("tests/tuner_oracles/test_distributed.py",),
    ),
    Mutation(
        "a chief leaves the mark of an earlier search",
        "tuner_oracles/distributed.py",
        "mark.unlink(missing_ok=True)",
        "pass",
        ("tests/tuner_oracles/test_distributed.py",),
    ),
    Mutation(
        "stored targets have the size of the first tap",
        "nas_tf/training/split_cache.py",
        "target_size=target_size,",
        "target_size=None,",
        ("tests/training/test_encoder_choice.py",),
    ),
    Mutation(
        "the training that a study compares with has no stage two",
        "nas_tf/search/study.py",
        "ONE_STAGE[1:] if has_stage_two else ONE_STAGE",
        "ONE_STAGE",
        ("tests/search/test_study.py",),
    ),
    Mutation(
        "trainings with other seeds are other networks",
        "nas_tf/report/trainings.py",
        'return key != "seed" and key',
        "return key",
        ("tests/report/test_trainings.py",),
    ),
    Mutation(
        "negative factors pass a maximum",
        "nas_tf/networks/fused.py",
        'only_positive |= source.most == 0 or source.op.kind == "max_pool"',
        "only_positive |= source.most == 0",
        ("tests/serving/test_folding.py",),
    ),
    Mutation(
        "a damaged list hides checkpoints",
        "nas_tf/training/checkpoint.py",
        "names = self._complete()",
        "names = [Path(each).name for each in self._manager.checkpoints if self._writes]",
        ("tests/training/test_checkpoint.py",),
    ),
    Mutation(
        "sizes of pictures are computed before threads are set",
        "nas_tf/training/own_data.py",
        "    hardware.use_threads(config.threads)\n"
        "    return _with_batches(_with_view(config, in_full=in_full))",
        "    config = _with_batches(_with_view(config, in_full=in_full))\n"
        "    hardware.use_threads(config.threads)\n    return config",
        ("tests/training/test_preflight.py",),
    ),
    Mutation(
        "an interrupted step of the architecture is repeated",
        "nas_tf/training/supernet_training.py",
        "if others is not None and int(self._others.steps) == self._steps_with_others:",
        "if others is not None:",
        ("tests/training/test_supernet_training.py",),
    ),
    Mutation(
        "changed pictures are accepted",
        "nas_tf/training/own_files.py",
        "    return None if entry is None else [entry[0], entry[2]]",
        "    return None if entry is None else [entry[0]]",
        ("tests/training/test_own_files.py",),
    ),
    Mutation(
        "a trial that waits is lost when all are killed",
        "tuner_oracles/recorded.py",
        "            self._retry_queue.append(lost.trial_id)\n",
        "            pass\n",
        ("tests/tuner_oracles/test_leases.py",),
    ),
)
