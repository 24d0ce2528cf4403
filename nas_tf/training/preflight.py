"""Checks a configuration against its data set before anything is computed or written.

Conflicts within a configuration are refused when it is read (``config.conflicts``).
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from nas_tf import spaces
from nas_tf.config.schema import Config, Schedule
from nas_tf.data.folder import PREFIX
from nas_tf.data.info import DatasetInfo
from nas_tf.data.joined_splits import overlap, parts
from nas_tf.data.registry import dataset_info
from nas_tf.data.store import count, opened
from nas_tf.errors import ConfigError, DataError, did_you_mean
from nas_tf.sizes import Size
from nas_tf.tasks import Restoration, Task
from nas_tf.training import from_config
from nas_tf.training.scoring import check_evaluation
from nas_tf.training.task_settings import task_of


def encoder_weights(config: Config) -> None:
    """Raises if the encoder's weights are missing or do not fit; it comes first, being quick.

    Those of ImageNet are downloaded if they are not on this machine, and the space has a use for
    them on these pictures.
    """
    _target(config)
    if config.network.weights is not None:
        from_config.encoder_arrays(config)


def before_search(config: Config) -> None:
    """Raises if candidates of this configuration cannot be trained and scored."""
    info, data = dataset_info(config.data.name), config.data
    task = _target(config)
    _check_split("data.train_split", data.train_split, info)
    if not {*parts(data.train_split)}.isdisjoint(info.unscored_splits):
        missing = " and ".join(task.extras)
        raise ConfigError(
            f"data.train_split is {data.train_split}, and {info.name} has no {missing} there "
            f"that a search could score {task.name} by: expected another data set, and "
            "nas-tf finetune to go over to this one"
        )
    _check_crop("stage_one.crop", config.stage_one.crop or data.view.crop, info.name)
    _check_boxes(config, data.name, data.train_split)
    meta_train, share = _meta_train(config), config.stage_one.image_share
    everything = f"meta-train of {info.name}"
    used = everything if share == 1 else f"the share {share:g} of {everything}"
    for key, part, indices in (
        ("stage_one", used, from_config.stage_one_indices(config, meta_train)),
        ("stage_two", everything, meta_train),
    ):
        stage = getattr(config, key)
        if stage is not None:
            steps = _steps(f"{key}.batch", stage.batch, len(indices), part)
            _check_warmup(f"{key}.schedule", stage.schedule, stage.epochs * steps)


def before_gradient_search(config: Config) -> None:
    """Raises if the super-net of this configuration cannot be trained and scored."""
    info, data = dataset_info(config.data.name), config.data
    _target(config)
    _check_split("data.train_split", data.train_split, info)
    half, settings = f"half of meta-train of {info.name}", config.gradient
    steps = _steps("gradient.batch", settings.batch, len(_meta_train(config)) // 2, half)
    _check_warmup("gradient.schedule", settings.schedule, settings.epochs * steps)


def _meta_train(config: Config) -> np.ndarray:
    return from_config.meta_indices(config, count(config.data.name, config.data.train_split))[0]


def before_training(config: Config) -> None:
    """Raises if a network cannot be trained in full or scored by this configuration."""
    info, data = dataset_info(config.data.name), config.data
    _target(config)
    is_own = info.name.startswith(PREFIX)
    if is_own and sum(count(info.name, split) for split in info.splits) < 2:
        raise ConfigError(f"{info.name} has 1 picture, expected 2 or more")
    if not {*parts(data.val_split)} <= info.splits.keys() and is_own:
        raise ConfigError(
            f"data.val_split is {data.val_split}, {info.name} has {', '.join(info.splits)}, "
            "expected one of them; nas-tf data init DIR --overwrite divides train at random"
        )
    _check_split("data.val_split", data.val_split, info)
    if (trained := trained_on(config, data.val_split)) is not None:
        raise ConfigError(
            f"data.val_split is {data.val_split} and {trained}, expected another split for "
            "scores, such as data.val_split=test"
        )
    for number, stage in enumerate(config.full_training.stages):
        key = f"full_training.stages.{number}"
        for source in _sources(config, number):
            own = dataset_info(source.name)
            _check_agreement(f"{source.key}.data", own, config)
            _check_split(source.split_key, source.split, own)
        _check_crop(f"{key}.crop", stage.crop or data.view.crop, stage.data or info.name)
    _check_scales(config)
    count(data.name, data.val_split)
    _check_boxes(config, data.name, data.val_split)
    for number, stage in enumerate(config.full_training.stages):
        key, splits = f"full_training.stages.{number}", from_config.stage_splits(config, stage)
        for name, split in splits:
            _check_boxes(config, name, split)
        total = sum(count(name, split) for name, split in splits)
        words = " with ".join(f"{split} of {name}" for name, split in splits)
        steps = _steps(f"{key}.batch", stage.batch, total, words)
        _check_warmup(f"{key}.schedule", stage.schedule, stage.epochs * steps)


def trained_on(config: Config, split: str) -> str | None:
    """Returns in words which pictures of a split full training has; None if it has none."""
    for number in range(len(config.full_training.stages)):
        for source in _sources(config, number):
            if source.name == config.data.name and overlap(source.split, split):
                return f"{source.split_key} is {source.split}, which has pictures of it"
    return None


@dataclass(frozen=True)
class _Source:
    """A split of a data set that a stage of full training reads, with the keys that name it."""

    key: str
    split_key: str
    name: str
    split: str


def _sources(config: Config, number: int) -> list[_Source]:
    """Returns what a stage of full training reads: its own split, then the joined."""
    stage, key = config.full_training.stages[number], f"full_training.stages.{number}"
    keys = [key, *(f"{key}.joined.{place}" for place in range(len(stage.joined)))]
    split_keys = [f"{own}.split" for own in keys]
    if stage.split is None:
        split_keys[0] = "data.train_split"
    splits = from_config.stage_splits(config, stage)
    return [
        _Source(*keys_of, *split) for *keys_of, split in zip(keys, split_keys, splits, strict=True)
    ]


def _target(config: Config) -> Task:
    info = dataset_info(config.data.name)
    if config.data.target is not None:
        _check_value("data.target", config.data.target, info.targets, info.name)
    task, space = from_config.task_for(config), spaces.get(config.space)
    if "head_width" not in space.network_settings and task.target.key == "boxes":
        raise ConfigError(
            f"space is {space.name}, which has no towers that find the boxes of {info.name}, "
            f"expected fcos, as in bccd_fcos_fpn with data.name={info.name}"
        )
    if "head_width" in space.network_settings and task.target.key != "boxes":
        raise ConfigError(
            f"space is {space.name}, whose towers find boxes, and the target of {info.name} is "
            f"{task.target.key}, expected another space or data set"
        )
    if isinstance(task, Restoration) and space.taps:
        raise ConfigError(
            f"space is {space.name}, whose networks predict at a lower resolution, and the "
            f"pictures of {info.name} are to be restored, expected restoration, as in "
            f"shapes_denoise with data.name={info.name}"
        )
    return task


def _check_agreement(key: str, info: DatasetInfo, config: Config) -> None:
    """Raises if a stage's data set has another target than the configuration's."""
    own, wanted = dataset_info(config.data.name), _target(config)
    target = wanted.target.key
    if target in info.targets:
        task = task_of(info, target)
        if task.head == wanted.head:
            if target != "label" or info.ignore_label == own.ignore_label:
                return
            raise ConfigError(
                f"{key} is {info.name}, whose ignored label is {info.ignore_label}, and that of "
                f"{own.name} is {own.ignore_label}, expected the same for all stages"
            )
        has = f"{task.head.channels} outputs of {task.name}"
    else:
        has = f"targets {', '.join(info.targets)}"
    raise ConfigError(
        f"{key} is {info.name}, which has {has}, and {own.name} has "
        f"{wanted.head.channels} outputs of {wanted.name}, expected the same for all stages"
    )


def _check_crop(key: str, crop: Size | None, name: str) -> None:
    """Raises if a user's own folder, whose pictures were not measured, has no crop."""
    if crop is None and name.startswith(PREFIX):
        raise ConfigError(
            f"{key} and data.view.crop are null and {name} has none, expected [height, width]"
        )


def _check_boxes(config: Config, name: str, split: str) -> None:
    """Raises if a split has no box, or a box is faulty and the configuration refuses them."""
    found = opened(name)
    if found.left_out and config.data.faulty_boxes == "refuse":
        raise DataError(
            f"{name} has {len(found.left_out)} faulty boxes and data.faulty_boxes is refuse; the "
            f"first: {found.left_out[0]}"
        )
    if {*parts(split)} <= {*found.without_boxes}:
        raise DataError(
            f"split {split} of {name} has no box in any of its {count(name, split)} pictures, "
            "expected some; annotate them, or choose another split"
        )


def _check_scales(config: Config) -> None:
    """Raises if scales cannot be averaged, or make images too small for the encoder."""
    check_evaluation(from_config.task_for(config), config.evaluation)
    crop, space = from_config.geometry(config).size, spaces.get(config.space)
    least = space.smallest_side
    for scale in config.evaluation.scales:
        if round(min(crop) * scale) < least:
            raise ConfigError(
                f"evaluation.scales has {scale:g}, which makes {crop[0]}x{crop[1]} smaller than "
                f"the encoder of space {space.name} takes, expected none below "
                f"{least / min(crop):.3g}"
            )


def _check_split(key: str, split: str, info: DatasetInfo) -> None:
    """Raises if a part of a split is unknown, or given twice."""
    names = parts(split)
    for part in names:
        _check_value(key, part, info.splits, info.name)
    if len({*names}) < len(names):
        raise ConfigError(f"{key} is {split}, expected each part once, such as train+val")


def _check_value(key: str, value: str, accepted: Collection[str], name: str) -> None:
    if value not in accepted:
        raise ConfigError(
            f"{key} is {value}, {name} has {', '.join(accepted)}, expected one of them"
            f"{did_you_mean(value, accepted)}"
        )


def _steps(key: str, batch: int, total: int, split: str) -> int:
    """Returns the number of full batches in an epoch."""
    if batch > total:
        raise DataError(
            f"{key} is {batch} and {split} has {total} examples, expected 1 to {total}"
        )
    return total // batch


def _check_warmup(key: str, schedule: Schedule, steps: int) -> None:
    if schedule.warmup_steps >= steps:
        raise ConfigError(
            f"{key}.warmup_steps is {schedule.warmup_steps} and the stage has {steps} steps, "
            f"expected 0 to {steps - 1}"
        )
