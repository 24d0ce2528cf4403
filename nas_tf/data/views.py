"""Describes how examples are resized, cropped and augmented for the network."""

from dataclasses import dataclass, fields

from nas_tf.data.degradations import Degradation
from nas_tf.errors import ConfigError


@dataclass(frozen=True, slots=True)
class View:
    """The transform of an example into an input of fixed size.

    A share ``scale_share`` of the images is scaled by a factor sampled from ``scale``, with the
    kernel ``interpolation``, bilinear or bicubic; ``longer_side`` first brings it to a given
    size, ``shorter_at_least`` raises and ``longer_at_most`` lowers the result. It is then
    cropped, at random or centred, and padded centred to ``crop`` (height, width). ``rotate`` is
    in degrees in both directions, and ``turns`` are quarter turns, of all four with equal chance;
    ``brightness``, ``contrast``, ``saturation`` and ``hue`` are the largest changes in both
    directions, as tf.image defines them. ``grey`` makes all channels the luma, and
    ``degradation`` comes last. For example::

        View((256, 256), scale=(0.7, 1.4), mirror=True)
    """

    crop: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    longer_side: int | None = None
    shorter_at_least: int | None = None
    longer_at_most: int | None = None
    centred: bool = False
    mirror: bool = False
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    scale_share: float = 1.0
    interpolation: str = "bilinear"
    turns: bool = False
    grey: bool = False
    degradation: Degradation | None = None

    def __post_init__(self) -> None:
        """Raises if a setting is out of range."""
        if min(self.crop) < 1:
            raise ConfigError(f"crop is {self.crop}: a height and a width of at least 1")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ConfigError(f"scale is {self.scale}: 0 < lowest <= highest is accepted")
        limits = {
            "scale_share": 1,
            "rotate": 180,
            "brightness": 1,
            "contrast": 1,
            "saturation": 1,
            "hue": 0.5,
        }
        for key, limit in limits.items():
            if not 0 <= getattr(self, key) <= limit:
                raise ConfigError(f"{key} is {getattr(self, key)}: 0–{limit} is accepted")
        if self.interpolation not in ("bilinear", "bicubic") or (self.bicubic and self.rotate):
            raise ConfigError(
                f"interpolation is {self.interpolation}: bilinear is accepted, or bicubic if "
                "rotate is 0"
            )

    def __repr__(self) -> str:
        """Returns the settings as cache keys have them: those of pictures only if they act."""
        acting = ("scale_share", "interpolation", "turns", "grey", "degradation")
        names = [
            field.name
            for field in fields(self)
            if field.name not in acting or getattr(self, field.name) != field.default
        ]
        return f"View({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    @property
    def bicubic(self) -> bool:
        """True if pictures are scaled with the bicubic kernel."""
        return self.interpolation == "bicubic"

    @property
    def still(self) -> bool:
        """True if images are only cropped and padded: size and orientation stay."""
        sized = self.longer_side or self.shorter_at_least or self.longer_at_most
        moved = self.mirror or self.rotate or self.turns or self.scale != (1.0, 1.0)
        return self.centred and not sized and not moved

    @property
    def recolours(self) -> bool:
        """True if the view changes brightness, contrast, saturation or hue."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))
