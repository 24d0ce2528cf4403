"""Whether a TFLite model is whole: interpreters follow every offset, and die of a wrong one."""

from typing import Any

from tensorflow.lite.python import schema_py_generated as schema


class _Within(bytes):
    """Bytes whose slices must lie within them, with the zero that ends a text."""

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice) and place.stop >= len(self):
            raise IndexError(f"byte {place.stop} of {len(self)}")
        return super().__getitem__(place)


def check(content: bytes) -> None:
    """Raises ValueError where a part of a model lies beyond its end, as in one that was cut off.

    Everything that the model holds is read once; its schema's readers go by NumPy's bounds.
    """
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(_Within(content), 0))
        for graph in model.subgraphs:
            for one in graph.operators or ():
                _lies_within(content, one.largeCustomOptionsOffset, one.largeCustomOptionsSize)
        for one in model.buffers:
            _lies_within(content, one.offset, one.size)
    # Damage may show as anything: numbers that unpack to nonsense, texts, absent tables.
    except Exception as error:
        raise ValueError("damaged: a part of it is missing or broken") from error


def _lies_within(content: bytes, offset: int, size: int) -> None:
    """Of what lies behind the tables, in models that are larger than offsets reach."""
    if offset + size > len(content):
        raise IndexError(f"byte {offset + size} of {len(content)}")
