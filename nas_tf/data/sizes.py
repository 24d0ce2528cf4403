"""The sizes of a data set's pictures, read from the heads of their files."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from nas_tf.data.registry import builder_class
from nas_tf.data.store import resolve_source
from nas_tf.data.whole import spread
from nas_tf.errors import DataError

MOST = 500
"""Pictures that are looked at, evenly from all over each split."""
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)

Size = tuple[int, int]


def picture_sizes(name: str, splits: Sequence[str]) -> list[Size]:
    """Height and width of pictures of some splits as a viewer shows them; broken ones are skipped.

    Splits that are not there have none.
    """
    builder, source = builder_class(name), resolve_source(name, None)
    found = []
    for split in splits:
        items = builder.items(source, split) if split in builder.INFO.splits else None
        for place in spread(range(len(items)), MOST) if items else ():
            if (path := items[place].image) is not None and (size := _size(path)):
                found.append(size)
    if not found:
        raise DataError(f"{name} has no picture that can be read in {', '.join(splits)}")
    return found


def _size(path: Path) -> Size | None:
    try:
        with Image.open(path) as picture:
            turned = picture.getexif().get(_ORIENTATION) in _TURNED
            width, height = picture.size
    except Exception:  # what Pillow raises on a damaged file is any of a dozen kinds
        return None
    return (width, height) if turned else (height, width)
