"""export, predict, benchmark and serve as a person calls them: real processes."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nas_tf.cli.export import int8_warning, remarks
from nas_tf.input_geometry import InputGeometry
from nas_tf.tasks import Task
from serving import lite_metadata, lite_runner, saved_model
from serving.parity import Parity
from tests.cli.command import nas_tf, nas_tf_process
from tests.cli.exports import unexpected
from tests.serving.endpoint import served
from tests.serving.shipped import SIZE, TASKS


@pytest.mark.slow
def test_all_formats_are_written_and_compared(place: Path) -> None:
    *rows, points, milliseconds = (place / "export.txt").read_text().splitlines()
    assert points == (
        "points: difference in mean_iou from the Keras model; agreement: share of matching "
        "predictions"
    )
    assert milliseconds == "ms: medians with 1 / 2 threads, measured in turns"
    assert [row.split()[0] for row in rows] == [
        *("format", "keras", "savedmodel", "fp32", "fp16", "int8", "onnx")
    ]
    assert re.search(r"mean_iou +points +agreement$", rows[0].rstrip())
    first, figures = rows[1].split(), {}
    assert first[2:] == ["100.00%"]
    for row in rows[2:]:
        name, *_, figure, points, agreement, path = row.split()
        assert (place / path).exists()
        assert float(points) == pytest.approx(100 * (float(figure) - float(first[1])), abs=0.011)
        figures[name] = float(points), float(agreement[:-1])
    for name, least in (("savedmodel", 99.9), ("fp32", 99), ("onnx", 99)):
        assert abs(figures[name][0]) < 0.5
        assert figures[name][1] > least
    runtimes = len(lite_runner.runtimes())
    assert [row.count(" / ") for row in rows[1:]] == [0, 0, runtimes, runtimes, runtimes, 0]
    about = saved_model.about(place / "out" / "savedmodel" / "1")
    assert about["origin"]["kind"] == "search"
    assert about["classes"][0] == "background"
    for kind in ("fp32", "fp16", "int8"):
        (path,) = (place / "out").glob(f"*-{kind}.tflite")
        assert lite_metadata.read(path) == about | {"kind": kind}


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        ({"keras": 0.65, "int8": 0.641}, ""),
        ({"keras": 0.65, "fp32": 0.5}, ""),
        (
            {"keras": 0.65, "int8": 0.637},
            "warning: int8 loses 1.3 points of mean_iou; nas-tf compress qat may help",
        ),
    ],
)
def test_a_loss_of_more_than_a_point_is_a_warning(figures: dict[str, float], line: str) -> None:
    compared = {name: Parity({"mean_iou": item}, 1.0) for name, item in figures.items()}
    assert int8_warning(compared, "mean_iou") == line


def test_remarks_state_the_cost_in_decibels_and_tiles_that_are_too_small() -> None:
    tile = InputGeometry((48, 96), margin=12)
    figures = {"keras": 28.104, "fp32": 28.1041, "int8": 27.75}
    compared = {name: Parity({"psnr": item}, 1.0) for name, item in figures.items()}
    written = {"int8": Path("x-int8.tflite"), "savedmodel": Path("savedmodel/1")}
    cost = "PSNR of the Keras model: 28.10 dB; dB that formats cost: fp32 0.00, int8 0.35"
    assert remarks(written, compared, tile) == [cost]
    (line,) = remarks(written, {}, replace(tile, margin=13))
    assert line.startswith("tiles of 48x96 share less than the 13 pixels")
    assert "expected --input 52x52 or larger" in line
    assert remarks({"savedmodel": Path("1")}, {}, replace(tile, margin=13)) == []
    assert remarks(written, {"keras": Parity({"mean_iou": 0.5}, 1.0)}, tile) == []


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_headline_is_among_a_task_s_figures(task: Task) -> None:
    examples = {"depth": tf.ones((1, *SIZE)), "segmentation": tf.zeros((1, *SIZE), tf.uint8)}
    joints = {"keypoints": tf.ones((1, 1, 3, 3)), "head_size": tf.ones((1, 1))}
    metrics = task.metrics()
    logits = tf.zeros((1, SIZE[0] // 4, SIZE[1] // 4, task.channels))
    metrics.update(examples.get(task.name, joints), {"logits": logits}, SIZE)
    assert 0 <= metrics.result()[task.headline] <= 1


@pytest.mark.slow
def test_joints_are_exported_in_int8_and_drawn(place: Path) -> None:
    options = ("network.weights=null", "network.alpha=0.35", "--input", "64x96", "--check", "4")
    named = ("--config", "shapes_pose", "--to", "int8", "--out", "joints")
    done = nas_tf("export", "arch1", *options, *named, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "pckh@0.5" in done.stdout.splitlines()[0]
    model = "joints/arch1-int8.tflite"
    done = nas_tf("predict", model, "photo.jpg", "--out", "joints.png", cwd=place)
    assert (done.stdout, done.returncode) == ("wrote joints.png\n", 0), done.stderr


@pytest.mark.slow
def test_an_export_that_fails_does_not_block_the_next(place: Path) -> None:
    """A package is missing, then Ctrl-C is pressed while the last format is written."""
    (place / "without").mkdir()
    (place / "without" / "tf2onnx.py").write_text("raise ImportError('none here')\n")
    paths = os.pathsep.join([str(place / "without"), os.environ.get("PYTHONPATH", "")])
    command = ("export", "run", "--to", "savedmodel,fp16,onnx", "--check", "0", "--out", "again")
    done = nas_tf_process(*command, cwd=place, env={**os.environ, "PYTHONPATH": paths})
    assert done.stderr == "nas-tf: ONNX needs tf2onnx: pip install 'nas-tf[onnx]'\n"
    assert done.returncode == 4
    assert not (place / "again").exists()
    interrupting = (
        "import os, signal, sys\n"
        "def look(event, given):\n"
        "    if event == 'open' and str(given[0]).endswith('.jetson.sh'):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.addaudithook(look)\n"
        "from nas_tf.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", interrupting, *command], cwd=place)
    assert done.returncode == 130
    assert not (place / "again").exists()
    done = nas_tf(*command, cwd=place)
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in (place / "again").iterdir()} == {"", ".tflite", ".onnx", ".sh"}


@pytest.mark.slow
def test_a_score_describes_its_data(place: Path) -> None:
    (path, *_) = sorted((place / "run" / "weights").glob("*.npz"))
    options = ("--trial", path.stem, "--scales", "0.75,1", "--flip", "--input", "64x64")
    done = nas_tf("evaluate", "run", *options, "--out", "how.json", cwd=place)
    assert done.returncode == 0, done.stderr
    seen = "40 images, whole, in windows of 64x64, scales 0.75, 1, mirror images too"
    line = f"trial {path.stem} on shapes val, {seen}: mean_iou 0."
    assert done.stdout.splitlines()[-1].startswith(line)
    record = json.loads((place / "how.json").read_text())
    assert (record["trial"], record["scales"], record["flip"]) == (path.stem, [0.75, 1.0], True)


@pytest.mark.slow
def test_a_compressed_network_is_a_folder_that_export_accepts(place: Path) -> None:
    options = ("--steps", "4", "--batch", "4", "--check", "8", "--out", "pruned")
    done = nas_tf("compress", "prune", "run", "--sparsity", "0.7", *options, cwd=place)
    assert done.returncode == 0, done.stderr
    before, after = (row.split() for row in done.stdout.splitlines()[1:3])
    assert (before[0], after[0]) == ("before", "after")
    assert after[3] == "70.0%"
    assert int(after[6].replace(",", "")) < 0.9 * int(before[6].replace(",", ""))
    exported = ("--to", "int8", "--check", "8", "--out", "smaller")
    done = nas_tf("export", "pruned", *exported, cwd=place)
    assert done.returncode == 0, done.stderr
    assert unexpected(done.stderr) == []
    (path,) = (place / "smaller").glob("*-int8.tflite")
    origin = lite_metadata.read(path)["origin"]
    compression = {"kind": "pruned", "sparsity": 0.7, "steps": 4, "rate": 1e-4}
    assert origin["compressed"] == [compression]
    assert origin["images"] == 8
    done = nas_tf("export", "pruned", "--trial", "1", cwd=place)
    assert done.stderr == "nas-tf: pruned is the folder of a training, expected no --trial\n"
    assert done.returncode == 2


@pytest.mark.slow
def test_networks_and_exports_are_scored_alike(place: Path) -> None:
    about = lite_metadata.read(next((place / "out").glob("*-fp32.tflite")))
    size = "x".join(map(str, about["input"]["size"]))
    results = {}
    for name, source, options in (
        ("run", "run", ("--input", size)),
        ("fp32", str(next((place / "out").glob("*-fp32.tflite"))), ()),
        ("savedmodel", "out/savedmodel/1", ()),
    ):
        done = nas_tf("evaluate", source, *options, "--out", f"{name}.json", cwd=place)
        assert done.returncode == 0, done.stderr
        seen = f"shapes val, 40 images, whole, in windows of {size}: mean_iou 0."
        assert seen in done.stdout
        results[name] = json.loads((place / f"{name}.json").read_text())
    for result in results.values():
        assert len(result["table"]) == 9
        assert result["result"] == pytest.approx(results["run"]["result"], abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["savedmodel/1", "*-fp32.tflite", "*-int8.tflite"])
def test_predictions_are_drawn_over_the_photograph(place: Path, model: str) -> None:
    (path,) = (place / "out").glob(model)
    done = nas_tf("predict", str(path), "photo.jpg", "--out", "drawn/one.png", cwd=place)
    assert (done.stdout, done.returncode) == ("wrote drawn/one.png\n", 0), done.stderr
    drawn = np.asarray(Image.open(place / "drawn" / "one.png"))
    assert drawn.shape == (80, 120, 3)
    assert (drawn != np.asarray(Image.open(place / "photo.jpg"))).mean() > 0.5


@pytest.mark.slow
def test_models_are_timed_in_turns(place: Path) -> None:
    models = sorted(str(path) for path in (place / "out").glob("*.tflite"))
    done = nas_tf("benchmark", *models, "--threads", "1", "--rounds", "2", cwd=place)
    assert done.returncode == 0, done.stderr
    rows = [row for row in done.stdout.splitlines() if "TensorFlow" in row]
    assert len(rows) == 3
    assert all(float(row.split()[-2]) > 0 for row in rows)


@pytest.mark.slow
def test_how_to_serve_is_printed_and_written(place: Path) -> None:
    done = nas_tf("serve", "out", "--name", "street", "--files", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "wrote out/deploy/kubernetes.yaml" in done.stdout
    assert f"docker compose -f {place}/out/deploy/compose.yaml up" in done.stdout
    assert done.stdout.endswith("grpc://localhost:8500/street photo.jpg --label stable\n")
    done = nas_tf("serve", "out", "--name", "street", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "--model_name=street" in done.stdout
    assert "tensorflow/serving:2.15.1" in done.stdout
    assert done.stdout.endswith("grpc://localhost:8500/street photo.jpg\n")


@pytest.mark.slow
def test_an_endpoint_is_asked_and_put_under_load(place: Path) -> None:
    endpoint = served(place / "out" / "savedmodel")
    try:
        for wire, address in (("grpc", endpoint.grpc), ("rest", endpoint.rest)):
            path = f"asked/{wire}.png"
            options = ("--endpoint", f"{address}/{endpoint.model}", "--like", "out/savedmodel/1")
            done = nas_tf("predict", *options, "photo.jpg", "--out", path, cwd=place)
            assert (done.stdout, done.returncode) == (f"wrote {path}\n", 0), done.stderr
            assert Image.open(place / path).size == (120, 80)
        options = ("--requests", "20", "--concurrency", "4")
        done = nas_tf("loadtest", f"{endpoint.grpc}/{endpoint.model}", *options, cwd=place)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("20 of 20 requests answered in ")
        assert ", p99 " in done.stdout
        done = nas_tf("predict", "--endpoint", f"{endpoint.grpc}/nobody", "photo.jpg", cwd=place)
        assert done.returncode == 6
        assert "refuses (not_found)" in done.stderr
    finally:
        endpoint.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "line", "code"),
    [
        (
            ["export", "run", "--out", "out", "--to", "fp32"],
            "fp32.tflite exists, expected another --out",
            2,
        ),
        (
            ["export", "run", "--out", "out", "--to", "savedmodel", "--version", "1"],
            "out/savedmodel/1 exists, expected another version such as 2",
            2,
        ),
        (
            ["export", "run", "--to", "torch"],
            "format 'torch' is unknown, expected some of savedmodel, fp32, fp16, int8, onnx",
            2,
        ),
        (["export", "run", "--trial", "7"], "has no weights of trial 7, expected one of: ", 2),
        (["export", "run", "data.name=camvid"], "of a search, expected no data.name=camvid", 2),
        (["export", "run", "--config", "quickstart"], "of a search, expected no --config", 2),
        (["export", "run", "--weights", "best"], "of a search, expected no --weights best", 2),
        (["evaluate", "run", "--weights", "best"], "of a search, expected no --weights best", 2),
        (
            ["export", "arch1", "--config", "small.yaml", "--trial", "1"],
            "arch1 is a genotype, expected no --trial",
            2,
        ),
        (["export", "run", "--to", "fp32", "--out", "photo.jpg/x"], "photo.jpg/x cannot be", 2),
        (["export", "out"], "out holds neither genotype.json nor run.json, expected a folder", 2),
        (["export", "arch0"], "wrote, or a genotype with --config", 2),
        (["evaluate", "out"], "one of them: out/savedmodel/1, out/run-", 2),
        (["evaluate", "arch0"], "arch0 is not a folder, expected one that nas-tf train or nas", 2),
        (
            ["export", "run", "--input", "8x8"],
            "input 8x8 is smaller than the encoder's stride, expected at least 32x32",
            2,
        ),
        (["predict", "photo.jpg"], "the argument is photo.jpg, expected MODEL and a picture", 2),
        (["predict", "out", "photo.jpg"], "nas-tf export wrote, such as out/savedmodel/1", 2),
        (["predict", "none.tflite", "photo.jpg"], "none.tflite does not exist, expected", 2),
        (["predict", "small.yaml", "photo.jpg"], "small.yaml is not a TFLite model, expected", 2),
        (["predict", "out/savedmodel/1", "small.yaml"], "small.yaml is not a picture, exp", 3),
        (["predict", "--endpoint", "street", "photo.jpg"], "--endpoint is 'street', expected", 2),
        (["compress", "qat", "run", "--out", "out"], "out exists, expected another --out", 2),
        (
            ["compress", "prune", "run", "--batch", "10000"],
            "batch is 10000 and there are",
            3,
        ),
        (
            ["evaluate", "run", "--split", "summer"],
            "split of shapes is 'summer', expected one of train, val, test",
            3,
        ),
        (
            ["evaluate", "run", "--scales", "0"],
            "--scales is '0', expected numbers from 0.1 to 4",
            2,
        ),
        (
            ["evaluate", "out/savedmodel/1", "--flip"],
            "is an exported model, expected none of --input",
            2,
        ),
        (["evaluate", "run", "--data", "camvid"], "and camvid has 11 (Sky, Building", 2),
        (["benchmark", "small.yaml"], "small.yaml is not a TFLite model, expected one", 2),
        (["serve", "run"], "run holds no version in savedmodel, expected a folder that", 2),
        (["loadtest", "street"], "endpoint is 'street', expected a URL such as grpc://", 2),
    ],
)
def test_mistakes_are_one_line(place: Path, arguments: list[str], line: str, code: int) -> None:
    before = sorted((place / "out").rglob("*"))
    done = nas_tf(*arguments, cwd=place)
    assert line in done.stderr
    assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", code)
    assert sorted((place / "out").rglob("*")) == before
