"""Keys whose values are valid alone and exclude each other.

Checks that need the data set are in ``training.preflight``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import structs

from nas_tf import spaces
from nas_tf.config.schema import Config, Optimiser, Resize, Schedule
from nas_tf.spaces import SearchSpace

ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
DRAWN_ALPHA = 0.35
"""The only width multiplier with shipped weights ``network.weights=drawn``."""
KERASTUNERS_OWN = ("bayesian", "hyperband")
"""KerasTuner's oracles: they search in one process and take no warm start."""

_DEFAULT = Optimiser()


@dataclass(frozen=True, slots=True)
class Conflict:
    """A key whose value is excluded by others, and the value that is expected."""

    key: str
    expected: str


def conflicts(config: Config) -> Iterator[Conflict]:
    """Yields the conflicts of a configuration, the most informative first."""
    yield from _of_the_space(config)
    yield from _of_the_costs(config)
    if config.search.warm_start is not None and config.search.oracle in KERASTUNERS_OWN:
        yield Conflict(
            "search.warm_start",
            f"null, as oracle {config.search.oracle} takes no warm start",
        )
    for path, stage in _stages(config):
        yield from _of_a_schedule(f"{path}.schedule", stage.schedule)
        for part in ("encoder", "decoder"):
            if (optimiser := getattr(stage, part, None)) is not None:
                yield from _of_an_optimiser(f"{path}.{part}", optimiser)
        yield from _of_a_crop(f"{path}.crop", stage.crop, spaces.get(config.space))
    yield from _of_the_view(config)
    yield from _of_the_scales(config)


def _of_the_space(config: Config) -> Iterator[Conflict]:
    space, network = spaces.get(config.space), config.network
    known = space.network_settings
    if "auxiliary" not in known and network.auxiliary not in (None, "none"):
        yield Conflict("network.auxiliary", f"none, as space {space.name} has no auxiliaries")
    if "sep_repeats" not in known and network.sep_repeats is not None:
        yield Conflict(
            "network.sep_repeats", f"null, as space {space.name} repeats no convolution"
        )
    if network.alpha not in ALPHAS:
        yield Conflict("network.alpha", f"one of {', '.join(map(str, ALPHAS))}")
    elif network.weights == "drawn" and network.alpha != DRAWN_ALPHA:
        yield Conflict(
            "network.weights",
            f"network.alpha={DRAWN_ALPHA} with it, for which it was trained, now it is "
            f"{network.alpha}",
        )


def _of_the_costs(config: Config) -> Iterator[Conflict]:
    """A goal or limit on latency needs a source of latency."""
    source = "search.latency=TABLE.json with it, which nas-tf profile-ops makes, or =tflite"
    if config.search.latency is None:
        if config.limits.latency_ms is not None:
            yield Conflict("limits.latency_ms", source)
        if config.search.goals.latency_ms is not None:
            yield Conflict("search.goals.latency_ms.goal", source)


def _stages(config: Config) -> Iterator[tuple[str, object]]:
    """Yields every training stage with its key."""
    yield "stage_one", config.stage_one
    if config.stage_two is not None:
        yield "stage_two", config.stage_two
    for number, stage in enumerate(config.full_training.stages):
        yield f"full_training.stages.{number}", stage


def _of_a_schedule(path: str, schedule: Schedule) -> Iterator[Conflict]:
    if schedule.kind == "step" and not schedule.at:
        yield Conflict(f"{path}.kind", f"{path}.at with it, such as [0.6, 0.9]")
    if schedule.kind != "step" and schedule.at:
        yield Conflict(f"{path}.at", f"[], as {path}.kind is {schedule.kind}, or that to be step")
    if schedule.kind != "poly" and schedule.span != 1:
        yield Conflict(f"{path}.span", f"1, as {path}.kind is {schedule.kind}, or that to be poly")


def _of_an_optimiser(path: str, optimiser: Optimiser) -> Iterator[Conflict]:
    """A constant of the other kind of optimiser has no effect."""
    other = {"adam": ("sgd", ("momentum",)), "sgd": ("adam", ("beta_2", "epsilon"))}
    kind, keys = other[optimiser.kind]
    for key in keys:
        plain = getattr(_DEFAULT, key)
        if getattr(optimiser, key) != plain:
            reason = f"as {path}.kind is {optimiser.kind}, or that to be {kind}"
            yield Conflict(f"{path}.{key}", f"{plain}, {reason}")


def _of_a_crop(path: str, crop: tuple[int, int] | None, space: SearchSpace) -> Iterator[Conflict]:
    least = space.smallest_side
    if crop is not None and min(crop) < least:
        needs = f"as the encoder of space {space.name} needs"
        yield Conflict(path, f"{least} or more either way, {needs}")


def _of_the_view(config: Config) -> Iterator[Conflict]:
    """Checks for a single rule of resizing, ordered scales, and sizes that the encoder accepts."""
    view = config.data.view
    if isinstance(view.resize, Resize):
        rules = [key for key, value in structs.asdict(view.resize).items() if value is not None]
        for extra in rules[1:]:
            yield Conflict(f"data.view.resize.{extra}", f"null, as {rules[0]} is given too")
    if view.scale is not None and view.scale[0] > view.scale[1]:
        yield Conflict("data.view.scale", "the lower factor first, such as [0.5, 2]")
    for key in ("crop", "input"):
        yield from _of_a_crop(f"data.view.{key}", getattr(view, key), spaces.get(config.space))


def _of_the_scales(config: Config) -> Iterator[Conflict]:
    """Final scores are computed at the input's size times each scale."""
    size, space = config.data.view.input, spaces.get(config.space)
    least = space.smallest_side
    smallest = min(config.evaluation.scales)
    if size is not None and min(size) >= least > round(min(size) * smallest):
        yield Conflict(
            "evaluation.scales",
            f"none below {least / min(size):.3g}, as data.view.input is {list(size)} and the "
            f"encoder of space {space.name} needs {least}",
        )
