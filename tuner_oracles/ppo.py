"""The papers' controller as a KerasTuner oracle: PPO on the log-probabilities of its proposals.

A result may arrive late and out of order: its proposal carries the log-probabilities with which
it was sampled, so the importance ratio is taken against the policy that proposed it, and a
proposal of a policy that was updated too often since is dropped.
"""

import dataclasses
import hashlib
import io
import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from tuner_oracles.durable import DurableOracle
from tuner_oracles.ledger import write_atomically
from tuner_oracles.predictor import Guide, PredictorSettings, forecast_record
from tuner_oracles.searcher import Proposal, Searcher, Vector

if TYPE_CHECKING:
    from tuner_oracles.controller import Controller

_CHECKPOINT_EVERY = 16
_CHECKPOINTS = 2
_IMAGINED = 1
"""The last part of the numbers of imagined samples, which those of proposals do not have."""


@dataclass(frozen=True)
class PPOSettings:
    """The settings of PPO; defaults are the papers', or their code's where the papers give none.

    - ``units``, ``layers``: the size of the LSTM. ``clip``: the bound on the importance ratio of
      each token.
    - ``learning_rate``: Adam's. ``entropy``: the weight of the entropy bonus. ``gradient_clip``:
      the largest norm of the gradient.
    - ``baseline_decay``: the decay of the running mean of rewards, which advantages are relative
      to; ``scale_rewards`` also divides them by the running standard deviation.
    - ``ranked``: the number of latest rewards among which a reward is ranked; its advantage is the
      normal score of its rank, whatever mean and deviation are. 0 takes the running mean.
    - ``window``: the number of latest episodes to train on, after each ``every`` results, in
      ``passes`` over them with ``minibatch`` episodes per Adam step. The authors take 100 steps
      of one episode after every result; five of twenty cost a twentieth.
    - ``max_lag``: the number of updates of its policy after which a result is dropped.
    - ``repeat_cost``: see ``PPOSearcher.learn``.
    - ``guided_from``: the number of results from which a predictor chooses among ``candidates``
      samples of the policy and ``neighbours`` of the best vectors, see ``PredictorSettings``; 0
      tries every sample of the policy.
    - ``imagined``: the number of fresh samples of the policy on whose predicted rewards it trains
      after each update, in one Adam step; 0 trains on results alone.
    """

    units: int = 100
    layers: int = 2
    clip: float = 0.1
    learning_rate: float = 1e-4
    entropy: float = 0.0
    gradient_clip: float = 2.0
    baseline_decay: float = 0.95
    scale_rewards: bool = False
    window: int = 100
    every: int = 1
    minibatch: int = 20
    passes: int = 1
    max_lag: int = 100
    repeat_cost: float = 0.5
    ranked: int = 0
    guided_from: int = 0
    candidates: int = 24
    neighbours: int = 48
    parents: int = 6
    climbs: int = 2
    temperature: float = 0.3
    imagined: int = 0

    @property
    def predictor(self) -> PredictorSettings | None:
        """The settings of the predictor, None without it."""
        if self.guided_from == 0:
            return None
        names = (field.name for field in dataclasses.fields(PredictorSettings))
        return PredictorSettings(**{name: getattr(self, name) for name in names})

    def __post_init__(self) -> None:
        for name in ("units", "layers", "window", "every", "minibatch", "passes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected an integer of 1 or more")
        for name in ("clip", "learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number above 0")
        if not 0 <= self.baseline_decay < 1:
            raise ValueError(f"baseline_decay is {self.baseline_decay}, expected 0 up to 1")
        if self.imagined and not self.guided_from:
            raise ValueError(f"imagined is {self.imagined}, expected 0, as guided_from is 0")
        for name in ("entropy", "max_lag", "repeat_cost", "ranked", "imagined"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, expected a number of 0 or more"
                )
        if self.minibatch > self.window:
            raise ValueError(
                f"minibatch is {self.minibatch}, expected at most the window of {self.window}"
            )
        _ = self.predictor  # which checks its settings


PRESETS = {
    "fast": PPOSettings(
        clip=0.2,
        learning_rate=4e-3,
        entropy=0.02,
        gradient_clip=1.0,
        ranked=64,
        window=8,
        every=4,
        minibatch=8,
        passes=4,
        max_lag=16,
        guided_from=12,
    ),
    "paper": PPOSettings(),
}


class Episode(NamedTuple):
    """One proposal with its reward, as the controller learns from it; None for a failure."""

    tokens: Vector
    log_probs: Sequence[float]
    reward: float | None


class Baseline:
    """The running mean and spread of the rewards, which each reward is compared with."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.mean = math.nan
        self._variance = 0.0

    def update(self, reward: float) -> None:
        """Adds a reward; the first one is the mean."""
        if math.isnan(self.mean):
            self.mean = reward
            return
        deviation = reward - self.mean
        self.mean += (1 - self.decay) * deviation
        self._variance = self.decay * (self._variance + (1 - self.decay) * deviation * deviation)

    @property
    def spread(self) -> float:
        """The standard deviation, or 1 while all rewards are equal."""
        return math.sqrt(self._variance) or 1.0


class PPOSearcher(Searcher):
    """Samples from the controller's policy and trains it on the latest rewards.

    The controller is built at its first use. Its weights are saved after some updates; a kill
    between two checkpoints costs time only, as the updates since are computed again.
    """

    learns_from_known = True

    def __init__(self, config: PPOSettings) -> None:
        self.config = config
        self.version = 0
        self.dropped = 0
        self.baseline = Baseline(config.baseline_decay)
        self._window: deque[Episode] = deque(maxlen=config.window)
        self._latest: deque[float] = deque(maxlen=config.ranked or 1)
        self._guide: Guide | None = None
        self._fresh = self._known = self._since_checkpoint = 0
        self._worst = math.inf
        self._repeats: Counter[Vector] = Counter()
        self._built: Controller | None = None
        self._checkpoint: tuple[int, list[np.ndarray]] | None = None

    def start(self, tokens: Sequence[Any], seed: int) -> None:
        """Stores the tokens: the controller is built when it is first needed."""
        super().start(tokens, seed)
        self._tokens = tokens
        if self.sizes and (predictor := self.config.predictor) is not None:
            self._guide = Guide(predictor, self)

    def settings(self) -> dict[str, Any]:
        """Returns all settings of PPO."""
        return dataclasses.asdict(self.config)

    def propose(self, number: int) -> Proposal:
        """Samples from the policy; stores the log-probability of each token in the proposal."""
        if not self.sizes:
            return Proposal(())
        if self._guide is not None and self._guide.is_ready:
            return self._guided(self._guide, number)
        tokens, log_probs = self._controller.sample([number])
        policy = {"log_probs": log_probs[0].tolist(), "version": self.version}
        return Proposal(tuple(tokens[0].tolist()), policy)

    def _guided(self, guide: Guide, number: int) -> Proposal:
        """Returns what promises most of the policy's samples and of the neighbours of the best."""
        tokens, _ = self._controller.sample(
            [(number, index) for index in range(self.config.candidates)]
        )
        forecast = guide.chosen(number, [tuple(row) for row in tokens.tolist()])
        proposal = self.as_proposal(forecast.vector)
        return Proposal(proposal.tokens, proposal.policy | forecast_record(forecast))

    def as_proposal(self, vector: Vector) -> Proposal:
        """Adds the vector's present log-probabilities, so that the policy learns from it too."""
        if not self.sizes:
            return Proposal(vector)
        log_probs = self._controller.log_probs(np.asarray([vector]))
        return Proposal(vector, {"log_probs": log_probs[0].tolist(), "version": self.version})

    def learn(self, proposal: Proposal, reward: float, *, known: bool = False) -> None:
        """Adds an episode; those of known reward make up half of an update at most.

        Each repeat of a vector yields ``repeat_cost`` standard deviations less than the previous
        one: at full reward the policy reinforces its own repeats until it proposes nothing else.
        """
        self._worst = min(self._worst, reward)
        if not known:
            self._remember(proposal.tokens, reward)
        if not proposal.policy or (known and self._known >= max(1, self.config.every // 2)):
            return
        self._known += known
        self.baseline.update(reward)
        if known:
            self._repeats[proposal.tokens] += 1
            cost = self.config.repeat_cost * self.baseline.spread
            reward -= cost * self._repeats[proposal.tokens]
        self._add_episode(proposal, reward)

    def learn_failure(self, proposal: Proposal) -> None:
        """Adds an episode worse than all completed ones; leaves the baseline as it is."""
        self._remember(proposal.tokens, None)
        if proposal.policy and self._worst < math.inf:
            self._add_episode(proposal, None)

    def checkpoint(self, folder: Path) -> dict[str, Any] | None:
        """Saves the controller after an update if enough trials have ended since the last time."""
        if self._built is None or self._fresh or self._since_checkpoint < _CHECKPOINT_EVERY:
            return None
        self._since_checkpoint = 0
        content = io.BytesIO()
        np.savez(content, *self._built.arrays())
        path = folder / f"controller-{self.version:06d}.npz"
        write_atomically(path, content.getvalue(), sync=True)
        for old in sorted(folder.glob("controller-*.npz"))[:-_CHECKPOINTS]:
            old.unlink()
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        return {"file": path.name, "sha256": digest, "version": self.version}

    def recover(self, folder: Path, records: Sequence[dict[str, Any]]) -> None:
        """Loads the newest intact checkpoint; without one all updates are computed again."""
        for record in reversed(records):
            path = folder / Path(record["file"]).name  # never outside, whatever the record says
            if not path.exists():
                continue
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == record["sha256"]:
                with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                    self._checkpoint = record["version"], list(arrays.values())
                return

    def warm_up(self) -> None:
        """Traces sampling and training, whose first calls take seconds, and changes nothing."""
        from tuner_oracles.controller import Batch

        if not self.sizes:
            return
        saved = self._controller.arrays()
        tokens, log_probs = self._controller.sample([0] * self.config.minibatch)
        self._controller.sample([0])
        self._controller.train(Batch(tokens, log_probs, np.zeros(len(tokens))))
        self._controller.restore(saved)

    @property
    def _controller(self) -> "Controller":
        if self._built is None:
            from tuner_oracles.controller import Controller

            names = ("units", "layers", "clip", "learning_rate", "entropy", "gradient_clip")
            self._built = Controller(
                self._tokens, self.seed, **{name: getattr(self.config, name) for name in names}
            )
        return self._built

    def _remember(self, tokens: Vector, reward: float | None) -> None:
        self._latest.append(-math.inf if reward is None else reward)
        if self._guide is not None:
            self._guide.predictor.add(tokens, reward)

    def _add_episode(self, proposal: Proposal, reward: float | None) -> None:
        if self.version - proposal.policy["version"] > self.config.max_lag:
            self.dropped += 1
            return
        self._window.append(Episode(proposal.tokens, proposal.policy["log_probs"], reward))
        self._fresh += 1
        self._since_checkpoint += 1
        if self._fresh >= self.config.every and len(self._window) >= self.config.minibatch:
            self._update()
            self._fresh = self._known = 0

    def _update(self) -> None:
        """Trains on the window, unless a loaded checkpoint already includes this update."""
        self.version += 1
        if self._checkpoint is not None:
            version, arrays = self._checkpoint
            if self.version == version:
                self._controller.restore(arrays)
                self._checkpoint = None
            return
        episodes = list(self._window)
        rng = np.random.default_rng([self.seed, 2, self.version])
        for _ in range(self.config.passes):
            order = rng.permutation(len(episodes))
            for start in range(0, len(order) - self.config.minibatch + 1, self.config.minibatch):
                chosen = order[start : start + self.config.minibatch]
                self._controller.train(self._batch([episodes[index] for index in chosen]))
        if self.config.imagined and self._guide is not None and self._guide.is_ready:
            self._imagine(self._guide)

    def _imagine(self, guide: Guide) -> None:
        """Trains on samples of the policy and their predicted rewards.

        The less is known of a vector, the nearer is its forecast to the middle of all rewards,
        which teaches nothing.
        """
        from tuner_oracles.controller import Batch

        numbers = [(self.version, index, _IMAGINED) for index in range(self.config.imagined)]
        tokens, log_probs = self._controller.sample(numbers)
        rewards = guide.rewards([tuple(row) for row in tokens.tolist()])
        self._controller.train(Batch(tokens, log_probs, self._advantages(rewards)))

    def _batch(self, episodes: Sequence[Episode]) -> Any:
        from tuner_oracles.controller import Batch

        tokens, log_probs, rewards = zip(*episodes, strict=True)
        failed = self._worst - self.baseline.spread  # below every reward so far, of any scale
        failed = -math.inf if self.config.ranked else failed
        filled = np.asarray([failed if reward is None else reward for reward in rewards])
        return Batch(
            np.asarray(tokens), np.asarray(log_probs, np.float32), self._advantages(filled)
        )

    def _advantages(self, rewards: np.ndarray) -> np.ndarray:
        """Returns how far rewards are above the latest ones, by rank or from the running mean."""
        if not self.config.ranked:
            spread = self.baseline.spread if self.config.scale_rewards else 1.0
            return (rewards - self.baseline.mean) / spread
        latest = np.asarray(self._latest)[:, None]
        below = (latest < rewards).sum(axis=0) + (latest == rewards).sum(axis=0) / 2
        return special.ndtri(np.clip(below, 0.5, len(latest) - 0.5) / len(latest))


class PPOOracle(DurableOracle):
    """A recurrent controller trained by PPO, as in both papers, for any discrete HyperModel.

    ``preset``: "fast" learns within hundreds of trials, "paper" has the papers' settings, which
    need thousands. Any field of ``PPOSettings`` may be passed and overrides the preset's. Other
    arguments, and the promises on threads, processes and kills, are those of ``DurableOracle``;
    the controller always runs on the CPU of the process that owns the search::

        oracle = PPOOracle("val_loss", max_trials=300, preset="fast", entropy=0.05)
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        preset: str = "fast",
        **arguments: Any,
    ):
        if preset not in PRESETS:
            raise ValueError(f"preset is {preset!r}, expected {' or '.join(map(repr, PRESETS))}")
        fields = {field.name for field in dataclasses.fields(PPOSettings)}
        overrides = {name: arguments.pop(name) for name in fields & set(arguments)}
        config = dataclasses.replace(PRESETS[preset], **overrides)
        super().__init__(PPOSearcher(config), objective, max_trials, **arguments)
