"""The formats that the tests of exports use, and the warnings that they may print."""

FORMATS = "savedmodel,tflite,onnx"


def unexpected(text: str) -> list[str]:
    """Lines on standard error but those on int8, which may lose much, and on a busy machine."""
    expected = ("warning: int8 loses", "warning: other processes used the processor")
    return [line for line in text.splitlines() if not line.startswith(expected)]
