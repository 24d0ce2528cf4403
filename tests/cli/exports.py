"""What is exported for the tests of what is shipped."""

FORMATS = "savedmodel,tflite,onnx"


def unexpected(told: str) -> list[str]:
    """Lines on standard error but that of int8: networks that learnt little may lose much."""
    return [line for line in told.splitlines() if not line.startswith("take care: int8 loses")]
