"""What is exported for the tests of what is shipped."""

FORMATS = "savedmodel,tflite,onnx"


def unexpected(told: str) -> list[str]:
    """Lines on standard error but those on int8, which may lose much, and on a crowded machine."""
    expected = ("warning: int8 loses", "other processes used the processor")
    return [line for line in told.splitlines() if not line.startswith(expected)]
