"""The configuration schema: type, range, default and meaning of every key.

One ``Config`` drives a search, the evaluation of a genotype, full training and transfer.
The papers' ablations (Polyak averaging, distillation, auxiliaries) are values of it, and so are
the recipes of the other papers: none of them is a second code path.
"""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, field

from nas_tf.config.degradation import Degradation
from nas_tf.config.section import Change, Count, NotNegative, Part, Positive, Section, Share

Size: TypeAlias = tuple[Count, Count]
OracleKey: TypeAlias = str | dict[str, str | int | float | bool]
"""An oracle by its name, or with arguments too: those of its section in ``config.oracles``."""
SpaceKey: TypeAlias = str | dict[str, Any]
"""A space by its name, or with its arguments too; ``spaces.get`` returns the space."""
Seed: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Resize(Section):
    """The rule by which pictures are resized first; exactly one key is set.

    ``longer`` and ``shorter`` are the length of that side in pixels, ``exact`` is height and width
    regardless of the proportions; ``longer_at_most`` only shrinks larger pictures.
    """

    longer: Count | None = None
    shorter: Count | None = None
    longer_at_most: Count | None = None
    exact: Size | None = None


class View(Section):
    """The way from pictures to inputs; null takes the data set's own value or derives one.

    ``resize`` comes first, in training, scoring and serving alike. ``input`` is the size at which
    a network is scored and exported: smaller pictures are padded to it, larger ones are covered by
    overlapping windows. ``crop`` is what a training step sees, after scaling by a factor drawn
    from ``scale``; ``scale_share`` of the pictures are scaled, by ``interpolation``. The others
    are random changes of training: a mirror image, degrees of rotation, quarter turns, and the
    largest change of light and colour either way.
    """

    resize: Resize | Literal["none"] | None = None
    input: Size | None = None
    crop: Size | None = None
    scale: tuple[Positive, Positive] | None = None
    scale_share: Change | None = None
    interpolation: Literal["bilinear", "bicubic"] | None = None
    mirror: bool | None = None
    rotate: Annotated[float, Meta(ge=0, le=180)] | None = None
    turns: bool | None = None
    brightness: Change | None = None
    contrast: Change | None = None
    saturation: Change | None = None
    hue: Annotated[float, Meta(ge=0, le=0.5)] | None = None


class Data(Section):
    """The data set, its view, and the division of its training split.

    ``faulty_boxes`` says what becomes of boxes that have no area or are not inside their picture:
    they are left out, or the data set is refused. ``meta_val_share`` is the share of the training
    split that scores candidates; a search never reads the validation split. ``train+val`` joins
    two splits; what is scored must not be among what is trained on. ``candidate_views``
    selects the views with which candidates train and are scored: ``search`` for small crops,
    ``full`` for those of full training and final scores.
    """

    name: str
    target: str | None = None
    meta_val_share: Share = 0.1
    split_seed: Seed = 1
    train_split: str = "train"
    val_split: str = "val"
    faulty_boxes: Literal["drop", "refuse"] = "drop"
    candidate_views: Literal["search", "full"] = "search"
    view: View = View()


class Task(Section):
    """Options of the task; null takes the data set's own value.

    ``background`` is a class that the score leaves out, by its name or its index, and
    ``class_weights`` are factors of the classes in the loss. ``least`` and ``most`` clip depths
    in metres before they are scored. ``score`` selects the metric of keypoints, or for boxes
    whether candidates are scored by their loss or by average precision. ``sigmas`` are the
    falloffs of OKS, one per joint, and ``unscored`` are joints that PCKh leaves out. ``ranges``
    are the largest distances from a location to a side of its box that P3, P4, P5 and P6 learn.
    ``channels`` is 1 to restore grey pictures and 3 for colour, ``ssim_weight`` the weight of
    log10(1 / SSIM) in the loss; ``protocol`` scores whole pictures, or HiNAS's patches.
    """

    background: Annotated[int, Meta(ge=0)] | str | None = None
    class_weights: tuple[NotNegative, ...] | None = None
    least: Positive | None = None
    most: Positive | None = None
    score: Literal["pckh", "oks", "loss", "ap"] | None = None
    sigmas: tuple[Positive, ...] | None = None
    unscored: tuple[Annotated[int, Meta(ge=0)] | str, ...] | None = None
    ranges: tuple[Positive, Positive, Positive, Positive] | None = None
    channels: Literal[1, 3] | None = None
    ssim_weight: NotNegative | None = None
    protocol: Literal["standard", "hinas"] | None = None


TASK_KEYS = {
    "label": ("background", "class_weights"),
    "depth": ("least", "most"),
    "keypoints": ("score", "sigmas", "unscored"),
    "boxes": ("score", "ranges"),
    "clean": ("channels", "ssim_weight", "protocol"),
}
"""The keys of ``task`` that apply to each kind of target."""


class Network(Section):
    """Options of the network outside the genotype; null takes the paper's value for the space.

    ``encoder`` is mobilenet_v2 (of width ``alpha``), resnet50, resnet101, xception or a registered
    one; a space without taps has none. Its ``weights``: ``imagenet`` for photographs, ``drawn``
    for drawn scenes (by us, for an alpha of 0.35), a file, or null for random ones. A dense
    prediction cell reads features of ``output_stride``; ``decoder`` refines it at stride 4.
    """

    width: Annotated[int, Meta(ge=1, le=4096)] | None = None
    head_width: Annotated[int, Meta(ge=1, le=4096)] | None = None
    aspp: bool | None = None
    decoder: Literal["deeplabv3plus"] | None = None
    output_stride: Literal[8, 16] | None = None
    sep_repeats: Annotated[int, Meta(ge=1, le=8)] | None = None
    auxiliary: Literal["cell", "classifier", "none"] | None = None
    encoder: str = "mobilenet_v2"
    alpha: float = 1.0
    weights: str | None = "imagenet"


class Optimiser(Section):
    """The optimiser of one part of the network (encoder or decoder).

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
    """The learning-rate schedule of a stage: poly to zero, steps of ``factor``, or constant.

    ``at`` are the shares of the stage at which ``step`` multiplies by ``factor``. With ``span`` 2,
    poly reaches zero after twice the stage, so that the stage ends half-way. ``cosine`` swings
    ``cycles`` half waves from 1 to ``least`` below the curve of poly, as HiNAS does.
    """

    kind: Literal["constant", "poly", "step", "cosine"] = "constant"
    power: Positive = 0.9
    span: Annotated[float, Meta(ge=1)] = 1.0
    at: tuple[Share, ...] = ()
    factor: Share = 0.1
    cycles: Count = 1
    least: Part = 0.0
    warmup_steps: Annotated[int, Meta(ge=0)] = 0


class StageOne(Section):
    """Stage one: trains the decoder alone, on cached features of ``views`` views per image.

    ``image_share`` is the share of the images of meta-train that it uses.
    """

    epochs: Count = 5
    batch: Count = 16
    image_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    views: Count = 4
    crop: Size | None = None
    decoder: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    polyak: Share | None = 0.9
    distillation: NotNegative = 0.3
    auxiliary_weight: NotNegative = 0.15


class StageTwo(Section):
    """Stage two: trains encoder and decoder end to end, without a teacher."""

    epochs: Count = 1
    batch: Count = 16
    crop: Size | None = None
    encoder: Optimiser = Optimiser(kind="sgd", learning_rate=1e-3)
    decoder: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    polyak: Share | None = 0.99
    auxiliary_weight: NotNegative = 0.15


class Gate(Section):
    """The gate between the stages, which decides whether a candidate continues to stage two.

    ``paper``: a score above the running mean continues, any other with ``probability``, which is
    multiplied by ``anneal`` after every rejection. ``authors``: the ratio test of the released
    code. ``open``: every candidate continues.
    """

    policy: Literal["paper", "authors", "open"] = "paper"
    probability: Annotated[float, Meta(ge=0, le=1)] = 0.9
    anneal: Annotated[float, Meta(gt=0, le=1)] = 0.99


class Gradient(Section):
    """The gradient search: a super-net of all networks, whose architecture weights are trained.

    In each step, after ``warmup_epochs``, the architecture learns from a batch of its own half of
    meta-train, then the weights from a batch of theirs. ``width`` is that of the super-net. The
    genotype read off after each epoch from the share ``chosen_from`` on is a trial, scored with
    the super-net on meta-val. ``crop`` is what a step sees, ``validate_every`` and
    ``save_minutes`` are as in full training.
    """

    epochs: Count = 100
    warmup_epochs: Annotated[int, Meta(ge=0)] = 20
    batch: Count = 6
    crop: Size = (64, 64)
    width: Count = 10
    weights: Optimiser = Optimiser(kind="sgd", learning_rate=0.025, weight_decay=3e-4, clip=None)
    architecture: Optimiser = Optimiser(learning_rate=1e-3, weight_decay=1e-3, clip=None)
    schedule: Schedule = Schedule(kind="cosine", cycles=10, least=0.04)
    chosen_from: Annotated[float, Meta(ge=0, lt=1)] = 0.6
    validate_every: Count = 1
    save_minutes: Positive = 2.0


class Goal(Section):
    """A soft limit of one cost, and the exponent of the penalty beyond it.

    Beyond the goal the reward is the score times (cost / goal) to the power of -exponent.
    """

    goal: Positive
    exponent: Positive = 0.07


class Goals(Section):
    """Soft limits of the deployed network's costs; null for none (MnasNet, arXiv 1807.11626)."""

    params: Goal | None = None
    madds: Goal | None = None
    latency_ms: Goal | None = None


class Predecessor(Section):
    """The run on whose network a search builds, and its trial; a training has none."""

    run: str
    trial: str | None = None


class Search(Section):
    """The oracle, the number of trials, and the penalties on cost.

    ``oracle`` is a name, or a section of the name and arguments: those that are not given are the
    oracle's own, and for ``ppo`` those of ``preset``: ``fast`` for hundreds of trials, ``paper``
    for the papers' thousands. ``gradient`` trains a super-net, as the section ``gradient`` says;
    it has no trials to count. ``hours`` ends a search, or what a call continues of it, without
    another trial once they have passed. ``warm_start`` is the folder of another run, whose
    ``warm_start_count`` best genotypes are tried first. ``supernet`` is the folder of a run by
    gradient, whose weights score candidates instead of a training of each. ``follows`` is written
    when a run gives a part of the space. ``second_seeds`` is the number of last trials in which
    the best networks are trained again with another seed: they rank by the mean of both.
    ``saved_weights`` is the number of best trials whose weights are saved. ``latency`` is a table
    that ``nas-tf profile-ops`` wrote, or ``tflite`` to time every candidate on this machine.
    ``tensorboard`` logs curves, figures by token and pictures of the best trial, if TensorBoard is
    installed.
    """

    oracle: OracleKey = "ppo"
    preset: Literal["fast", "paper"] = "fast"
    trials: Count = 100
    hours: Positive | None = None
    warm_start: str | None = None
    warm_start_count: Count = 10
    supernet: str | None = None
    follows: Predecessor | None = None
    second_seeds: Annotated[int, Meta(ge=0)] = 0
    saved_weights: Count = 5
    tensorboard: bool = True
    goals: Goals = Goals()
    latency: str | None = None

    @property
    def oracle_name(self) -> str:
        """The name of the oracle, whether arguments are given or not."""
        return self.oracle if isinstance(self.oracle, str) else str(self.oracle["name"])

    @property
    def oracle_arguments(self) -> dict[str, Any]:
        """The arguments of the oracle that are given."""
        given = {} if isinstance(self.oracle, str) else self.oracle
        return {name: value for name, value in given.items() if name != "name"}


class Limits(Section):
    """Hard limits of a candidate; one beyond them fails, and ``failure_score`` is recorded.

    Parameters, multiply-adds and latency (by ``search.latency``) are those of the deployed network
    and are checked before it is trained. ``memory_gib`` bounds the memory of this process while a
    candidate trains, ``seconds`` the time of a candidate.
    """

    params: Count | None = None
    madds: Count | None = None
    latency_ms: Positive | None = None
    memory_gib: Positive | None = None
    seconds: Positive | None = None
    failure_score: Part = 0.0


class Joined(Section):
    """Further pictures of a stage of full training: those of a split of a data set."""

    data: str
    split: str = "train"


class FullStage(Section):
    """One stage of full training; ``data`` defaults to the configuration's training split.

    The pictures of ``joined`` are added to it, and are seen in the same view.
    """

    epochs: Count
    batch: Count = 8
    data: str | None = None
    split: str | None = None
    joined: tuple[Joined, ...] = ()
    crop: Size | None = None
    encoder: Optimiser = Optimiser(kind="sgd", learning_rate=1e-3, clip=None)
    decoder: Optimiser = Optimiser(kind="adam", learning_rate=3e-3, clip=None)
    schedule: Schedule = Schedule()
    auxiliary_weight: NotNegative = 0.15


class Full(Section):
    """Full training: its stages, and the options of all of them.

    ``freeze_batch_norm`` fixes statistics and halves learning rates half-way through the last
    stage; ``frozen_auxiliary_weight`` is the auxiliary weight from there on, null for that of the
    stage. ``loss_at`` selects the resolution at which the loss is computed.
    """

    stages: Annotated[tuple[FullStage, ...], Meta(min_length=1)]
    freeze_batch_norm: bool = False
    frozen_auxiliary_weight: NotNegative | None = None
    polyak: Share | None = None
    loss_at: Literal["target", "logits"] = "logits"
    validate_every: Count = 1
    save_minutes: Positive = 2.0


class Evaluation(Section):
    """The scoring of a finished network: its scales, and averaging over mirror images."""

    batch: Count = 8
    scales: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (1.0,)
    flip: bool = False


class Config(Section):
    """A configuration: the content of one file.

    ``space`` is a name, or a section such as ``{name: auxcell, blocks: 4}`` of a size of its own.
    ``precision: auto`` selects bfloat16 where the processor computes it faster, ``threads: null``
    takes all cores for a candidate.
    """

    space: SpaceKey
    data: Data
    task: Task = Task()
    degradation: Degradation | None = None
    network: Network = Network()
    stage_one: StageOne = StageOne()
    gate: Gate = Gate()
    stage_two: StageTwo | None = field(default_factory=StageTwo)
    gradient: Gradient = Gradient()
    teacher: str | None = None
    limits: Limits = Limits()
    search: Search = Search()
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    seed: Seed = 1
    full_training: Full = Full(stages=(FullStage(epochs=30),))
    evaluation: Evaluation = Evaluation()
