"""Exports of a restoration network are compared and scored as the network itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from nas_tf.jobs import exports, scoring, trained
from nas_tf.jobs.trained import LoadedNetwork
from tests.prepared import few_scenes

OVERRIDES = (
    "space=restoration",
    "network.width=2",
    "network.aspp=false",
)


@pytest.fixture(scope="module", autouse=True)
def cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(few_scenes("shapes", "shapes_clean")))
        yield


def network(*size: int, sigma: str = "25") -> LoadedNetwork:
    """A network whose tiles are smaller or larger than the scenes of 128 x 128 pixels."""
    overrides = (*OVERRIDES, f"degradation.noise.sigma={sigma}")
    return trained.find(
        "hinas-skip", config_name="shapes_denoise", overrides=overrides, size=size or None
    )


def test_formats_are_compared_at_the_size_of_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """Also where a picture has one of several levels of noise."""
    tf.config.optimizer.set_experimental_options({"remapping": True})
    monkeypatch.setattr(exports, "_SAMPLES", 9)
    loaded = network(40, 160, sigma="[10,30]")
    assert {sample.shape for sample in loaded.samples(9)} == {(40, 160, 3)}
    written = exports.write(loaded, tmp_path, ["fp32", "int8"])
    compared = exports.compare(loaded, written, 2)
    psnr = {name: parity.result["psnr"] for name, parity in compared.items()}
    assert compared["fp32"].agreement == 1
    assert psnr["fp32"] == pytest.approx(psnr["keras"], abs=0.01)
    assert psnr["int8"] == pytest.approx(psnr["keras"], abs=0.5)
    assert compared["int8"].agreement > 0.9
    assert "remapper failed" not in capfd.readouterr().err


@pytest.mark.slow
def test_an_export_scores_as_its_network_but_for_bytes(tmp_path: Path) -> None:
    loaded = network()
    written = exports.write(loaded, tmp_path, ["savedmodel"])
    wanted = scoring.evaluate(loaded, "test").result
    found = scoring.evaluate_exported(written["savedmodel"], "test").result
    assert found["psnr"] == pytest.approx(wanted["psnr"], abs=0.3)
