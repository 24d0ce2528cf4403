"""The page of operations in 8 bits, of a small network and of invented times."""

import numpy as np
import pytest

from benchmarks import lite_operations
from serving import lite_runner, tflite
from serving.measure import TimedModel
from tests.serving.shipped import pictures, shipment


@pytest.mark.parametrize("kind", ["fp32", "int8"])
def test_every_operation_runs_alone_and_counts_once(kind: tflite.Kind) -> None:
    content = tflite.convert(shipment("template"), kind, pictures(8))
    model = lite_runner.LiteModel(content)
    times = lite_operations.by_kind(content, lite_runner.runtimes()["TensorFlow"])
    assert sum(map(len, times.values())) == len(model.operations)
    assert all(np.isfinite(values).all() and min(values) >= 0 for values in times.values())
    assert "DEPTHWISE_CONV_2D 3x3 stride 2" in times


def test_a_page_has_ratios_by_network_and_by_kind() -> None:
    times = {("a-fp32", 1): 10.0, ("a-int8", 1): 5.0, ("a-fp32", 2): 6.0, ("a-int8", 2): 4.5}
    rows = [
        TimedModel(f"{name}.tflite", 1000, "LiteRT", threads, (value,))
        for (name, threads), value in times.items()
    ]
    _, _, *lines = lite_operations.totals(rows)
    assert lines == ["| a | 1 | 10.0 | 5.0 | 0.50 |", "| a | 2 | 6.0 | 4.5 | 0.75 |"]
    fp32, int8 = {"ADD": [1.0, 1.0], "MUL": [4.0]}, {"ADD": [0.5, 0.5], "QUANTIZE": [3.0]}
    _, _, *lines = lite_operations.table(fp32, int8)
    assert lines == [
        "| QUANTIZE | 1 |  | 3.00 |  |",
        "| ADD | 2 | 2.00 | 1.00 | 0.50 |",
        "| MUL | 1 | 4.00 |  |  |",
        "| all, each alone | 3 | 6.00 | 4.00 | 0.67 |",
    ]
