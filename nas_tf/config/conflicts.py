"""Keys whose values are each right and impossible together.

Only what the configuration itself shows; what needs the data set is ``training.preflight``'s.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import structs

from nas_tf.config.schema import Config, Optimiser, Resize, Schedule

ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
DRAWN_ALPHA = 0.35
"""The one width for which ``network.weights=drawn`` gives weights."""
SMALLEST = {"auxcell": 32, "template": 8, "dpc": 16}
"""The shortest side of an image that the encoder of a space leaves anything of."""

KERASTUNERS_OWN = ("bayesian", "hyperband")
"""Oracles that are not ours: they search in one process, and begin in their own way."""

_PLAIN = Optimiser()


@dataclass(frozen=True, slots=True)
class Conflict:
    """A key that cannot be as it is, and what it would have to be."""

    key: str
    expected: str


def conflicts(experiment: Config) -> Iterator[Conflict]:
    """What clashes, most telling first."""
    yield from _of_the_space(experiment)
    yield from _of_the_prices(experiment)
    if experiment.search.begin_with is not None and experiment.search.oracle in KERASTUNERS_OWN:
        yield Conflict(
            "search.begin_with",
            f"null, as oracle {experiment.search.oracle} begins in KerasTuner's way",
        )
    for path, stage in _stages(experiment):
        yield from _of_a_schedule(f"{path}.schedule", stage.schedule)
        for part in ("encoder", "decoder"):
            if (optimiser := getattr(stage, part, None)) is not None:
                yield from _of_an_optimiser(f"{path}.{part}", optimiser)
        yield from _of_a_crop(f"{path}.crop", stage.crop, experiment.space)
    yield from _of_the_view(experiment)
    yield from _of_the_scales(experiment)


def _of_the_space(experiment: Config) -> Iterator[Conflict]:
    space, network = experiment.space, experiment.network
    if space != "auxcell" and network.auxiliary not in (None, "none"):
        yield Conflict("network.auxiliary", f"none, as space {space} has no auxiliaries")
    if space == "dpc" and network.sep_repeats is not None:
        yield Conflict("network.sep_repeats", "null, as space dpc repeats no convolution")
    if network.alpha not in ALPHAS:
        yield Conflict("network.alpha", f"one of {', '.join(map(str, ALPHAS))}")
    elif network.weights == "drawn" and network.alpha != DRAWN_ALPHA:
        yield Conflict(
            "network.weights",
            f"network.alpha={DRAWN_ALPHA} with it, for which it was trained, now it is "
            f"{network.alpha}",
        )


def _of_the_prices(experiment: Config) -> Iterator[Conflict]:
    """A price on latency needs to know where latency comes from."""
    source = "search.latency=TABLE.json with it, which nas-tf profile-ops makes, or =tflite"
    if experiment.search.latency is None:
        if experiment.limits.latency_ms is not None:
            yield Conflict("limits.latency_ms", source)
        if experiment.search.targets.latency_ms is not None:
            yield Conflict("search.targets.latency_ms.target", source)


def _stages(experiment: Config) -> Iterator[tuple[str, object]]:
    """Everything that trains, by its key."""
    yield "stage_one", experiment.stage_one
    if experiment.stage_two is not None:
        yield "stage_two", experiment.stage_two
    for number, stage in enumerate(experiment.full.stages):
        yield f"full.stages.{number}", stage


def _of_a_schedule(path: str, schedule: Schedule) -> Iterator[Conflict]:
    if schedule.kind == "step" and not schedule.at:
        yield Conflict(f"{path}.kind", f"{path}.at with it, such as [0.6, 0.9]")
    if schedule.kind != "step" and schedule.at:
        yield Conflict(f"{path}.at", f"[], as {path}.kind is {schedule.kind}, or that to be step")
    if schedule.kind != "poly" and schedule.span != 1:
        yield Conflict(f"{path}.span", f"1, as {path}.kind is {schedule.kind}, or that to be poly")


def _of_an_optimiser(path: str, optimiser: Optimiser) -> Iterator[Conflict]:
    """A constant of the other kind of optimiser would change nothing."""
    other = {"adam": ("sgd", ("momentum",)), "sgd": ("adam", ("beta_2", "epsilon"))}
    kind, keys = other[optimiser.kind]
    for key in keys:
        plain = getattr(_PLAIN, key)
        if getattr(optimiser, key) != plain:
            reason = f"as {path}.kind is {optimiser.kind}, or that to be {kind}"
            yield Conflict(f"{path}.{key}", f"{plain}, {reason}")


def _of_a_crop(path: str, crop: tuple[int, int] | None, space: str) -> Iterator[Conflict]:
    least = SMALLEST[space]
    if crop is not None and min(crop) < least:
        yield Conflict(path, f"{least} or more either way, as the encoder of space {space} needs")


def _of_the_view(experiment: Config) -> Iterator[Conflict]:
    """One rule of resizing, an order of scales, and sizes that leave the encoder something."""
    view = experiment.data.view
    if isinstance(view.resize, Resize):
        rules = [key for key, value in structs.asdict(view.resize).items() if value is not None]
        for extra in rules[1:]:
            yield Conflict(f"data.view.resize.{extra}", f"null, as {rules[0]} is given beside it")
    if view.scale is not None and view.scale[0] > view.scale[1]:
        yield Conflict("data.view.scale", "the lower factor first, such as [0.5, 2]")
    for key in ("crop", "input"):
        yield from _of_a_crop(f"data.view.{key}", getattr(view, key), experiment.space)


def _of_the_scales(experiment: Config) -> Iterator[Conflict]:
    """Final scores are taken at the input's size, times each scale."""
    size, least = experiment.data.view.input, SMALLEST[experiment.space]
    smallest = min(experiment.evaluation.scales)
    if size is not None and min(size) >= least > round(min(size) * smallest):
        yield Conflict(
            "evaluation.scales",
            f"none below {least / min(size):.3g}, as data.view.input is {list(size)} and the "
            f"encoder of space {experiment.space} needs {least}",
        )
