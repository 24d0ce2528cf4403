"""Where examples come from.

``registry`` knows the datasets by name; a file each reads one of them in its published format
(``camvid``, ``voc2012_seg``, ``cityscapes_seg``, ``person_part``, ``nyuv2_depth``,
``coco_keypoints``, ``mpii_pose``), draws one (``shapes``) or reads a user's own (``folder``).
``check`` reads every file of a source, ``store`` turns it into prepared records, ``examples``
reads those in any order, ``pipeline`` makes batches of them, seen through the ``presets``.
"""

from nas_tf import quiet

quiet.load("tensorflow")
quiet.load("tensorflow_datasets")

from nas_tf.data.registry import DATASETS, dataset_info  # noqa: E402
from nas_tf.data.store import prepare, prepared  # noqa: E402

__all__ = ["DATASETS", "dataset_info", "prepare", "prepared"]
