"""Keys whose values are valid alone and exclude each other.

Checks that need the data set are in ``training.preflight``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import structs

from nas_tf import spaces
from nas_tf.config.schema import Config, Gradient, Network, Optimiser, Resize, Schedule, Search
from nas_tf.errors import ConfigError, did_you_mean
from nas_tf.networks import encoders
from nas_tf.networks.encoders import DRAWN, ENCODERS
from nas_tf.spaces import SearchSpace

KERASTUNERS_OWN = ("bayesian", "hyperband")
"""KerasTuner's oracles: they search in one process and take no warm start."""

_WHITE = 255
_RANGE = re.compile(r"(\d+(?:\.\d+)?)[-–](\d+(?:\.\d+)?)", re.ASCII)
_DEFAULT, _NETWORK, _WAVES = Optimiser(), Network(), Gradient().schedule


@dataclass(frozen=True, slots=True)
class Conflict:
    """A key whose value is excluded by others, and the value that is expected."""

    key: str
    expected: str


def conflicts(config: Config) -> Iterator[Conflict]:
    """Yields the conflicts of a configuration, the most informative first."""
    yield from _of_the_space(config)
    yield from _of_the_costs(config)
    if config.search.warm_start is not None and config.search.oracle_name in KERASTUNERS_OWN:
        yield Conflict(
            "search.warm_start",
            f"null, as oracle {config.search.oracle_name} takes no warm start",
        )
    yield from _of_second_seeds(config.search)
    if config.search.hours is not None and config.search.oracle_name in (
        *KERASTUNERS_OWN,
        "gradient",
    ):
        yield Conflict(
            "search.hours",
            f"null, as oracle {config.search.oracle_name} does not end by the clock",
        )
    for path, stage in _stages(config):
        yield from _of_a_schedule(f"{path}.schedule", stage.schedule)
        for part in ("encoder", "decoder", "weights", "architecture"):
            if (optimiser := getattr(stage, part, None)) is not None:
                yield from _of_an_optimiser(f"{path}.{part}", optimiser)
        yield from _of_a_crop(f"{path}.crop", stage.crop, spaces.get(config.space))
    full = config.full_training
    if full.frozen_auxiliary_weight is not None and not full.freeze_batch_norm:
        yield Conflict(
            "full_training.frozen_auxiliary_weight",
            "null, as full_training.freeze_batch_norm is false, or that to be true",
        )
    yield from _of_the_noise(config)
    yield from _of_the_view(config)
    yield from _of_the_scales(config)


def _of_the_space(config: Config) -> Iterator[Conflict]:
    space, network = spaces.get(config.space), config.network
    known = space.network_settings
    if "auxiliary" not in known and network.auxiliary not in (None, "none"):
        yield Conflict("network.auxiliary", f"none, as space {space.name} has no auxiliaries")
    if "head_width" not in known and network.head_width is not None:
        yield Conflict("network.head_width", f"null, as space {space.name} has no towers")
    if "aspp" not in known and network.aspp is not None:
        yield Conflict("network.aspp", f"null, as space {space.name} restores no images")
    if "decoder" not in known and network.decoder is not None:
        yield Conflict("network.decoder", f"null, as space {space.name} has its own decoder")
    if "output_stride" not in known and network.output_stride is not None:
        yield Conflict(
            "network.output_stride", f"null, as space {space.name} reads features of all strides"
        )
    if "sep_repeats" not in known and network.sep_repeats is not None:
        yield Conflict(
            "network.sep_repeats", f"null, as space {space.name} repeats no convolution"
        )
    if space.taps:
        yield from _of_the_encoder(network)
    else:
        for key, accepted in (("encoder", ()), ("alpha", ()), ("weights", (None,))):
            usual = getattr(_NETWORK, key)
            if getattr(network, key) not in (usual, *accepted):
                yield Conflict(f"network.{key}", f"{usual}, as space {space.name} has no encoder")


def _of_the_encoder(network: Network) -> Iterator[Conflict]:
    if network.encoder not in ENCODERS:
        known = f"one of {', '.join(ENCODERS)}{did_you_mean(network.encoder, ENCODERS)}"
        yield Conflict("network.encoder", known)
        return
    try:
        encoder = encoders.get(network.encoder, network.alpha)
    except ConfigError as error:
        yield Conflict("network.alpha", str(error).partition("expected ")[2])
        return
    if network.weights == "drawn" and encoder != DRAWN:
        yield Conflict(
            "network.weights",
            f"network.encoder={DRAWN.name} and network.alpha={DRAWN.alpha} with it, for which it "
            f"was trained, now it is {encoder}",
        )
    if network.weights == "imagenet" and encoder.released() is None:
        yield Conflict("network.weights", f"a file or null, as there are none of {encoder}")


def _of_the_costs(config: Config) -> Iterator[Conflict]:
    """A goal or limit on latency needs a source of latency."""
    source = "search.latency=TABLE.json with it, which nas-tf profile-ops makes, or =tflite"
    if config.search.latency is None:
        if config.limits.latency_ms is not None:
            yield Conflict("limits.latency_ms", source)
        if config.search.goals.latency_ms is not None:
            yield Conflict("search.goals.latency_ms.goal", source)


def _of_second_seeds(search: Search) -> Iterator[Conflict]:
    """A second seed needs an oracle that repeats trials, and a training in each of them."""
    key, count = "search.second_seeds", search.second_seeds
    if count and search.oracle_name in (*KERASTUNERS_OWN, "gradient"):
        yield Conflict(key, f"0, as oracle {search.oracle_name} repeats no trial")
    elif count and search.supernet is not None:
        yield Conflict(key, "0, as search.supernet trains no candidate")
    elif count > search.trials // 2:
        yield Conflict(key, f"{search.trials // 2} at most, half of search.trials")


def _stages(config: Config) -> Iterator[tuple[str, object]]:
    """Yields every training stage with its key."""
    yield "stage_one", config.stage_one
    if config.stage_two is not None:
        yield "stage_two", config.stage_two
    yield "gradient", config.gradient
    for number, stage in enumerate(config.full_training.stages):
        yield f"full_training.stages.{number}", stage


def _of_a_schedule(path: str, schedule: Schedule) -> Iterator[Conflict]:
    if schedule.kind == "step" and not schedule.at:
        yield Conflict(f"{path}.kind", f"{path}.at with it, such as [0.6, 0.9]")
    if schedule.kind != "step" and schedule.at:
        yield Conflict(f"{path}.at", f"[], as {path}.kind is {schedule.kind}, or that to be step")
    for key, usual, also in (("cycles", 1, _WAVES.cycles), ("least", 0, _WAVES.least)):
        if schedule.kind != "cosine" and getattr(schedule, key) not in (usual, also):
            reason = f"as {path}.kind is {schedule.kind}, or that to be cosine"
            yield Conflict(f"{path}.{key}", f"{usual}, {reason}")
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


def _of_the_noise(config: Config) -> Iterator[Conflict]:
    """Deviations are in their range, once each, and the ends of a range in order."""
    noise = config.degradation and config.degradation.noise
    if noise is None:
        return
    if isinstance(noise.sigma, str):
        ends = _RANGE.fullmatch(noise.sigma)
        values = [] if ends is None else [float(end) for end in ends.groups()]
        accepted = values == sorted(values)
    else:
        values = noise.sigma if isinstance(noise.sigma, tuple) else (noise.sigma,)
        accepted = all(0 <= value <= _WHITE for value in values)
    if not values or not accepted or len({*values}) < len(values) or max(values) > _WHITE:
        yield Conflict(
            "degradation.noise.sigma",
            f"a number of 0 to {_WHITE}, a list of different ones, or a range such as 0-55",
        )


def _of_the_view(config: Config) -> Iterator[Conflict]:
    """Checks for a single rule of resizing, ordered scales, and sizes that the encoder accepts."""
    view = config.data.view
    if isinstance(view.resize, Resize):
        rules = [key for key, value in structs.asdict(view.resize).items() if value is not None]
        for extra in rules[1:]:
            yield Conflict(f"data.view.resize.{extra}", f"null, as {rules[0]} is given too")
    if view.scale is not None and view.scale[0] > view.scale[1]:
        yield Conflict("data.view.scale", "the lower factor first, such as [0.5, 2]")
    if view.interpolation == "bicubic" and view.rotate:
        yield Conflict("data.view.interpolation", "bilinear, as data.view.rotate is not 0")
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
