"""Damaged exports and runs end a command with one line that names the file, and no crash."""

import shutil
from pathlib import Path

import pytest

from nas_tf import spaces
from nas_tf.errors import DataError
from nas_tf.runs import saved_arrays
from tests.cli.command import nas_tf

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("damage", ["absent", "empty", "broken", "no variables"])
def test_a_part_of_a_version_is_refused(place: Path, damage: str) -> None:
    part = place / f"part of {damage}"
    shutil.copytree(place / "out" / "savedmodel" / "1", part)
    graph = part / "saved_model.pb"
    if damage == "absent":
        graph.unlink()
    elif damage == "no variables":
        shutil.rmtree(part / "variables")
    else:
        graph.write_bytes({"empty": b"", "broken": graph.read_bytes()[:999]}[damage])
    commands = [["predict", part.name, "photo.jpg"], ["evaluate", part.name]]
    for command in commands if damage == "absent" else commands[:1]:
        done = nas_tf(*command, cwd=place)
        assert done.stderr.startswith(f"nas-tf: {part.name} is damaged or incomplete")
        assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", 2)


def cut(path: Path, length: int) -> str:
    path.write_bytes(path.read_bytes()[:length])
    return path.name


@pytest.mark.parametrize("command", ["benchmark", "predict", "evaluate"])
def test_a_truncated_tflite_file_is_reported(place: Path, command: str) -> None:
    path = place / "cut.tflite"
    shutil.copy(next((place / "out").glob("*-fp32.tflite")), path)
    name = cut(path, 100_000)
    more = ["photo.jpg"] if command == "predict" else []
    done = nas_tf(command, name, *more, cwd=place)
    assert done.stderr.startswith("nas-tf: cut.tflite is damaged: a part of it is missing")
    assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", 2)


def test_damaged_metadata_of_a_version_are_reported(place: Path) -> None:
    folder = place / "damaged version"
    shutil.copytree(place / "out" / "savedmodel" / "1", folder)
    cut(folder / "assets" / "metadata.json", 99)
    done = nas_tf("predict", folder.name, "photo.jpg", cwd=place)
    assert done.stderr.startswith(f"nas-tf: {folder.name}/assets/metadata.json is damaged (")
    assert "export the network again" in done.stderr
    assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", 2)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and text", "half", "changed"])
def test_damaged_weights_of_a_trial_are_reported(place: Path, content: bytes | str) -> None:
    folder = place / "damaged run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place / "run", folder)
    paths = sorted((folder / "weights").glob("*.npz"))
    for path in paths:
        full = bytearray(path.read_bytes())
        middle = len(full) // 2
        changed = full[:middle] + bytes(item ^ 255 for item in full[middle:])
        path.write_bytes({"half": full[:middle], "changed": changed}.get(content, content))
    trial = paths[0].stem
    with pytest.raises(DataError, match=rf"weights/{trial}.npz is damaged, expected the arrays"):
        saved_arrays.read_arrays(folder, trial)
    if content == "half":
        done = nas_tf("export", folder.name, "--trial", trial, cwd=place)
        assert f"weights/{trial}.npz is damaged" in done.stderr
        assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", 3)


@pytest.mark.parametrize(
    ("file", "content", "line", "code"),
    [
        ("genotype.json", "{", "genotype.json is damaged: '{' is not a genotype record", 2),
        ("result.json", '{"phase": "pub', "result.json is damaged: Unterminated string", 3),
        ("result.json", "[]", "result.json is damaged: it holds a list, expected a record;", 3),
    ],
)
def test_damaged_records_of_a_training_are_reported(
    place: Path, tmp_path: Path, file: str, content: str, line: str, code: int
) -> None:
    """They are read before the network, which is absent here."""
    shutil.copy(place / "small.yaml", tmp_path / "config.yaml")
    (tmp_path / "genotype.json").write_text(spaces.resolve("arch1").to_json())
    (tmp_path / "last.keras").touch()
    (tmp_path / file).write_text(content)
    done = nas_tf("export", str(tmp_path), cwd=place)
    assert f"nas-tf: {tmp_path}/{line}" in done.stderr
    assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", code)
