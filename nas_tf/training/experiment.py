"""From a configuration to what a training needs: data, task, views, networks."""

from collections.abc import Callable
from typing import Literal

from nas_tf import networks
from nas_tf.config.schema import Experiment
from nas_tf.data.examples import Examples
from nas_tf.data.presets import preset
from nas_tf.data.registry import dataset_info
from nas_tf.data.views import View
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks import Blueprint, Settings
from nas_tf.networks.blueprint import Size
from nas_tf.networks.heads import Head
from nas_tf.tasks import Task
from nas_tf.training.split_cache import task_of

Phase = Literal["search", "published"]


def task_for(config: Experiment) -> Task:
    """The task of the configured data set and target."""
    return task_of(dataset_info(config.data.name), config.data.target)


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


def view_of(config: Experiment, stage: str, crop: Size | None = None, name: str = "") -> View:
    """How the data set is seen at a stage."""
    return preset(name or config.data.name, stage, crop)


def scored_view(config: Experiment) -> View:
    """How final scores are taken; a user's own folder at the last stage's crop."""
    return preset(config.data.name, "evaluate", config.full.stages[-1].crop)


def stage_examples(config: Experiment, name: str | None, split: str | None) -> Examples:
    """A stage's examples; another data set must agree in classes or joints."""
    chosen = Examples(name or config.data.name, split or config.data.train_split)
    task, own = task_of(chosen.info, config.data.target), task_for(config)
    if (task.name, task.channels) != (own.name, own.channels):
        raise ConfigError(
            f"data {name} has {task.channels} outputs of {task.name} and {config.data.name} has "
            f"{own.channels} of {own.name}, expected the same for all stages"
        )
    return chosen
