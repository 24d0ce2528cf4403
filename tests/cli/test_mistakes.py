"""A user's mistakes are reported in one line, before anything is computed."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from nas_tf.cli import main

UNWRITABLE = "{path} cannot be written: {file} is not a folder, expected another --out"
WRITES = {
    "train": ("arch0", "--config", "shapes_auxcell", "--out", "file/x"),
    "train-teacher": ("--config", "shapes_auxcell", "--out", "file/x"),
    "search": ("shapes_auxcell", "--out", "file/x/y"),
    "quickstart": ("--out", "file/x"),
    "finetune": ("run", "--task", "depth", "--config", "shapes_depth", "--out", "file/x"),
    "trial": ("arch0", "--config", "shapes_auxcell", "--out", "file/x.json"),
    "build": ("arch0", "--out", "file/x.keras"),
    "show": ("arch0", "--out", "file/x"),
    "export": ("run", "--out", "file/x"),
    "evaluate": ("run", "--out", "file/x.json"),
    "profile-ops": ("shapes_auxcell", "--out", "file/x.json"),
    "predict": ("model.tflite", "photo.jpg", "--out", "file/x.png"),
    "compress prune": ("run", "--out", "file/x"),
    "data show": ("shapes", "--out", "file/x.png"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["nas-tf", *arguments])
    with pytest.raises(SystemExit) as exit:
        main()
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("nas-tf: ")
    assert output.err.count("\n") == 1
    return exit.value.code, output.err.removeprefix("nas-tf: ").rstrip()


@pytest.mark.parametrize("command", WRITES)
def test_a_place_that_cannot_be_written(
    command: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / "file").touch()
    arguments = WRITES[command]
    code, message = refused(monkeypatch, capsys, *command.split(), *arguments)
    assert code == 2
    assert message == UNWRITABLE.format(path=arguments[-1], file=here / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "locked").mkdir(mode=0o500)
    _, message = refused(monkeypatch, capsys, "build", "arch0", "--out", "locked/x.keras")
    assert "no permission to write to " in message
    assert message.endswith("locked, expected another --out")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("show", "runs/nothing"), "runs/nothing holds no run (run.json), expected the folder of"),
        (
            ("data", "show", "shapes", "--out", "a.xyz"),
            "--out is a.xyz, expected a picture such as a.png",
        ),
        (("predict", "photo.jpg"), "the argument is photo.jpg, expected MODEL and a picture"),
        (
            ("trial", "arch0", "--config", "shapes_auxcell", "network.weights=None"),
            "override network.weights=None: expected a text, or null",
        ),
        (
            ("search", "camvid_auxcell", "network.weights=drawn"),
            "override network.weights=drawn: expected network.encoder=mobilenet_v2 and "
            "network.alpha=0.35 with it, for which it was trained, now it is mobilenet_v2 of "
            "alpha 1.0",
        ),
        (
            ("evaluate", "nowhere"),
            "nowhere is not a folder, expected one that nas-tf train or nas-tf search wrote",
        ),
        (
            ("serch", "shapes_auxcell"),
            "No such command 'serch', did you mean search? (see nas-tf --help)",
        ),
        (("zzz",), "No such command 'zzz' (see nas-tf --help)"),
        (
            ("predict", "training", "photo.png"),
            "training is the folder of a training, expected an exported model: nas-tf export "
            "training writes them",
        ),
        (
            ("predict", "street.onnx", "photo.png"),
            "street.onnx is an ONNX model, expected a TFLite file or a version of a SavedModel",
        ),
        (
            ("predict", "best.keras", "photo.png"),
            "best.keras is a Keras model, expected a TFLite file or a version of a SavedModel",
        ),
        (
            ("search", "fields"),
            "configuration 'fields' is unknown, expected a YAML file, folder:DIR or ",
        ),
        (
            ("search", "shapes_auxcell", "--workesr", "2"),
            "No such option '--workesr'. Did you mean '--workers'? (see nas-tf search --help)",
        ),
        (("best",), "Missing argument 'RUN' (see nas-tf best --help)"),
        (
            ("data", "list", "more"),
            "Got unexpected extra argument (more) (see nas-tf data list --help)",
        ),
    ],
)
def test_others(
    arguments: tuple[str, ...],
    line: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("training/genotype.json", "training/config.yaml", "fields/dataset.yaml"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).touch()
    for name in ("street.onnx", "best.keras"):
        (here / name).touch()
    Image.new("RGB", (8, 8)).save(here / "photo.png")
    code, message = refused(monkeypatch, capsys, *arguments)
    assert code == 2
    assert message.startswith(line)
    assert ("did you mean folder:fields?" in message) is ("fields" in arguments)


@pytest.mark.parametrize(
    "command", [("search", "shapes_auxcell"), ("train", "arch0", "--config", "shapes_auxcell")]
)
def test_a_folder_of_something_else_is_not_changed(
    command: tuple[str, ...],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / "fields").mkdir()
    (here / "fields" / "dataset.yaml").touch()
    code, message = refused(
        monkeypatch, capsys, *command, "network.weights=null", "--out", "fields"
    )
    assert code == 2
    assert message == (
        "fields holds dataset.yaml and no run, expected a new folder, or one of a run"
    )
    assert [item.name for item in (here / "fields").iterdir()] == ["dataset.yaml"]


def test_ctrl_c_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nas_tf.spaces.resolve", interrupted)
    monkeypatch.setattr(sys, "argv", ["nas-tf", "show", "arch0"])
    with pytest.raises(SystemExit, match=r"^130$"):
        main()
    assert capsys.readouterr().err.split("\n") == ["", "nas-tf: stopped", ""]
