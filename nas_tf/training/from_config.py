"""Builds from a configuration what a training needs: data, task, views and networks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from msgspec import structs

from nas_tf import networks, spaces
from nas_tf.config import schema
from nas_tf.config.schema import Config, FullStage
from nas_tf.config.section import Section
from nas_tf.data.degradations import Degradation, Downscale, Jpeg, Missing, Noise, Rain
from nas_tf.data.degraded_pictures import DegradedPictures
from nas_tf.data.examples import Examples, JoinedExamples
from nas_tf.data.info import DatasetInfo
from nas_tf.data.meta_split import meta_split, part_of
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
from nas_tf.tasks import Restoration, Task
from nas_tf.training.scoring import Split
from nas_tf.training.task_settings import task_of

Phase = Literal["search", "published"]
_CHANGES = (
    *("scale", "scale_share", "interpolation", "mirror", "rotate", "turns"),
    *("brightness", "contrast", "saturation", "hue"),
)


def task_for(config: Config) -> Task:
    """Returns the task of the configured data set and target, with the configured settings."""
    task = task_of(dataset_info(config.data.name), config.data.target, config.task)
    degradation = degradation_of(config)
    if degradation is None or not degradation.levels:
        return task
    return Restoration(**task.settings(), levels=degradation.levels)


def degradation_of(config: Config) -> Degradation | None:
    """Returns what is done to clean pictures; None for pairs and for other targets.

    Raises if the configuration has none for clean pictures, or one for others.
    """
    info = dataset_info(config.data.name)
    return _degradation(config.degradation, info, config.data.target or info.targets[0])


def _degradation(
    section: schema.Degradation | None, info: DatasetInfo, target: str
) -> Degradation | None:
    given = {} if section is None else structs.asdict(section)
    given = {name: part for name, part in given.items() if part is not None}
    if target == "clean" and not info.pairs:
        if not given:
            raise ConfigError(
                f"degradation is null, and the pictures of {info.name} are clean, expected such "
                "as degradation.noise.sigma=25"
            )
        steps = {name: _step(name, part) for name, part in given.items()}
        return Degradation(**steps)
    if given:
        reason = "are degraded already" if info.pairs else f"have the target {target}"
        raise ConfigError(
            f"degradation has {', '.join(given)}, and the pictures of {info.name} {reason}, "
            "expected null"
        )
    return None


def _step(name: str, section: Section) -> Any:
    """Returns a step of the degradation."""
    if name == "noise":
        return Noise.of(section.sigma)
    kinds = {"rain": Rain, "downscale": Downscale, "jpeg": Jpeg, "missing": Missing}
    return kinds[name](**structs.asdict(section))


def _degrading(config: Config, view: View) -> View:
    """Returns the view with what is done to clean pictures, if these are the target."""
    task, info = task_for(config), dataset_info(config.data.name)
    if not isinstance(task, Restoration):
        return view
    if info.pairs and view.recolours:
        raise ConfigError(
            f"data.view changes light or colour, and {info.name} has pairs, whose clean pictures "
            "would stay as they are, expected null"
        )
    degradation = degradation_of(config)
    if degradation is not None and view.centred:
        degradation = degradation.scored()
    return replace(view, grey=task.channels == 1, degradation=degradation)


def settings_for(config: Config, phase: Phase) -> Settings:
    """Returns the paper's settings of a phase, with the changes that the configuration makes."""
    changes = {
        key: getattr(config.network, key)
        for key in networks.settings.CONFIGURED
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

    Its outputs are the taps that the space reads, and the layer that the decoder of DeepLabv3+
    reads.
    """
    settings, space = settings_for(config, "search"), spaces.get(config.space)
    is_dilated = "output_stride" in space.network_settings
    return {
        "encoder": encoder_for(config),
        "strides": space.taps,
        "output_stride": settings.output_stride if is_dilated else 32,
        "low_level": settings.decoder is not None,
    }


def stored_size(config: Config, crop: Size) -> Size:
    """Returns the resolution of targets in stage one: that of the encoder's finest tap."""
    encoder = encoder_for(config)
    strides = encoder.strides[:1] if encoder else ()
    return networks.encoder_blueprint(encoder, input_size=crop, strides=strides).output().size


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
        is_clean = "clean" in dataset_info(name).targets  # such pictures fill the crop
        least = view.shorter_at_least if is_clean else None
        view = replace(view, longer_side=None, shorter_at_least=least, longer_at_most=None)
    changes = {key: getattr(given, key) for key in _CHANGES if getattr(given, key) is not None}
    return _degrading(config, replace(view, **changes))


def reward_view(config: Config) -> View:
    """Returns the view of meta-val during a search: one central window of each resized picture.

    Its size is ``data.view.input``, else stage one's crop if one is given, else the data set's
    own. ``SharedData.covered_share`` is the share of the pixels that the window contains.
    """
    name, given, crop = config.data.name, config.data.view, config.stage_one.crop
    if is_preset(name) and given.resize is None:
        stage = "evaluate" if config.data.candidate_views == "full" else "reward"
        view = preset(name, stage, given.input or crop)
    else:
        view = View(geometry(config, crop).size, centred=True)
    return _degrading(config, view)


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
    task = task_for(config)
    size = given.input
    if is_preset(name):
        own = preset(name, "evaluate").crop
        size = size or tuple(rule.size(own).numpy().tolist())
        if given.resize is None and not task.own_size:
            rule = Resize(longer_at_most=max(own))
    size = size or fallback or given.crop or config.full_training.stages[-1].crop
    if size is None:
        raise ConfigError(f"data.view.input is null and {name} has none, expected [height, width]")
    return InputGeometry(tuple(size), rule, task.windows)


def scored_pictures(config: Config, split: str, size: Size | None = None) -> WholePictures | Split:
    """Returns the pictures of final scores: whole ones, or persons in the data set's own view."""
    rule, name, task = geometry(config), config.data.name, task_for(config)
    if size is not None:
        rule = replace(rule, size=size)
    if task.own_size:
        examples = Examples(name, split, cache_bytes=0, resize=rule.resize)
        return whole_pictures(examples, rule, task, config.degradation)
    if rule.windows and not task.needs_validation_loss:
        return whole_pictures(Examples(name, split), rule, task, None)
    return shown_pictures(config, split, size)


def whole_pictures(
    examples: Examples, rule: InputGeometry, task: Task, section: schema.Degradation | None
) -> WholePictures:
    """Returns the whole pictures of examples, degraded as a section says if they are restored."""
    if not isinstance(task, Restoration):
        return WholePictures(examples, rule, task.target)
    degradation = _degradation(section, examples.info, task.target.key)
    view = View(rule.size, centred=True, grey=task.channels == 1, degradation=degradation)
    return DegradedPictures(examples, rule, task.target, task=task, view=view)


def shown_pictures(config: Config, split: str, size: Size | None = None) -> Split:
    """Returns a split with one central window per picture, as pictures of predictions show it."""
    rule, name = geometry(config), config.data.name
    view = View(size or rule.size, centred=True)
    if is_preset(name) and config.data.view.resize is None:
        view = replace(preset(name, "evaluate"), crop=size or rule.size)
        return Split(Examples(name, split), _degrading(config, view))
    examples = Examples(name, split, cache_bytes=0, resize=rule.resize)
    return Split(examples, _degrading(config, view))


def meta_indices(config: Config, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of meta-train and of meta-val among the training examples."""
    data = config.data
    return meta_split(count, seed=data.split_seed, fraction=data.meta_val_share)


def stage_one_indices(config: Config, meta_train: np.ndarray) -> np.ndarray:
    """Returns the indices of the images of meta-train that stage one uses."""
    return part_of(meta_train, config.stage_one.image_share, seed=config.data.split_seed)


def training_examples(config: Config) -> Examples:
    """Returns the examples of the training split, resized."""
    return Examples(config.data.name, config.data.train_split, resize=resize_of(config))


def stage_splits(config: Config, stage: FullStage) -> list[tuple[str, str]]:
    """Returns data sets and splits of a stage: its own or the configuration's, then the joined."""
    own = stage.data or config.data.name, stage.split or config.data.train_split
    return [own, *((more.data, more.split) for more in stage.joined)]


def stage_examples(config: Config, stage: FullStage) -> Examples | JoinedExamples:
    """Returns the examples of a stage, resized."""
    splits, rule = stage_splits(config, stage), resize_of(config)
    members = [Examples(name, split, resize=rule) for name, split in splits]
    return members[0] if len(members) == 1 else JoinedExamples(members)
