"""Every key of a configuration: its type, its range, its default, and what it means.

One ``Config`` drives a search, the evaluation of one genotype, full training and transfer.
The papers' ablations (Polyak averaging, distillation, auxiliaries) are values of it, and so are
the recipes of the other papers: nothing here is a second code path.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

Count: TypeAlias = Annotated[int, Meta(ge=1)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
NotNegative: TypeAlias = Annotated[float, Meta(ge=0)]
Share: TypeAlias = Annotated[float, Meta(gt=0, lt=1)]
Change: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Part: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
Size: TypeAlias = tuple[Count, Count]
Oracle: TypeAlias = Literal["ppo", "random", "near-best", "evolution", "bayesian", "hyperband"]
Seed: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: immutable, and an unknown key is an error."""


class Resize(Section):
    """The size that pictures are brought to first: one of these rules.

    ``longer`` and ``shorter`` are pixels of that side, ``exact`` is height and width whatever the
    proportions were; ``longer_at_most`` shrinks larger pictures only.
    """

    longer: Count | None = None
    shorter: Count | None = None
    longer_at_most: Count | None = None
    exact: Size | None = None


class View(Section):
    """How pictures become inputs; what is null is the data set's own, or follows from its sizes.

    ``resize`` comes first, in training, scoring and serving alike. ``input`` is the size at which
    a network scores and ships: smaller pictures are padded to it, larger ones are covered by
    overlapping windows. ``crop`` is what a training step sees, after scaling by a factor drawn
    from ``scale``. The others are random changes of training: a mirror image, degrees of
    rotation, and the largest change of light and colour either way.
    """

    resize: Resize | Literal["none"] | None = None
    input: Size | None = None
    crop: Size | None = None
    scale: tuple[Positive, Positive] | None = None
    mirror: bool | None = None
    rotate: Annotated[float, Meta(ge=0, le=180)] | None = None
    brightness: Change | None = None
    contrast: Change | None = None
    saturation: Change | None = None
    hue: Annotated[float, Meta(ge=0, le=0.5)] | None = None


class Data(Section):
    """Which examples, how they are seen, and how the training split is divided.

    ``meta_val`` is the share of the training split that scores candidates; the validation split
    is never seen by a search. ``search_views`` says through which of the data set's views
    candidates see it: those of a search, or the larger ones of full training and final scores.
    """

    name: str
    target: str | None = None
    meta_val: Share = 0.1
    split_seed: Seed = 1
    train_split: str = "train"
    val_split: str = "val"
    search_views: Literal["search", "full"] = "search"
    view: View = View()


class Task(Section):
    """How the data set's target is learned and scored; ``None`` takes the data set's own way.

    ``background`` is a class that is left out of the reward, by its name or its index, and
    ``class_weights`` are factors of the classes in the loss. ``least`` and ``most`` bound depths
    in metres before they are scored. ``score`` says how keypoints are scored, ``sigmas`` are the
    falloffs of OKS, one a joint, and ``unscored`` are joints that PCKh leaves out.
    """

    background: Annotated[int, Meta(ge=0)] | str | None = None
    class_weights: tuple[NotNegative, ...] | None = None
    least: Positive | None = None
    most: Positive | None = None
    score: Literal["pckh", "oks"] | None = None
    sigmas: tuple[Positive, ...] | None = None
    unscored: tuple[Annotated[int, Meta(ge=0)] | str, ...] | None = None


TASK_KEYS = {
    "label": ("background", "class_weights"),
    "depth": ("least", "most"),
    "keypoints": ("score", "sigmas", "unscored"),
}
"""Which keys of ``task`` a target has."""


class Network(Section):
    """What is not part of a genotype; ``None`` takes the paper's value for the space and phase.

    ``weights`` of the encoder: ``imagenet`` for photographs, ``drawn`` for drawn scenes (trained
    by us, with ``alpha`` 0.35), a file, or null for random ones.
    """

    width: Annotated[int, Meta(ge=1, le=4096)] | None = None
    sep_repeats: Annotated[int, Meta(ge=1, le=8)] | None = None
    auxiliary: Literal["cell", "classifier", "none"] | None = None
    alpha: float = 1.0
    weights: str | None = "imagenet"


class Optimiser(Section):
    """How one part of a network (encoder or decoder) learns.

    ``weight_decay`` is an L2 term in the gradient; ``clip`` bounds the gradient's global norm.
    """

    kind: Literal["adam", "sgd"] = "adam"
    learning_rate: Positive = 3e-3
    momentum: Part = 0.9
    beta_2: Share = 0.999
    epsilon: Positive = 1e-8
    weight_decay: Part = 1e-5
    clip: Positive | None = 3.0


class Schedule(Section):
    """How learning rates fall over a stage: poly to zero, by ``factor`` at shares, or not.

    With ``span`` 2, poly would come to zero after twice the stage, which ends half-way.
    """

    kind: Literal["constant", "poly", "step"] = "constant"
    power: Positive = 0.9
    span: Annotated[float, Meta(ge=1)] = 1.0
    at: tuple[Share, ...] = ()
    factor: Share = 0.1
    warmup_steps: Annotated[int, Meta(ge=0)] = 0


class StageOne(Section):
    """The decoder alone, on cached features of ``views`` augmented views an image."""

    epochs: Count = 5
    batch: Count = 16
    views: Count = 4
    crop: Size | None = None
    decoder: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    polyak: Share | None = 0.9
    distillation: NotNegative = 0.3
    auxiliary_weight: NotNegative = 0.15


class StageTwo(Section):
    """Encoder and decoder end to end, without a teacher."""

    epochs: Count = 1
    batch: Count = 16
    crop: Size | None = None
    encoder: Optimiser = Optimiser(kind="sgd", learning_rate=1e-3)
    decoder: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    polyak: Share | None = 0.99
    auxiliary_weight: NotNegative = 0.15


class Gate(Section):
    """Who goes on to stage two.

    ``paper``: better than the running mean, else with ``probability`` that is multiplied by
    ``anneal`` after every rejected chance. ``authors``: the ratio test of the released code.
    ``open``: everybody.
    """

    policy: Literal["paper", "authors", "open"] = "paper"
    probability: Annotated[float, Meta(ge=0, le=1)] = 0.9
    anneal: Annotated[float, Meta(gt=0, le=1)] = 0.99


class Target(Section):
    """What a cost is wanted to stay below, and how dear it is to exceed it.

    Beyond the target the reward is multiplied by (cost / target) to the power of -exponent.
    """

    target: Positive
    exponent: Positive = 0.07


class Targets(Section):
    """Soft limits, of the network as shipped; null for none (MnasNet, arXiv 1807.11626)."""

    params: Target | None = None
    madds: Target | None = None
    latency_ms: Target | None = None


class Search(Section):
    """Who proposes candidates, how many are tried, and what their costs do to the reward.

    ``preset`` is of ``ppo``: ``fast`` for hundreds of trials, ``paper`` for the papers' thousands.
    ``begin_with`` is another run's folder, whose ``begin_count`` best genotypes are tried first.
    ``kept`` is of how many of the best trials the weights are kept. ``latency`` is a table that
    ``nas-tf profile-ops`` made, or ``tflite`` to time every candidate on this machine.
    ``tensorboard`` writes curves, figures by token and pictures of the best for it, where it is
    installed.
    """

    oracle: Oracle = "ppo"
    preset: Literal["fast", "paper"] = "fast"
    trials: Count = 100
    begin_with: str | None = None
    begin_count: Count = 10
    kept: Count = 5
    tensorboard: bool = True
    targets: Targets = Targets()
    latency: str | None = None


class Limits(Section):
    """What a candidate may cost; beyond one it is scored at ``floor`` with the reason.

    Parameters, multiply-adds and latency are those of the deployed network, told before it is
    trained; latency by ``search.latency``. Memory is what this process may hold while training;
    seconds are those of the candidate.
    """

    params: Count | None = None
    madds: Count | None = None
    latency_ms: Positive | None = None
    memory_gib: Positive | None = None
    seconds: Positive | None = None
    floor: Part = 0.0


class FullStage(Section):
    """One stage of full training; ``data`` defaults to the experiment's training split."""

    epochs: Count
    batch: Count = 8
    data: str | None = None
    split: str | None = None
    crop: Size | None = None
    encoder: Optimiser = Optimiser(kind="sgd", learning_rate=1e-3, clip=None)
    decoder: Optimiser = Optimiser(kind="adam", learning_rate=3e-3, clip=None)
    schedule: Schedule = Schedule()
    auxiliary_weight: NotNegative = 0.15


class Full(Section):
    """Full training: its stages, and what holds over all of them.

    ``freeze_batch_norm`` fixes statistics and halves learning rates half-way through the last
    stage. ``loss_at`` says at whose resolution the loss is taken.
    """

    stages: Annotated[tuple[FullStage, ...], Meta(min_length=1)]
    freeze_batch_norm: bool = False
    polyak: Share | None = None
    loss_at: Literal["target", "logits"] = "logits"
    validate_every: Count = 1
    save_minutes: Positive = 2.0


class Evaluation(Section):
    """How a finished network is scored: at which scales, and with mirror images or not."""

    batch: Count = 8
    scales: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (1.0,)
    flip: bool = False


class Config(Section):
    """A whole configuration file.

    ``precision`` ``auto`` takes bfloat16 where the processor gains by it. ``threads`` None takes
    all cores for one candidate.
    """

    space: Literal["auxcell", "template", "dpc"]
    data: Data
    task: Task = Task()
    network: Network = Network()
    stage_one: StageOne = StageOne()
    gate: Gate = Gate()
    stage_two: StageTwo | None = field(default_factory=StageTwo)
    teacher: str | None = None
    limits: Limits = Limits()
    search: Search = Search()
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    seed: Seed = 1
    full: Full = Full(stages=(FullStage(epochs=30),))
    evaluation: Evaluation = Evaluation()
