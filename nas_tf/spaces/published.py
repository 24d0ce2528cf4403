"""The genotypes that the papers publish, with the figures that are printed for them."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nas_tf.genotype import Genotype
from nas_tf.spaces.auxcell import AuxCellSpace
from nas_tf.spaces.base import SearchSpace
from nas_tf.spaces.baseline import NETWORKS, BaselineSpace
from nas_tf.spaces.dpc import DPCSpace
from nas_tf.spaces.fcos import FcosSpace
from nas_tf.spaces.restoration import VARIANTS, RestorationSpace
from nas_tf.spaces.template import TemplateSpace

_CVPR = "Nekrasov et al., CVPR 2019"
_WACV = "Nekrasov et al., WACV 2020"
_DPC = "Chen et al., NeurIPS 2018"
_FCOS = "Wang et al., CVPR 2020"
_DEEPLAB = "Chen et al., 2017; Sandler et al., CVPR 2018"
_REFINENET = "Nekrasov et al., BMVC 2018"
_UNET = "Ronneberger et al., MICCAI 2015"
_IRNAS = "Zhang et al., CVPR 2020"
_PYRAMID = "[[3,3,4,4,1],[3,3,4,4,1],[4,3,4,3,1],[1,3,4,3,1],[5,3,4,4,1],[4,7,4,4,1],[7,2,4,4,1]]"


@dataclass(frozen=True, slots=True)
class Published:
    """A published genotype: its name, its paper, and its outputs, input size and figures there."""

    name: str
    genotype: Genotype
    paper: str
    num_classes: int
    input_size: tuple[int, int]
    figures: Mapping[str, str] = field(default_factory=dict)


def _auxcell(name: str, text: str, parameters: str, madds: str) -> Published:
    figures = {"parameters": parameters, "multiply-adds": madds}
    genotype = AuxCellSpace().parse(text)
    return Published(name, genotype, _CVPR, 21, (512, 512), figures)


def _template(name: str, text: str, parameters: str) -> Published:
    figures = {"parameters": parameters}
    return Published(name, TemplateSpace().parse(text), _WACV, 19, (1024, 2048), figures)


def _dpc(name: str, cell: list[Any], madds: str) -> Published:
    figures = {"multiply-adds of the cell": madds}
    return Published(name, DPCSpace().parse(cell), _DPC, 19, (1025, 2049), figures)


def _fcos(name: str, genotype: Genotype, parameters: str, madds: str) -> Published:
    figures = {
        "parameters with ResNet-50, without its first stages and batch norms": parameters,
        "multiply-adds with ResNet-50": madds,
    }
    return Published(name, genotype, _FCOS, 80, (800, 1088), figures)


def _baseline(name: str, paper: str, **figures: str) -> Published:
    """Returns a decoder designed by hand, with the figures of CVPR 2019's Table 1, if any."""
    genotype = BaselineSpace().decode([NETWORKS.index(name)])
    named = {key.replace("_", "-"): value for key, value in figures.items()}
    return Published(name, genotype, paper, 21, (512, 512), named)


def _hinas(op: str, levels: list[int], parameters: str) -> Published:
    """Returns the network whose cells have a single operation, on the last two layers."""
    number = VARIANTS["public"].ops.index(op)
    cell = [[number, source] for _ in range(4) for source in (0, 1)]
    figures = {"parameters of the released code, with a width of 20": parameters}
    genotype = RestorationSpace().parse([[cell] * 3, levels])
    return Published(f"hinas-{op}", genotype, _IRNAS, 1, (321, 481), figures)


PUBLISHED: Mapping[str, Published] = {
    entry.name: entry
    for entry in (
        _auxcell(
            "arch0",
            "[[[3,3],[3,2],[3,0]],[8,[0,0,5,2],[0,2,8,8],[0,5,1,4]]]",
            "2.6 M",
            "4.47 B",
        ),
        _auxcell(
            "arch1",
            "[[[2,3],[3,1],[4,4]],[2,[1,0,3,6],[0,1,2,8],[2,0,6,1]]]",
            "2.8 M",
            "2.95 B",
        ),
        _auxcell(
            "arch2",
            "[[[1,3],[4,3],[2,2]],[5,[0,0,4,1],[3,2,0,1],[5,6,5,0]]]",
            "2.9 M",
            "3.47 B",
        ),
        _template(
            "wacv-arch0",
            "[[[3,0,1],[4,1,1],[3,1,1]],[[0,1,0,0,1],[2,1,2,1,0],[3,1,1,1,0],[1,1,2,0,0],"
            "[3,0,2,0,0],[5,3,2,1,0],[0,5,0,1,0]]]",
            "280,147 (with 1,088 of a convolution that is missing in the standard MobileNetV2)",
        ),
        _template(
            "wacv-arch1",
            "[[[1,1,0],[1,3,0],[3,4,0]],[[1,1,0,0,0],[0,1,1,1,1],[3,1,2,3,0],[3,0,2,2,0],"
            "[0,1,2,0,0],[2,1,1,3,0],[4,0,2,2,0]]]",
            "268,235 (with 1,088 of a convolution that is missing in the standard MobileNetV2)",
        ),
        _dpc(
            "dpc-top1",
            [
                [0, "sep3x3_1x6"],
                [1, "sep3x3_18x15"],
                [2, "sep3x3_6x3"],
                [1, "sep3x3_1x1"],
                [1, "sep3x3_6x21"],
            ],
            "3.00 B",
        ),
        _dpc(
            "aspp",
            [
                [0, "conv1x1"],
                [0, "sep3x3_6x6"],
                [0, "sep3x3_12x12"],
                [0, "sep3x3_18x18"],
                [0, "pool_1x1"],
            ],
            "2.82 B",
        ),
        Published(
            "deeplabv3",
            DPCSpace(branches=2).parse([[0, "conv1x1"], [0, "pool_1x1"]]),
            _DEEPLAB,
            21,
            (513, 513),
            {"parameters": "2.1 M", "multiply-adds in CVPR 2019": "8.73 B"},
        ),
        _fcos(
            "nas-fcos",
            FcosSpace().parse(f"[{_PYRAMID},[0],[5,1,5,0,4,4]]"),
            "38.4 M",
            "189.6 B",
        ),
        _fcos("nas-fcos-fpn", FcosSpace(search="fpn").parse(_PYRAMID), "38.9 M", "199.3 B"),
        _fcos("fpn-fcos", Genotype.of("fcos", ()), "32.0 M", "169.9 B"),
        _baseline("lw-refinenet", _REFINENET, parameters="3.3 M", multiply_adds="9.3 B"),
        _baseline("unet-mnv2", _UNET),
        _hinas("skip", [0, 0, 0], "151,009"),
        _hinas("conv3x3", [1, 1, 1], "360,009"),
        _hinas("sep3x3", [1, 2, 2], "260,169"),
        _hinas("dil5x5", [1, 2, 2], "996,969"),
    )
}


def example(space: SearchSpace) -> Published:
    """Returns a space's first published genotype; without one of its size, a sample.

    A sample has the outputs and the input size of the space's published ones, if any.
    """
    own = [entry for entry in PUBLISHED.values() if entry.genotype.space == space.name]
    for entry in own:
        if space == space.of_size(entry.genotype.parts):
            return entry
    sample = Published("sample", space.sample(random.Random(0)), "", 21, (512, 512))
    if own:
        sample = replace(sample, num_classes=own[0].num_classes, input_size=own[0].input_size)
    return sample
