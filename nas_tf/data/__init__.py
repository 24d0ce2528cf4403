"""Reads, checks, prepares and streams the datasets.

``registry`` maps the datasets' names to their builders. Each builder has a module, which reads a
published format (``camvid``, ``voc2012_seg``, ``coco_voc_seg``, ``cityscapes_seg``,
``person_part``, ``nyuv2_depth``, ``coco_keypoints``, ``mpii_pose``, ``bccd``, ``voc_det``,
``coco_det``, ``bsd500``), renders the embedded datasets (``shapes``) or reads a user's own folder
(``folder``). ``check`` reads every file of a source, ``store`` turns it into prepared records,
``examples`` reads the records in any order, and ``pipeline`` batches them after the resizing,
cropping and augmentation of the ``presets``. ``degradations`` are what is done to clean pictures,
and ``degraded_pictures`` those of scores.
"""

from nas_tf import quiet

quiet.load("tensorflow")
quiet.load("tensorflow_datasets")

from nas_tf.data.registry import DATASETS, dataset_info  # noqa: E402
from nas_tf.data.store import prepare, prepared  # noqa: E402

__all__ = ["DATASETS", "dataset_info", "prepare", "prepared"]
