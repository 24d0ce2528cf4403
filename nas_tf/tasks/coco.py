"""Runs COCO's evaluation on annotations and findings in memory, by pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def evaluated(
    annotations: Sequence[dict[str, Any]],
    found: Sequence[dict[str, Any]],
    kind: Literal["bbox", "keypoints"],
    images: int,
    categories: Sequence[str],
    sigmas: Sequence[float] = (),
) -> COCOeval:
    """Returns the finished evaluation; images are numbered from 1, categories from 0.

    Args:
        annotations: The truth, as in COCO's files; ``id`` and ``iscrowd`` are added here.
        found: What was found, as in COCO's files of results.
        kind: What is compared.
        images: The number of images.
        categories: The names of the categories.
        sigmas: The falloffs of keypoints.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": n} for n in range(1, images + 1)],
            "annotations": [
                {"id": n, "iscrowd": 0, **annotation}
                for n, annotation in enumerate(annotations, 1)
            ],
            "categories": [{"id": n, "name": name} for n, name in enumerate(categories)],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(list(found)), kind)
        if sigmas:
            evaluation.params.kpt_oks_sigmas = np.asarray(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
