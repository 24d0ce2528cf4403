"""The published networks at full size in every format."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import deploy
from serving import onnx, saved_model, tflite
from serving.lite_runner import LiteModel

SIZE = (512, 512)


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["arch0", "arch1", "arch2"])
def test_every_format_takes_it(name: str, tmp_path: Path) -> None:
    shipment = deploy.shipment(name, SIZE)
    rng = np.random.default_rng(2)
    samples = [rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(8)]
    pixels = np.stack(samples[:1])
    answers = [saved_model.answers(saved_model.write(shipment, tmp_path))(pixels)["mask"]]
    for kind in tflite.KINDS:
        model = LiteModel(tflite.convert(shipment, kind, samples), threads=2)
        assert model.partitions == 1, kind
        assert not [op for op in model.operations if op.startswith("Flex") or "BATCH" in op]
        answers.append(model(pixels)["mask"])
    answers.append(onnx.OnnxModel(onnx.convert(shipment), shipment)(pixels)["mask"])
    assert {mask.shape for mask in answers} == {(1, *SIZE)}
    for mask in (answers[1], answers[-1]):
        assert (mask == answers[0]).mean() > 0.99
