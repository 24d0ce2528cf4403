"""What is exported for the tests of what is shipped."""

FORMATS = "savedmodel,tflite,onnx"


def unexpected(told: str) -> list[str]:
    """Lines on standard error but two: networks that learnt little may lose much by int8, and tests
    run beside others."""
    expected = ("take care: int8 loses", "other processes used the processor")
    return [line for line in told.splitlines() if not line.startswith(expected)]
