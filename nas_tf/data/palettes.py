"""The colours in which the papers print label maps."""

from nas_tf.errors import DataError

Colour = tuple[int, int, int]

_CAMVID: tuple[Colour, ...] = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)

_CITYSCAPES: tuple[Colour, ...] = (
    (128, 64, 128),
    (244, 35, 232),
    (70, 70, 70),
    (102, 102, 156),
    (190, 153, 153),
    (153, 153, 153),
    (250, 170, 30),
    (220, 220, 0),
    (107, 142, 35),
    (152, 251, 152),
    (70, 130, 180),
    (220, 20, 60),
    (255, 0, 0),
    (0, 0, 142),
    (0, 0, 70),
    (0, 60, 100),
    (0, 80, 100),
    (0, 0, 230),
    (119, 11, 32),
)

_SHAPES: tuple[Colour, ...] = (
    (70, 74, 84),
    (230, 85, 80),
    (64, 132, 214),
    (242, 184, 60),
    (150, 98, 196),
    (68, 176, 120),
    (238, 130, 178),
    (160, 112, 72),
    (96, 206, 214),
)

_FIXED = {"camvid": _CAMVID, "cityscapes": _CITYSCAPES, "shapes": _SHAPES}


def colours(palette: str, count: int) -> tuple[Colour, ...]:
    """The first ``count`` colours of camvid, cityscapes, shapes, or of voc at any length."""
    if palette == "voc":
        return tuple(_voc(label) for label in range(count))
    if palette not in _FIXED:
        accepted = ", ".join(sorted([*_FIXED, "voc"]))
        raise DataError(f"palette {palette!r} is unknown: {accepted} are accepted")
    if count > len(_FIXED[palette]):
        raise DataError(
            f"palette {palette} has {len(_FIXED[palette])} colours for {count} classes: "
            "voc has as many as there are classes"
        )
    return _FIXED[palette][:count]


def _voc(label: int) -> Colour:
    """Spreads the bits of a label over the three channels, as PASCAL VOC does."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (label >> (3 * place + channel) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]
