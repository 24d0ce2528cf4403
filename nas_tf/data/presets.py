"""Returns the papers' view of each dataset at each stage: its resizing, crop and augmentation.

VOC, depth and pose follow CVPR 2019 (arXiv 1810.10804), Cityscapes and CamVid WACV 2020
(arXiv 1904.02365), both with the values of the authors' search scripts where the papers give
none. CamVid's sequences differ in light, dusk included, so its views change light and colour.
``reward`` is the view of meta-val during a search, ``evaluate`` the view of final scores.
"""

from dataclasses import replace

from nas_tf.data.info import DatasetInfo
from nas_tf.data.registry import dataset_info
from nas_tf.data.views import View
from nas_tf.errors import ConfigError

STAGES = ("stage_one", "stage_two", "reward", "full", "evaluate")

_VOC = {
    "stage_one": View((256, 256), scale=(0.7, 1.4), shorter_at_least=300, mirror=True),
    "stage_two": View((350, 350), scale=(0.7, 1.4), shorter_at_least=400, mirror=True),
    "full": View((450, 450), scale=(0.5, 2.0), mirror=True),
    "reward": View((400, 400), shorter_at_least=400, centred=True),
    "evaluate": View((512, 512), centred=True),
}
_CITYSCAPES_SEARCH = View((321, 321), scale=(0.7, 1.4), longer_at_most=1024, mirror=True)
_DAYLIGHT = dict(brightness=0.15, contrast=0.3, saturation=0.3, hue=0.03)
_CAMVID_SEARCH = View((360, 480), scale=(0.7, 1.4), mirror=True, **_DAYLIGHT)
_NYU_SEARCH = View((350, 350), scale=(0.7, 1.4), shorter_at_least=400, mirror=True)
_SHAPES_SEARCH = View((128, 128), scale=(0.75, 1.5), mirror=True)
_SHAPES = {
    "stage_one": _SHAPES_SEARCH,
    "stage_two": _SHAPES_SEARCH,
    "full": replace(_SHAPES_SEARCH, scale=(0.5, 2.0)),
    "reward": View((128, 128), centred=True),
    "evaluate": View((128, 128), centred=True),
}
_BCCD = View((256, 320), scale=(0.8, 1.25), longer_side=320, mirror=True, **_DAYLIGHT)
_BCCD_SCORED = View((256, 320), longer_side=320, centred=True)
_VOC_BOXES = View((320, 320), scale=(0.7, 1.4), longer_side=320, mirror=True)
_VOC_BOXES_SCORED = View((320, 320), longer_at_most=320, centred=True)
_MPII = View((256, 256), scale=(0.75, 1.25), longer_side=384, centred=True, mirror=True, rotate=30)
_COCO = replace(_MPII, scale=(0.7, 1.3), rotate=40)
_CLEAN = View((64, 64), shorter_at_least=64, mirror=True, turns=True)
_CLEAN_SCORED = View((256, 256), centred=True)
_PERSON = View((256, 256), longer_side=384, centred=True)

_PRESETS: dict[str, dict[str, View]] = {
    "shapes": _SHAPES,
    "shapes_boxes": _SHAPES,
    "voc2012_seg": _VOC,
    "coco_voc_seg": _VOC,
    "person_part": _VOC,
    "camvid": {
        "stage_one": _CAMVID_SEARCH,
        "stage_two": _CAMVID_SEARCH,
        "full": replace(_CAMVID_SEARCH, scale=(0.5, 2.0)),
        "reward": View((360, 480), centred=True),
        "evaluate": View((360, 480), centred=True),
    },
    "cityscapes_seg": {
        "stage_one": _CITYSCAPES_SEARCH,
        "stage_two": _CITYSCAPES_SEARCH,
        "full": View((769, 769), scale=(0.5, 2.0), mirror=True),
        "reward": View((512, 512), longer_at_most=1024, centred=True),
        "evaluate": View((1024, 2048), centred=True),
    },
    "nyuv2_depth": {
        "stage_one": _NYU_SEARCH,
        "stage_two": _NYU_SEARCH,
        "full": View((500, 500), scale=(0.5, 2.0), mirror=True),
        "reward": View((400, 400), shorter_at_least=400, centred=True),
        "evaluate": View((480, 640), centred=True),
    },
    "bccd": dict.fromkeys(STAGES, _BCCD) | {"reward": _BCCD_SCORED, "evaluate": _BCCD_SCORED},
    **dict.fromkeys(
        ("voc2007_det", "voc2012_det", "coco_det"),
        dict.fromkeys(STAGES, _VOC_BOXES)
        | {
            "reward": _VOC_BOXES_SCORED,
            "evaluate": replace(_VOC_BOXES_SCORED, crop=(512, 512), longer_at_most=512),
        }
        | {"full": replace(_VOC_BOXES, crop=(512, 512), scale=(0.5, 2.0), longer_side=512)},
    ),
    "mpii_pose": dict.fromkeys(STAGES, _MPII) | {"reward": _PERSON, "evaluate": _PERSON},
    **dict.fromkeys(
        ("shapes_clean", "bsd500", "set12", "bsd68"),
        dict.fromkeys(STAGES, _CLEAN) | {"reward": _CLEAN_SCORED, "evaluate": _CLEAN_SCORED},
    ),
    "coco_keypoints": dict.fromkeys(STAGES, _COCO) | {"reward": _PERSON, "evaluate": _PERSON},
}


def is_preset(name: str) -> bool:
    """Returns whether the papers have settings for a dataset; a user's own folder has none."""
    return name in _PRESETS


def preset(name: str, stage: str, crop: tuple[int, int] | None = None) -> View:
    """Returns the view of a dataset at a stage; a user's own folder needs a ``crop``."""
    if stage not in STAGES:
        raise ConfigError(f"stage {stage!r} is unknown: {', '.join(STAGES)} are accepted")
    info = dataset_info(name)
    if name not in _PRESETS:
        return _shared_view(info, stage, crop)
    return _cropped(_PRESETS[name][stage], crop) if crop else _PRESETS[name][stage]


def _cropped(view: View, crop: tuple[int, int]) -> View:
    """Returns the view at another crop, which pictures to be restored must fill."""
    least = max(crop) if view.turns else view.shorter_at_least
    return replace(view, crop=crop, shorter_at_least=least)


def _shared_view(info: DatasetInfo, stage: str, crop: tuple[int, int] | None) -> View:
    """Returns the settings that most papers share, at the given crop."""
    if crop is None:
        raise ConfigError(f"{info.name} has no preset crop: give `crop` as height and width")
    if stage in ("reward", "evaluate"):
        return View(crop, centred=True)
    if "clean" in info.targets:
        return _cropped(_CLEAN, crop)
    return View(crop, scale=(0.5, 2.0) if stage == "full" else (0.7, 1.4), mirror=True)
