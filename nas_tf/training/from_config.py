"""Builds from a configuration what a training needs: data, task, views and networks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from msgspec import structs

from nas_tf import networks, spaces
from nas_tf.config.schema import Config, FullStage
from nas_tf.data.examples import Examples
from nas_tf.data.presets import is_preset, preset
from nas_tf.data.registry import dataset_info
from nas_tf.data.views import View
from nas_tf.data.whole_pictures import WholePictures
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.input_geometry import InputGeometry, Resize
from nas_tf.networks import Blueprint, Settings, encoders
from nas_tf.networks.encoders import Encoder
from nas_tf.networks.state import Arrays, initial_arrays
from nas_tf.sizes import Size
from nas_tf.tasks import Task
from nas_tf.training.scoring import Split
from nas_tf.training.task_settings import task_of

Phase = Literal["search", "published"]
_CHANGES = ("scale", "mirror", "rotate", "brightness", "contrast", "saturation", "hue")


def task_for(config: Config) -> Task:
    """Returns the task of the configured data set and target, with the configured settings."""
    return task_of(dataset_info(config.data.name), config.data.target, config.task)


def settings_for(config: Config, phase: Phase) -> Settings:
    """Returns the paper's settings of a phase, with the changes that the configuration makes."""
    changes = {
        key: getattr(config.network, key)
        for key in ("width", "head_width", "sep_repeats", "auxiliary")
        if getattr(config.network, key) is not None
    }
    make = networks.settings.search if phase == "search" else networks.settings.published
    if (encoder := encoder_for(config)) is not None:
        changes["encoder"] = encoder
    return make(spaces.get(config.space).name, **changes)


def encoder_for(config: Config) -> Encoder | None:
    """Returns the configured encoder, None for a space without taps."""
    network = config.network
    return encoders.get(network.encoder, network.alpha) if spaces.get(config.space).taps else None


def blueprint_builder(
    config: Config, genotype: Genotype, phase: Phase
) -> Callable[[Size], Blueprint]:
    """Draws a genotype at any input size under the configuration."""
    space = spaces.get(config.space)
    if genotype.space != space.name:
        raise ConfigError(
            f"the genotype is of space {genotype.space} and the configuration of {space}: "
            f"give a configuration of {genotype.space}, or space={genotype.space}"
        )
    space.check_size(genotype.parts)
    head, settings = task_for(config).head, settings_for(config, phase)
    return lambda size: networks.blueprint_of(genotype, head, input_size=size, settings=settings)


def encoder_options(config: Config) -> dict[str, Any]:
    """Returns the encoder and its options, which all candidates share.

    All its taps are cached up to the deepest that the space reads: the finest of them has the
    resolution of stored targets.
    """
    settings, space = settings_for(config, "search"), spaces.get(config.space)
    is_dilated = "output_stride" in space.network_settings
    encoder = encoder_for(config)
    strides = encoder.strides if encoder else ()
    return {
        "encoder": encoder,
        "strides": tuple(stride for stride in strides if stride <= max(space.taps)),
        "output_stride": settings.output_stride if is_dilated else 32,
    }


def encoder_arrays(config: Config) -> Arrays:
    """Returns the encoder's weights, which compute the features and initialise every candidate."""
    return first_arrays(config, networks.encoder_blueprint(**encoder_options(config)))


def first_arrays(config: Config, blueprint: Blueprint) -> Arrays:
    """Returns the arrays that a network starts from: random ones, and the encoder's weights."""
    encoder, weights = encoder_for(config), config.network.weights
    return initial_arrays(blueprint, seed=config.seed, weights=weights, encoder=encoder)


def view_of(config: Config, stage: str, crop: Size | None = None, name: str = "") -> View:
    """Returns the view of resized examples at a stage of training, or for the stage ``reward``."""
    if stage == "reward":
        return reward_view(config)
    if config.data.candidate_views == "full":
        stage = "full"
    name, given = name or config.data.name, config.data.view
    view = preset(name, stage, crop or given.crop)
    if given.resize is not None:
        view = replace(view, longer_side=None, shorter_at_least=None, longer_at_most=None)
    changes = {key: getattr(given, key) for key in _CHANGES if getattr(given, key) is not None}
    return replace(view, **changes)


def reward_view(config: Config) -> View:
    """Returns the view of meta-val during a search: one central window of each resized picture.

    Its size is ``data.view.input``, else stage one's crop if one is given, else the data set's
    own. ``SharedData.covered_share`` is the share of the pixels that the window contains.
    """
    name, given, crop = config.data.name, config.data.view, config.stage_one.crop
    if is_preset(name) and given.resize is None:
        stage = "evaluate" if config.data.candidate_views == "full" else "reward"
        return preset(name, stage, given.input or crop)
    return View(geometry(config, crop).size, centred=True)


def resize_of(config: Config) -> Resize:
    """Returns the rule by which examples are resized before a view is taken."""
    rule = config.data.view.resize
    return Resize() if rule in (None, "none") else Resize(**structs.asdict(rule))


def geometry(config: Config, fallback: Size | None = None) -> InputGeometry:
    """Returns the geometry by which a trained network reads pictures, in scoring and serving.

    A published data set's own pictures keep their size, and larger ones shrink to it. ``fallback``
    is the input's size if neither the configuration nor the data set has one.
    """
    name, given, rule = config.data.name, config.data.view, resize_of(config)
    windows = task_for(config).windows
    size = given.input
    if is_preset(name):
        own = preset(name, "evaluate").crop
        size = size or tuple(rule.size(own).numpy().tolist())
        if given.resize is None:
            rule = Resize(longer_at_most=max(own))
    size = size or fallback or given.crop or config.full_training.stages[-1].crop
    if size is None:
        raise ConfigError(f"data.view.input is null and {name} has none, expected [height, width]")
    return InputGeometry(tuple(size), rule, windows)


def scored_pictures(config: Config, split: str, size: Size | None = None) -> WholePictures | Split:
    """Returns the pictures of final scores: whole ones, or persons in the data set's own view."""
    rule, name, task = geometry(config), config.data.name, task_for(config)
    if size is not None:
        rule = replace(rule, size=size)
    if rule.windows and not task.needs_validation_loss:
        return WholePictures(Examples(name, split), rule, task.target)
    return shown_pictures(config, split, size)


def shown_pictures(config: Config, split: str, size: Size | None = None) -> Split:
    """Returns a split with one central window per picture, as pictures of predictions show it."""
    rule, name = geometry(config), config.data.name
    view = View(size or rule.size, centred=True)
    if is_preset(name) and config.data.view.resize is None:
        view = replace(preset(name, "evaluate"), crop=size or rule.size)
        return Split(Examples(name, split), view)
    return Split(Examples(name, split, cache_bytes=0, resize=rule.resize), view)


def training_examples(config: Config) -> Examples:
    """Returns the examples of the training split, resized."""
    return Examples(config.data.name, config.data.train_split, resize=resize_of(config))


def stage_examples(config: Config, stage: FullStage) -> Examples:
    """Returns the examples of a stage, from its own data or the configuration's, resized."""
    name, split = stage.data or config.data.name, stage.split or config.data.train_split
    return Examples(name, split, resize=resize_of(config))
