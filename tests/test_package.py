"""What is published has every file that the code reads: built, installed and run elsewhere."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("nas_tf", "tuner_oracles", "serving", "configs")
INSTALLED_AS = {"configs": "nas_tf/configs"}


def run(*command: object, cwd: Path, **environment: str) -> str:
    given = {**os.environ, **environment}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the source distribution, as an index's users may build it."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "setup.py", "--quiet", "sdist", "-d", folder, cwd=source)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    plain = ("--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *plain, "-w", folder, unpacked, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_a_wheel_from_the_source_distribution_has_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    expected = {
        f"{INSTALLED_AS.get(package, package)}/{path.relative_to(ROOT / package).as_posix()}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert expected - names == set()
    others = {name for name in names - expected if ".dist-info/" not in name}
    assert others == set()


@pytest.mark.slow
def test_an_installed_wheel_runs_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    quiet = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "install", *quiet, "--target", place, wheel, cwd=tmp_path)
    script = (
        "import nas_tf, serving, tuner_oracles; from pathlib import Path; "
        f"assert all(Path(m.__file__).is_relative_to({str(place)!r}) for m in "
        "(nas_tf, serving, tuner_oracles)); from nas_tf.__main__ import main; "
        "import sys; sys.argv = ['nas-tf', *sys.argv[1:]]; main()"
    )
    for arguments, expected in (
        (["config", "show", "camvid_auxcell"], "space: auxcell"),
        (["show", "arch0"], "parameters"),
        (["spaces"], "restoration"),
    ):
        shown = run(sys.executable, "-c", script, *arguments, cwd=tmp_path, PYTHONPATH=str(place))
        assert expected in shown


def test_versions_and_licences_agree() -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert f'version="{citation["version"]}"' in setup
    assert f'license="{citation["license"]}"' in setup
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_workflow_runs_what_contributors_run() -> None:
    path = ROOT / ".github" / "workflows" / "ci.yml"
    (job,) = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    script = job["steps"][-1]["run"]
    assert os.access(ROOT / script, os.X_OK)
    text = (ROOT / script).read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("make ")] == [
        *("make lint", "make docs", "make test", "make test-slow"),
    ]


@pytest.mark.slow
def test_every_extra_is_in_the_wheel_and_pinned_where_it_is_installed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        (path,) = (name for name in packed.namelist() if name.endswith("/METADATA"))
        metadata = packed.read(path).decode()
    lines = metadata.split("\n\n")[0].splitlines()
    extras = {line.split(": ")[1] for line in lines if line.startswith("Provides-Extra")}
    assert extras >= {"gpu", "serving", "onnx", "litert", "demo", "bayesian", "optuna", "dev"}
    pins = {
        Requirement(line).name.lower().replace("_", "-"): Requirement(line).specifier
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    for line in lines:
        if line.startswith("Requires-Dist") and "extra ==" not in line:
            wanted = Requirement(line.split(": ", 1)[1])
            pin = str(pins[wanted.name.lower().replace("_", "-")]).removeprefix("==")
            assert wanted.specifier.contains(pin, prereleases=True), line
