"""Checks once, before a search starts, the data and files that all its trials need."""

from pathlib import Path

from keras_tuner.src.distribute import utils as distribution

from nas_tf import latency as tables
from nas_tf.config.schema import Config
from nas_tf.search import one_shot, pricing
from nas_tf.training import from_config, hardware, own_data, preflight
from nas_tf.training.distill import load_teacher
from nas_tf.training.two_stage import Latency


def check(config: Config, *, latency: Latency | None = None) -> None:
    """Raises if data, weights, a teacher, a latency table or the scores' range does not fit.

    Within a trial it would be too late: KerasTuner counts an error there as the trial's. Threads
    are set first, since loading a teacher fixes TensorFlow's number of threads.
    """
    hardware.use_threads(config.threads)
    config = own_data.completed(config)
    if not distribution.is_chief_oracle():
        preflight.encoder_weights(config)
    preflight.before_search(config)
    pricing.check(config)
    if config.search.supernet is not None:
        one_shot.trained_supernet(config)
    if config.teacher is not None and config.stage_one.distillation:
        view = from_config.view_of(config, "stage_one", config.stage_one.crop)
        load_teacher(Path(config.teacher), from_config.task_for(config), view.crop)
    source = config.search.latency
    if latency is None and source not in (None, pricing.TFLITE):
        table = tables.read(Path(source))
        if table.missing(needed := pricing.operations(config)):
            table.check(needed)
