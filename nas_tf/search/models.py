"""Keras models of candidates: as a search draws them, and with what a candidate has learnt."""

from tensorflow import keras

from nas_tf import networks
from nas_tf.config.schema import Experiment
from nas_tf.genotype import Genotype
from nas_tf.networks import Settings
from nas_tf.networks.heads import Head
from nas_tf.networks.state import Arrays, arrays_of_model, fill_model
from nas_tf.tasks import Task
from nas_tf.training import experiment


def untrained(
    genotype: Genotype, task: Task, config: Experiment | None, weights: str | None
) -> keras.Model:
    """The model under the search's settings, for any image size where its space allows that.

    Without a configuration the settings are the paper's.
    """
    return networks.build(
        genotype,
        Head(task.name, task.channels),
        input_size=_size(genotype, config),
        settings=_settings(genotype, config),
        weights=weights,
    )


def fill(model: keras.Model, config: Experiment, learnt: Arrays) -> None:
    """Gives a model what its candidate has learnt, on the encoder that the features came from.

    Of a candidate that ended with stage one, only the decoder is learnt.
    """
    fill_model(model, arrays_of_model(model) | experiment.encoder_arrays(config) | learnt)


def _settings(genotype: Genotype, config: Experiment | None) -> Settings:
    if config is None:
        return networks.settings.search(genotype.space)
    return experiment.settings_for(config, "search")


def _size(genotype: Genotype, config: Experiment | None) -> tuple[int, int] | None:
    if config is None or genotype.space != "dpc":
        return None
    return experiment.reward_view(config).crop
