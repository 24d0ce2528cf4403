"""Image restoration: the clean picture behind noise, rain or another degradation."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from PIL import Image

from nas_tf.errors import ConfigError
from nas_tf.sizes import Size
from nas_tf.tasks import restoration_metrics as figures
from nas_tf.tasks.base import Answer, Outputs, Resolution, Result, TargetSpec, per_image
from nas_tf.tasks.dense import LOGITS, MapTask, single
from nas_tf.tasks.painting import photograph, side_by_side
from nas_tf.tasks.resolution import aligned, enlarged

Protocol = Literal["standard", "hinas"]
_CLOSE = 2
"""The largest difference of equal answers, in steps of 255."""
_PADDING = -2
"""The value of a clean target in [-1, 1] where it pads a picture."""


class Restoration(MapTask):
    """Restoration with the loss of HiNAS, (MSE + weight · log10(1 / SSIM)) / 2.

    A raw target is the clean picture [batch, height, width, 3] in [-1, 1], whose padding counts
    nowhere; with several levels of noise it is a dictionary of ``clean`` and ``level``. The
    network's map is the restored picture in [0, 1], and the answer is ``restored``, its bytes::

        task = Restoration(channels=3)
        metrics, shape = task.metrics(), (1, 32, 32, 3)
        metrics.update(tf.zeros(shape), {"logits": tf.fill(shape, 0.5)}, (32, 32))
        print(metrics.result()["psnr"])

    Args:
        channels: 1 for grey pictures, 3 for colour.
        ssim_weight: Weight of log10(1 / SSIM): 0.6 for trainings, 0.5 in the published search.
        protocol: ``standard`` scores whole pictures with one field of noise, ``hinas`` averages
            overlapping patches, each with noise of its own, and reads up to 1 dB higher.
        levels: Deviations of noise that have figures of their own.
    """

    name = "restoration"
    headline = "ssim"
    primary = ("restored",)
    own_size = True
    float_signatures = ("floats",)
    target = TargetSpec("clean", _PADDING)

    def __init__(
        self,
        channels: int = 1,
        *,
        ssim_weight: float = 0.6,
        protocol: Protocol = "standard",
        levels: tuple[float, ...] = (),
    ) -> None:
        if channels not in (1, 3):
            raise ConfigError(f"channels is {channels!r}, expected 1 or 3")
        if protocol not in ("standard", "hinas"):
            raise ConfigError(f"protocol is {protocol!r}, expected 'standard' or 'hinas'")
        if not 0 <= ssim_weight < float("inf"):
            raise ConfigError(f"ssim_weight is {ssim_weight!r}, expected 0 or more")
        self.channels, self.ssim_weight = channels, ssim_weight
        self.protocol, self.levels = protocol, tuple(levels)
        self.extras = ("level",) if self.levels else ()

    @property
    def has_encoding(self) -> bool:
        """True if the raw target has the level of noise, which no loss reads."""
        return bool(self.extras)

    def settings(self) -> Mapping[str, Any]:
        """Returns the channels, the weight in the loss and the protocol of scores."""
        return {
            "channels": self.channels,
            "ssim_weight": self.ssim_weight,
            "protocol": self.protocol,
        }

    def encode(self, target: Any, image_size: Size) -> tf.Tensor:
        """Returns the clean picture."""
        return target["clean"] if isinstance(target, Mapping) else target

    def truth(self, target: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the clean picture in [0, 1] and the pixels that are known, of a raw target."""
        clean = tf.convert_to_tensor(self.encode(target, ()))[..., : self.channels]
        known = tf.reduce_all(clean > (_PADDING - 1) / 2, axis=-1, keepdims=True)
        return tf.where(known, (clean + 1) / 2, 0.0), known

    def loss(
        self, encoded: tf.Tensor, outputs: Outputs, *, at: Resolution = "target"
    ) -> tf.Tensor:
        """Returns the mean of the squared error and of the weighted log10(1 / SSIM)."""
        target, restored = aligned(tf.cast(encoded, tf.float32), outputs[LOGITS], at)
        clean, known = self.truth(target)
        return figures.loss(clean, restored, known, self.ssim_weight)

    def metrics(self) -> figures.Quality:
        """Returns new metrics; those of the protocol ``hinas`` have its SSIM as well."""
        return figures.Quality(self, levels=self.levels, padded=self.protocol == "hinas")

    def score(self, result: Result) -> float:
        """Returns (SSIM + PSNR / 100) / 2, by which HiNAS selects, as a share."""
        return (float(result["ssim"]) + float(result["psnr"]) / figures.MOST_PSNR) / 2

    def answer(self, outputs: Outputs, image_size: Size | None) -> Answer:
        """Returns the restored picture as bytes; None leaves the size of the network's map."""
        values = self._clipped(outputs, image_size)
        # Not a product: TFLite computes it in place, and calibrates its factor with its range.
        factor = tf.fill((1, 1, self.channels, 1), 255.0)
        scaled = tf.nn.depthwise_conv2d(values, factor, (1, 1, 1, 1), "VALID")
        return {"restored": tf.cast(tf.round(scaled), tf.uint8)}

    def signatures(self) -> Mapping[str, Callable[[Outputs], Answer]]:
        """Returns ``floats``: the restored picture in 0–255, not rounded."""
        return {"floats": lambda outputs: {"restored": 255 * self._clipped(outputs, None)}}

    def _clipped(self, outputs: Outputs, size: Size | None) -> tf.Tensor:
        return tf.clip_by_value(enlarged(outputs[LOGITS], size), 0.0, 1.0)

    def decoded(self, answer: Answer) -> Answer:
        """Returns the picture as uint8, also that of runtimes that have no bytes."""
        return {**answer, "restored": np.asarray(answer["restored"]).astype(np.uint8)}

    def marked(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the restored picture before it is bytes; values that are not finite stay so."""
        values = enlarged(outputs[LOGITS], image_size)
        finite = tf.math.is_finite(values)
        return {"restored": tf.where(finite, tf.clip_by_value(values, 0.0, 1.0), values)}

    def agreement(self, answer: Answer, reference: Answer) -> np.ndarray:
        """Returns the share of values within two steps of 255."""
        first, second = (np.asarray(part["restored"], np.int32) for part in (answer, reference))
        return per_image(np.abs(first - second) <= _CLOSE)

    def from_png(self, values: np.ndarray) -> np.ndarray:
        """Returns a picture with a channel dimension."""
        return values if values.ndim == 3 else values[..., None]

    def coloured(self, values: np.ndarray) -> np.ndarray:
        """Returns a picture in RGB."""
        return np.broadcast_to(values, (*values.shape[:2], 3)).astype(np.uint8)

    def paint(
        self, image: np.ndarray, answer: Answer, *, size: Size | None = None, opacity: float = 1.0
    ) -> np.ndarray:
        """Returns the restored picture at the image's size, whatever the opacity."""
        return super().paint(image, answer, size=size)

    def value_picture(self, answer: Answer) -> Image.Image:
        """Returns the restored picture, grey or RGB."""
        values = np.asarray(answer["restored"])
        return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)

    def picture(self, image: np.ndarray, target: Any, outputs: Outputs) -> np.ndarray:
        """Returns the degraded, the restored and the clean picture side by side."""
        degraded, clean = photograph(image), photograph(self.encode(target, ()))
        restored = self.answer(single(outputs), degraded.shape[:2])["restored"][0].numpy()
        return side_by_side(degraded, self.coloured(restored), clean)

    def about(self) -> Mapping[str, Any]:
        """Returns the number of channels."""
        return {"channels": self.channels}

    @classmethod
    def of_model(cls, about: Mapping[str, Any]) -> "Restoration":
        """Returns the task of a model; grey unless its metadata state other channels."""
        return cls(about.get("channels", 1))
