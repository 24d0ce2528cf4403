"""What a configuration asks of its data set, checked before anything is computed or written.

What a configuration shows by itself was refused when it was read (``config.combinations``).
"""

from collections.abc import Collection

from nas_tf.config.conflicts import SMALLEST
from nas_tf.config.schema import Config, Schedule
from nas_tf.data.folder import PREFIX
from nas_tf.data.info import DatasetInfo
from nas_tf.data.meta_split import meta_split
from nas_tf.data.registry import dataset_info
from nas_tf.data.store import open_split
from nas_tf.errors import ConfigError, DataError, meant
from nas_tf.networks.blueprint import Size
from nas_tf.tasks import Task
from nas_tf.training import from_config
from nas_tf.training.split_cache import task_of


def encoder_weights(config: Config) -> None:
    """Raises where the encoder's weights are absent or do not fit; first, for it is quick.

    ImageNet's are downloaded where they are not on this machine.
    """
    if config.network.weights is not None:
        from_config.encoder_arrays(config)


def before_search(config: Config) -> None:
    """Raises where candidates of this configuration cannot be trained and scored."""
    info, data = dataset_info(config.data.name), config.data
    task = _target(config)
    _one_of("data.train_split", data.train_split, info.splits, info.name)
    if data.train_split in info.unscored_splits:
        lacking = " and ".join(task.extras)
        raise ConfigError(
            f"data.train_split is {data.train_split}, and {info.name} gives no {lacking} there "
            f"that a search could score {task.name} by: expected another data set, and "
            "nas-tf finetune to go over to this one"
        )
    _has_crop("stage_one.crop", config.stage_one.crop or data.view.crop, info.name)
    count = _count(data.name, data.train_split)
    learning = len(meta_split(count, seed=data.split_seed, fraction=data.meta_val)[0])
    for key in ("stage_one", "stage_two"):
        stage = getattr(config, key)
        if stage is not None:
            each = _steps(f"{key}.batch", stage.batch, learning, f"meta-train of {info.name}")
            _warms_up(f"{key}.schedule", stage.schedule, stage.epochs * each)


def before_training(config: Config) -> None:
    """Raises where a network cannot be trained in full by this configuration, or not scored."""
    info, data = dataset_info(config.data.name), config.data
    _target(config)
    if data.val_split not in info.splits and info.name.startswith(PREFIX):
        raise ConfigError(
            f"data.val_split is {data.val_split}, {info.name} has {', '.join(info.splits)}, "
            "expected one of them; nas-tf data init DIR --overwrite divides train at random"
        )
    _one_of("data.val_split", data.val_split, info.splits, info.name)
    for number, stage in enumerate(config.full.stages):
        key = f"full.stages.{number}"
        own = dataset_info(stage.data or data.name)
        _agrees(f"{key}.data", own, config)
        split = "data.train_split" if stage.split is None else f"{key}.split"
        _one_of(split, stage.split or data.train_split, own.splits, own.name)
        _has_crop(f"{key}.crop", stage.crop or data.view.crop, own.name)
    _has_scales(config)
    _count(data.name, data.val_split)
    for number, stage in enumerate(config.full.stages):
        key, name = f"full.stages.{number}", stage.data or data.name
        split = stage.split or data.train_split
        each = _steps(f"{key}.batch", stage.batch, _count(name, split), f"{split} of {name}")
        _warms_up(f"{key}.schedule", stage.schedule, stage.epochs * each)


def _target(config: Config) -> Task:
    info = dataset_info(config.data.name)
    if config.data.target is not None:
        _one_of("data.target", config.data.target, info.targets, info.name)
    return from_config.task_for(config)


def _agrees(key: str, info: DatasetInfo, config: Config) -> None:
    """Another data set must agree with the experiment's in what is predicted."""
    own, wanted = dataset_info(config.data.name), _target(config)
    target = wanted.target.key
    if target in info.targets:
        task = task_of(info, target)
        if (task.name, task.channels) == (wanted.name, wanted.channels):
            if target != "label" or info.ignore_label == own.ignore_label:
                return
            raise ConfigError(
                f"{key} is {info.name}, whose ignored label is {info.ignore_label}, and that of "
                f"{own.name} is {own.ignore_label}, expected the same for all stages"
            )
        has = f"{task.channels} outputs of {task.name}"
    else:
        has = f"targets {', '.join(info.targets)}"
    raise ConfigError(
        f"{key} is {info.name}, which has {has}, and {own.name} has {wanted.channels} outputs of "
        f"{wanted.name}, expected the same for all stages"
    )


def _has_crop(key: str, crop: Size | None, name: str) -> None:
    """A user's own folder has no crop of its own until its pictures are looked at."""
    if crop is None and name.startswith(PREFIX):
        raise ConfigError(
            f"{key} and data.view.crop are null and {name} has none, expected [height, width]"
        )


def _has_scales(config: Config) -> None:
    """At the smallest scale the encoder must leave something of an image."""
    crop, least = from_config.geometry(config).size, SMALLEST[config.space]
    for scale in config.evaluation.scales:
        if round(min(crop) * scale) < least:
            raise ConfigError(
                f"evaluation.scales has {scale:g}, which makes {crop[0]}x{crop[1]} smaller than "
                f"the encoder of space {config.space} takes, expected none below "
                f"{least / min(crop):.3g}"
            )


def _one_of(key: str, value: str, accepted: Collection[str], name: str) -> None:
    if value not in accepted:
        raise ConfigError(
            f"{key} is {value}, {name} has {', '.join(accepted)}, expected one of them"
            f"{meant(value, accepted)}"
        )


def _count(name: str, split: str) -> int:
    """How many examples are prepared; none is read."""
    return open_split(name, split).info.splits[split].num_examples


def _steps(key: str, batch: int, count: int, what: str) -> int:
    """Full batches in an epoch."""
    if batch > count:
        raise DataError(f"{key} is {batch} and {what} has {count} examples, expected 1 to {count}")
    return count // batch


def _warms_up(key: str, schedule: Schedule, steps: int) -> None:
    if schedule.warmup_steps >= steps:
        raise ConfigError(
            f"{key}.warmup_steps is {schedule.warmup_steps} and the stage has {steps} steps, "
            f"expected 0 to {steps - 1}"
        )
