"""The house rules that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("nas_tf", "tuner_oracles", "serving")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
EVERYWHERE = {"errors", "folders", "input_geometry", "pictures", "quiet", "__init__"}

# DESIGN: a room may import what stands beside it, and itself.
MAY_IMPORT = {
    "genotype": set(),
    "spaces": {"genotype"},
    "runs": {"genotype"},
    "latency": {"genotype", "networks"},
    "report": {"genotype", "runs", "spaces", "latency"},
    "config": {"genotype", "spaces", "runs"},
    "networks": {"genotype", "spaces"},
    "tasks": {"genotype", "networks"},
    "data": {"tasks"},
    "training": {"genotype", "spaces", "config", "networks", "tasks", "data"},
    "search": {"genotype", "spaces", "networks", "tasks", "training", "runs", "latency", "config"},
    "errors": set(),
    "folders": set(),
    "input_geometry": set(),
    "pictures": set(),
    "quiet": set(),
    "__init__": set(),
}
TENSORFLOW_FREE = (
    "nas_tf.genotype",
    "nas_tf.pictures",
    "nas_tf.spaces",
    "nas_tf.config",
    "nas_tf.report.graph",
    "nas_tf.runs",
    "nas_tf.latency",
    "nas_tf.cli.profile_ops",
    "nas_tf.cli.doctor",
    "nas_tf.cli.train",
    "nas_tf.cli.evaluate",
    "nas_tf.cli.compare",
    "nas_tf.cli.rerank",
)


def imports(path: Path) -> set[str]:
    """Full names of what a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    relative = path.relative_to(ROOT).with_suffix("")
    package, room = relative.parts[0], room_of(".".join(relative.parts))
    names = imports(path)
    if package == "tuner_oracles":
        assert not [name for name in names if name.split(".")[0] in ("nas_tf", "serving")]
    if package != "nas_tf" or room in ("cli", "__main__"):
        return
    ours = {room_of(name) for name in names if name.split(".")[0] == "nas_tf"}
    allowed = MAY_IMPORT[room] | EVERYWHERE | {room}
    assert ours <= allowed | {"__version__"}, f"{room} imports {sorted(ours - allowed)}"
    assert not [name for name in names if name.split(".")[0] in ("serving", "tuner_oracles")]


def test_light_rooms_load_no_tensorflow() -> None:
    code = (
        f"import sys, {', '.join(TENSORFLOW_FREE)}, nas_tf.networks; "
        "print(sorted({'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < 55, f"{node.name} is long"
            if not node.name.startswith("_"):
                assert node.returns is not None, f"{node.name} has no return type"


def test_importing_tensorflow_says_nothing_and_real_warnings_pass() -> None:
    code = (
        "import sys, types, warnings; from nas_tf import quiet; "
        "[quiet.load(n) for n in ('tensorflow', 'tensorflow_addons', 'tf_agents.agents')]; "
        "sys.stderr.write('after\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "after\n"
    assert done.stdout == ""


def test_quiet_passes_on_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "import os, warnings\n"
        "os.write(2, b'Gym has been unmaintained since 2022\\n')\n"
        "os.write(2, b'a real message\\n')\n"
        "warnings.warn('a real warning')\n"
    )
    code = "from nas_tf import quiet; quiet.load('loud')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
    )
    assert "a real message\n" in done.stderr
    assert "UserWarning: a real warning" in done.stderr
    assert "Gym" not in done.stderr
