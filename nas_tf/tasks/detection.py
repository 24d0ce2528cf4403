"""Object detection: boxes with classes, by a head on each level of a pyramid (FCOS)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.input_geometry import InputGeometry
from nas_tf.networks.arithmetic import in_float
from nas_tf.networks.heads import Head
from nas_tf.sizes import Size
from nas_tf.tasks import fcos
from nas_tf.tasks.base import (
    Answer,
    Metrics,
    Outputs,
    Pass,
    Resolution,
    Result,
    TargetSpec,
    Task,
    check_count,
    check_length,
)
from nas_tf.tasks.dense import single
from nas_tf.tasks.detection_metrics import AveragePrecision, overlaps
from nas_tf.tasks.painting import (
    class_colours,
    fitted_points,
    photograph,
    side_by_side,
    with_boxes,
)

NO_BOX = -1.0
MOST = 100
"""The number of boxes in an answer; those without an object have score 0 and class -1."""
_LEAST_PROBABILITY, _CANDIDATES, _MOST_OVERLAP = 0.05, 1000, 0.6
_MATCH = 0.5
"""Boxes of two models match above this IoU."""
_LEAST_SHOWN = 0.3
"""Boxes with a lower score are not drawn."""


class Detection(Task):
    """Object detection with the losses of FCOS.

    A raw target is boxes [batch, boxes, 5], x1, y1, x2, y2 and class, of which class -1 is none.
    The encoded target is what each location of the pyramid learns. The answer has ``boxes``, in
    pixels of the image, ``scores``, ``classes`` and ``count``, best first.

    Args:
        classes: Number of classes.
        score: ``loss`` for exp(-loss) on the scored examples, as the paper rewards, or ``ap``:
            after short trainings, average precision is low and noisy.
        ranges: The largest distance in pixels, from a location to a side of its box, that P3, P4,
            P5 and P6 learn. Smaller ranges spread small objects over more levels.
        names: Names of the classes, for tables and pictures.
        colours: RGB colours of the classes.
    """

    name = "detection"
    headline = "ap50"
    primary = ("boxes", "scores", "classes", "count")
    decodes_in_float = True
    target = TargetSpec("boxes", 0)

    def __init__(
        self,
        classes: int,
        *,
        score: Literal["loss", "ap"] = "loss",
        ranges: Sequence[float] = fcos.RANGES,
        names: Sequence[str] | None = None,
        colours: Sequence[Any] | None = None,
    ) -> None:
        self.channels = check_count("classes", classes)
        if score not in ("loss", "ap"):
            raise ConfigError(f"score is {score!r}, expected 'loss' or 'ap'")
        for name, values in (("names", names), ("colours", colours)):
            if values is not None:
                check_length(name, values, classes, "class")
        self.ranges = tuple(ranges)
        if len(self.ranges) != len(fcos.RANGES) or not _is_rising(self.ranges):
            raise ConfigError(f"ranges is {list(ranges)}, expected four rising numbers of pixels")
        self.scoring = score
        self.needs_validation_loss = score == "loss"
        self.names = tuple(names or map(str, range(classes)))
        self.colours = [tuple(map(int, colour)) for colour in colours or class_colours(classes)]

    @property
    def head(self) -> Head:
        """A head with a logit per class, four distances and a centerness at each location."""
        return Head(self.name, self.channels)

    def settings(self) -> Mapping[str, Any]:
        """Returns the way in which candidates are scored, and the ranges of the levels."""
        return {"score": self.scoring, "ranges": self.ranges}

    @property
    def encoding(self) -> tuple[str, ...]:
        """Names ranges that are not those of the paper."""
        return () if self.ranges == fcos.RANGES else (f"ranges {self.ranges}",)

    def encode(self, target: Any, image_size: Size) -> tf.Tensor:
        """Returns what each location learns: class, distances and centerness."""
        return fcos.assigned(tf.cast(target, tf.float32), image_size, self.ranges)

    def loss(
        self, encoded: tf.Tensor, outputs: Outputs, *, at: Resolution = "target"
    ) -> tf.Tensor:
        """Returns the sum of the losses of classes, boxes and centerness."""
        parts = [fcos.flat(outputs, name) for name in ("classes", "boxes", "centerness")]
        return tf.add_n(list(fcos.losses(encoded, *parts)))

    def metrics(self) -> Metrics:
        """Returns metrics of average precision, as COCO and as PASCAL VOC define it."""
        return AveragePrecision(self)

    def score(self, result: Result) -> float:
        """Returns exp(-loss), which falls as the loss grows and is above 0, or the precision."""
        return math.exp(-result["loss"]) if self.scoring == "loss" else float(result["ap"])

    def answer(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the best boxes of each image that do not overlap better ones of their class."""
        candidates = self.undecoded(outputs, image_size)
        with in_float():
            return _best(candidates)

    def undecoded(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the best candidates of each level, of which many overlap."""
        if "candidate_boxes" in outputs:
            return outputs
        with in_float():
            return self._all_candidates(outputs, image_size)

    def _all_candidates(self, outputs: Outputs, image_size: Size) -> Answer:
        boxes = fcos.corners(fcos.flat(outputs, "boxes"), image_size)
        probability = tf.sigmoid(fcos.flat(outputs, "classes"))
        scores = probability * tf.sigmoid(fcos.flat(outputs, "centerness"))
        scores = tf.where(probability > _LEAST_PROBABILITY, scores, 0.0)
        found, first = [], 0
        for height, width in fcos.level_sizes(image_size).values():
            level = slice(first, first := first + height * width)
            found.append(self._candidates(boxes[:, level], scores[:, level]))
        names = ("candidate_boxes", "candidate_scores", "candidate_classes")
        return {
            name: tf.concat(parts, axis=1)
            for name, parts in zip(names, zip(*found, strict=True), strict=True)
        }

    def merged(self, passes: Sequence[Pass], image_size: Size) -> Outputs:
        """Returns the candidates of all passes, in pixels of the images."""
        found = []
        for outputs, (height, width), is_mirrored in passes:
            candidates = dict(self.undecoded(outputs, (height, width)))
            x1, y1, x2, y2 = tf.unstack(candidates["candidate_boxes"], axis=-1)
            if is_mirrored:
                x1, x2 = width - x2, width - x1
            scale = [image_size[1] / width, image_size[0] / height] * 2
            boxes = tf.stack([x1, y1, x2, y2], axis=-1) * tf.constant(scale, tf.float32)
            found.append(candidates | {"candidate_boxes": boxes})
        return {name: tf.concat([part[name] for part in found], axis=1) for name in found[0]}

    def _candidates(self, boxes: tf.Tensor, scores: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns boxes, scores and classes of the best pairs of location and class."""
        pairs = boxes.shape[1] * self.channels
        flat = tf.reshape(scores, (-1, pairs))
        best, index = tf.math.top_k(flat, min(_CANDIDATES, pairs))
        location, label = index // self.channels, index % self.channels
        return tf.gather(boxes, location, batch_dims=1), best, label

    def decoded(self, answer: Answer) -> Answer:
        """Chooses the best boxes among the candidates of an undecoded answer."""
        if "boxes" in answer:
            return answer
        found = _best({name: tf.constant(values) for name, values in answer.items()})
        return {name: values.numpy() for name, values in found.items()}

    def agreement(self, answer: Answer, reference: Answer) -> np.ndarray:
        """Returns the share of the reference's boxes that the answer has, at an IoU above 0.5."""
        pairs = zip(_rows(answer), _rows(reference), strict=True)
        return np.array([_agreement(*pair) for pair in pairs])

    def closeness(self, answer: Answer, reference: Answer) -> Mapping[str, np.ndarray]:
        """Returns the mean IoU of the reference's boxes and the answer's that match them."""
        pairs = zip(_rows(answer), _rows(reference), strict=True)
        found = [best[best > _MATCH] for best in (_best_overlaps(*pair) for pair in pairs)]
        return {"box_iou": np.array([best.mean() if len(best) else np.nan for best in found])}

    def in_picture(self, answer: Answer, geometry: InputGeometry, size: tf.Tensor) -> Answer:
        """Returns the boxes of the only window in pixels of the picture, cut at its edges.

        Boxes that are in the padding alone are left out.
        """
        boxes, scores, classes = (answer[name][0] for name in ("boxes", "scores", "classes"))
        corners = tf.reshape(boxes, (-1, 2, 2)) - 0.5
        most = tf.cast(tf.stack([size[1], size[0]]), tf.float32)
        inside = tf.clip_by_value(geometry.points(corners, size) + 0.5, 0.0, most)
        boxes = tf.reshape(inside, (-1, 4))
        is_box = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=-1) & (scores > 0)
        order = tf.argsort(tf.cast(is_box, tf.int32), direction="DESCENDING", stable=True)
        parts = _filled(is_box, boxes, scores, classes)
        found = dict(zip(("boxes", "scores", "classes"), parts, strict=True))
        ordered = {name: tf.gather(values, order) for name, values in found.items()}
        return {**ordered, "count": tf.reduce_sum(tf.cast(is_box, tf.int32))}

    def paint(
        self, image: np.ndarray, answer: Answer, *, size: Size | None = None, opacity: float = 1.0
    ) -> np.ndarray:
        """Returns the image with the boxes that are likely, their classes and scores."""
        scores = np.asarray(answer["scores"])
        shown = scores > _LEAST_SHOWN
        corners = np.asarray(answer["boxes"])[shown].reshape(-1, 2) - 0.5
        boxes = (fitted_points(corners, size, image) + 0.5).reshape(-1, 4)
        labels = np.asarray(answer["classes"])[shown].astype(int)
        texts = [
            f"{self.names[n]} {score:.2f}" for n, score in zip(labels, scores[shown], strict=True)
        ]
        return with_boxes(image, boxes, [self.colours[n] for n in labels], texts)

    def picture(self, image: np.ndarray, target: Any, outputs: Outputs) -> np.ndarray:
        """Returns the image, once plain, once with the true and once with the found boxes."""
        plain = photograph(image)
        found = self.answer(single(outputs), plain.shape[:2])
        truth = np.asarray(target)
        truth = truth[truth[:, 4] >= 0]
        labels = truth[:, 4].astype(int)
        true = with_boxes(
            plain, truth[:, :4], [self.colours[n] for n in labels], [self.names[n] for n in labels]
        )
        first = {name: np.asarray(values)[0] for name, values in found.items()}
        return side_by_side(plain, true, self.paint(plain, first))

    def about(self) -> Mapping[str, Any]:
        """Returns the classes and their colours."""
        return {"classes": list(self.names), "colours": [list(colour) for colour in self.colours]}

    @classmethod
    def of_model(cls, about: Mapping[str, Any]) -> "Detection":
        """Returns the task of the model's classes; without any, they are numbered."""
        names = tuple(map(str, about.get("classes") or range(255)))
        colours = about.get("colours")
        has_colours = isinstance(colours, list) and len(colours) == len(names)
        return cls(len(names), names=names, colours=colours if has_colours else None)


def _best(candidates: Answer) -> Answer:
    """Returns the best boxes of each image among candidates, without overlaps in a class."""
    parts = [candidates[f"candidate_{name}"] for name in ("boxes", "scores", "classes")]
    if parts[0].shape[0] is not None:  # a fixed batch needs no loop in the graph
        images = [_best_of_image(*(part[n] for part in parts)) for n in range(parts[0].shape[0])]
        found = [tf.stack(values) for values in zip(*images, strict=True)]
    else:
        signature = (
            *(tf.TensorSpec((MOST, 4), tf.float32), tf.TensorSpec((MOST,), tf.float32)),
            *(tf.TensorSpec((MOST,), tf.int32), tf.TensorSpec((), tf.int32)),
        )
        found = tf.map_fn(
            lambda image: _best_of_image(*image), tuple(parts), fn_output_signature=signature
        )
    return dict(zip(("boxes", "scores", "classes", "count"), found, strict=True))


def _is_rising(numbers: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise((0, *numbers)))


def _best_of_image(
    boxes: tf.Tensor, scores: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Suppresses overlaps; boxes of different classes are moved apart, so that none overlap.

    Boxes without an area, as at the padding of a picture, overlap nothing, not even themselves:
    TensorFlow Lite would repeat the first of them in all rows that remain.
    """
    usable = tf.math.is_finite(scores) & tf.reduce_all(tf.math.is_finite(boxes), axis=-1)
    usable &= tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=-1)
    scores = tf.where(usable, scores, 0.0)
    boxes = tf.where(usable[:, None], boxes, 0.0)
    apart = (tf.reduce_max(boxes) + 1) * tf.cast(classes, tf.float32)
    chosen, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes + apart[:, None],
        scores=scores,
        max_output_size=MOST,
        iou_threshold=_MOST_OVERLAP,
        score_threshold=0.0,
        pad_to_max_output_size=True,
    )
    parts = (tf.gather(values, chosen) for values in (boxes, scores, tf.cast(classes, tf.int32)))
    return *_filled(tf.range(MOST) < count, *parts), count


def _filled(
    is_box: tf.Tensor, boxes: tf.Tensor, scores: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Returns the boxes, and in the other rows those of no object."""
    return (
        tf.where(is_box[:, None], boxes, 0.0),
        tf.where(is_box, scores, 0.0),
        tf.where(is_box, classes, int(NO_BOX)),
    )


def _rows(answer: Answer) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the likely boxes and their classes of each image."""
    for boxes, scores, classes in zip(
        *(np.asarray(answer[name]) for name in ("boxes", "scores", "classes")), strict=True
    ):
        shown = scores > _LEAST_SHOWN
        yield boxes[shown], classes[shown]


_Boxes: TypeAlias = tuple[np.ndarray, np.ndarray]


def _agreement(answer: _Boxes, reference: _Boxes) -> float:
    if not len(reference[0]):
        return float(not len(answer[0]))
    return float((_best_overlaps(answer, reference) > _MATCH).mean())


def _best_overlaps(answer: _Boxes, reference: _Boxes) -> np.ndarray:
    """Returns the IoU of each of the reference's boxes and the nearest of its class."""
    (boxes, classes), (others, labels) = answer, reference
    if not len(boxes):
        return np.zeros(len(others))
    return np.where(labels[:, None] == classes[None], overlaps(others, boxes), 0.0).max(axis=1)
