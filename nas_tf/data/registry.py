"""Maps the dataset names of configurations to builders."""

from nas_tf.data.bccd import Bccd
from nas_tf.data.bsd500 import Bsd68, Bsd500, Set12
from nas_tf.data.builder import DenseBuilder
from nas_tf.data.camvid import Camvid
from nas_tf.data.cityscapes_seg import CityscapesSeg
from nas_tf.data.coco_det import CocoDet
from nas_tf.data.coco_keypoints import CocoKeypoints
from nas_tf.data.coco_voc_seg import CocoVocSeg
from nas_tf.data.folder import PREFIX, folder_builder
from nas_tf.data.info import DatasetInfo
from nas_tf.data.mpii_pose import MpiiPose
from nas_tf.data.nyuv2_depth import Nyuv2Depth
from nas_tf.data.person_part import PersonPart
from nas_tf.data.shapes import Shapes, ShapesBoxes, ShapesClean
from nas_tf.data.voc2012_seg import Voc2012Seg
from nas_tf.data.voc_det import Voc2007Det, Voc2012Det
from nas_tf.errors import DataError, did_you_mean

_BUILDERS: tuple[type[DenseBuilder], ...] = (
    *(Shapes, Camvid, Voc2012Seg, CocoVocSeg, CityscapesSeg, PersonPart),
    *(Nyuv2Depth, CocoKeypoints, MpiiPose),
    *(ShapesBoxes, Bccd, Voc2007Det, Voc2012Det, CocoDet),
    *(ShapesClean, Bsd500, Set12, Bsd68),
)
DATASETS = {builder.INFO.name: builder for builder in _BUILDERS}


def builder_class(name: str) -> type[DenseBuilder]:
    """Returns the builder of a dataset, or of a user's own ``folder:DIR``."""
    if name.startswith(PREFIX):
        return folder_builder(name)
    if name not in DATASETS:
        raise DataError(
            f"dataset {name!r} is unknown, expected {', '.join(DATASETS)} or folder:DIR"
            f"{did_you_mean(name, DATASETS)}"
        )
    return DATASETS[name]


def dataset_info(name: str) -> DatasetInfo:
    """Returns classes, ignore label, splits and targets of a dataset; reads none of its data."""
    return builder_class(name).INFO
