"""From a configuration to what a training needs: data, task, views, networks."""

from collections.abc import Callable
from typing import Any, Literal

from nas_tf import networks
from nas_tf.config.schema import Experiment, FullStage
from nas_tf.data.examples import Examples
from nas_tf.data.presets import preset
from nas_tf.data.registry import dataset_info
from nas_tf.data.views import View
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks import Blueprint, Settings
from nas_tf.networks.blueprint import Size
from nas_tf.networks.heads import Head
from nas_tf.networks.state import Arrays, initial_arrays
from nas_tf.tasks import Task
from nas_tf.training.split_cache import task_of

Phase = Literal["search", "published"]
_LAST_BLOCK = {"auxcell": 16, "template": 5, "dpc": 16}
_FULL_VIEWS = {"stage_one": "full", "stage_two": "full", "reward": "evaluate"}


def task_for(config: Experiment) -> Task:
    """The task of the configured data set and target, with the configured settings."""
    return task_of(dataset_info(config.data.name), config.data.target, config.task)


def settings_for(config: Experiment, phase: Phase) -> Settings:
    """The paper's settings of a phase, with what the configuration changes."""
    chosen = {
        key: getattr(config.network, key)
        for key in ("width", "sep_repeats", "auxiliary")
        if getattr(config.network, key) is not None
    }
    make = networks.settings.search if phase == "search" else networks.settings.published
    return make(config.space, **chosen, alpha=config.network.alpha)


def drawer(config: Experiment, genotype: Genotype, phase: Phase) -> Callable[[Size], Blueprint]:
    """Draws a genotype at any input size under the configuration."""
    if genotype.space != config.space:
        raise ConfigError(
            f"the genotype is of space {genotype.space} and the configuration of {config.space}: "
            f"give a configuration of {genotype.space}, or space={genotype.space}"
        )
    task, settings = task_for(config), settings_for(config, phase)
    head = Head(task.name, task.channels)
    return lambda size: networks.draw(genotype, head, input_size=size, settings=settings)


def encoder_options(config: Experiment) -> dict[str, Any]:
    """What of the encoder all candidates share."""
    settings = settings_for(config, "search")
    return {
        "alpha": settings.alpha,
        "output_stride": settings.output_stride if config.space == "dpc" else 32,
        "last_block": _LAST_BLOCK[config.space],
    }


def encoder_arrays(config: Experiment) -> Arrays:
    """The encoder's weights that features are cached with and every candidate begins with."""
    blueprint, network = networks.draw_encoder(**encoder_options(config)), config.network
    return initial_arrays(
        blueprint, seed=config.seed, weights=network.weights, alpha=network.alpha
    )


def view_of(config: Experiment, stage: str, crop: Size | None = None, name: str = "") -> View:
    """How the data set is seen at a stage."""
    if config.data.search_views == "full":
        stage = _FULL_VIEWS.get(stage, stage)
    return preset(name or config.data.name, stage, crop)


def scored_view(config: Experiment, crop: Size | None = None) -> View:
    """How final scores are taken; a user's own folder at the last stage's crop."""
    return preset(config.data.name, "evaluate", crop or config.full.stages[-1].crop)


def stage_examples(config: Experiment, stage: FullStage) -> Examples:
    """A stage's examples, its own or the experiment's."""
    return Examples(stage.data or config.data.name, stage.split or config.data.train_split)
