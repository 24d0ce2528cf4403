"""The house rules that a machine can check."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("nas_tf", "tuner_oracles", "serving")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
EVERYWHERE = {
    *("accepted", "errors", "files", "input_geometry", "pictures", "quiet", "sizes", "__init__"),
}

# DESIGN: a room may import what stands beside it, and itself.
MAY_IMPORT = {
    "genotype": set(),
    "spaces": {"genotype"},
    "runs": {"genotype"},
    "latency": {"genotype", "networks"},
    "report": {"genotype", "runs", "spaces", "latency"},
    "notebook": {"genotype", "runs", "spaces", "networks", "report"},
    "config": {"genotype", "spaces", "runs", "networks"},
    "networks": {"genotype", "spaces"},
    "tasks": {"genotype", "networks"},
    "data": {"tasks"},
    "training": {"genotype", "spaces", "runs", "config", "networks", "tasks", "data"},
    "search": {"genotype", "spaces", "networks", "tasks", "training", "runs", "latency", "config"},
    "accepted": set(),
    "errors": set(),
    "files": set(),
    "input_geometry": set(),
    "pictures": set(),
    "quiet": set(),
    "sizes": set(),
    "__init__": set(),
}
DIALECT = {
    *(
        "told",
        "tell",
        "tells",
        "hear",
        "hears",
        "heard",
        "anew",
        "earn",
        "earned",
        "begun",
        "lies",
    ),
    *("beside", "lacks", "mend", "dear", "foretell"),
}
"""Words that are no part of an identifier: CONTRIBUTING has the standard ones."""
TOO_VAGUE = {"one", "whole", "keep"}
"""Words that are no identifier by themselves."""
FRAGMENT = re.compile(r"(What|Whether|How|Where|When|Who|Whose|Which|Those|That|Of|As|The same)\b")
"""Beginnings of docstrings that neither name a thing nor say what a function does."""
MAY_NOT_LOAD = {
    "genotype": {"tensorflow", "keras_tuner", "numpy"},
    "spaces": {"tensorflow", "keras_tuner", "numpy"},
    "runs": {"tensorflow", "keras_tuner"},
    "latency": {"tensorflow", "keras_tuner"},
    "report": {"tensorflow", "keras_tuner"},
    "config": {"tensorflow", "keras_tuner", "numpy"},
    "networks": {"keras_tuner", "tf_agents"},
    "tasks": {"keras_tuner", "tf_agents"},
    "data": {"keras_tuner", "tf_agents"},
    "training": {"keras_tuner", "tf_agents"},
    "search": {"tf_agents"},
}
"""Libraries that no file of a room imports, in functions neither."""
TENSORFLOW_FREE = (
    "nas_tf.genotype",
    "nas_tf.pictures",
    "nas_tf.spaces",
    "nas_tf.config",
    "nas_tf.report.graph",
    "nas_tf.runs",
    "nas_tf.latency",
    "nas_tf.notebook",
    "nas_tf.cli.profile_ops",
    "nas_tf.cli.doctor",
    "nas_tf.cli.train",
    "nas_tf.cli.trial",
    "nas_tf.cli.compare",
    "nas_tf.cli.rerank",
    "nas_tf.jobs.environment",
    "nas_tf.jobs.trials",
)


def imports(path: Path, *, for_types: bool = True) -> set[str]:
    """Full names of what a file imports, in functions too."""
    found, tree = set(), ast.parse(path.read_text(encoding="utf-8"))
    if not for_types:
        tree.body = [node for node in tree.body if not is_for_types(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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
    below = set(MAY_IMPORT) if room == "jobs" else MAY_IMPORT[room]
    allowed = below | EVERYWHERE | {room}
    assert ours <= allowed | {"__version__"}, f"{room} imports {sorted(ours - allowed)}"
    libraries = {name.split(".")[0] for name in names}
    assert room == "jobs" or not libraries & {"serving", "tuner_oracles"}
    assert not libraries & MAY_NOT_LOAD.get(room, set()), f"{room} loads no such library"


@pytest.mark.parametrize("place", ["tests", "benchmarks"])
def test_only_its_own_tests_import_the_command_line(place: str) -> None:
    """Programs that are interrupted or run as a user does call ``nas_tf.__main__`` instead."""
    for path in sorted({*(ROOT / place).rglob("*.py")} - {*(ROOT / "tests/cli").rglob("*.py")}):
        assert not [name for name in imports(path) if f"{name}.".startswith("nas_tf.cli.")], path
        assert not re.search(r"from nas_tf\.cli\b", path.read_text(encoding="utf-8")), path


def test_no_files_import_each_other() -> None:
    """An import that only a type checker follows does not count."""
    modules = {module_of(path): path for path in FILES}
    following = {
        module: {
            target
            for name in imports(path, for_types=False)
            if (target := name if name in modules else name.rpartition(".")[0]) in modules
        }
        for module, path in modules.items()
    }
    while free := {module for module, targets in following.items() if not targets}:
        following = {
            module: targets - free for module, targets in following.items() if module not in free
        }
    assert not following, "these files import each other, or one that does"


@pytest.mark.parametrize("room", ["serving", "nas_tf/report", "nas_tf/jobs", "nas_tf/cli"])
def test_who_presents_a_task_asks_its_contract_alone(room: str) -> None:
    """No task's class, type or name decides there; help texts may name tasks."""
    from nas_tf import tasks

    classes = {task.__name__ for task in tasks.TASKS.values()} | {"DenseTask", "MapTask"}
    for path in sorted((ROOT / room).rglob("*.py")):
        of_tasks = {name for name in imports(path) if name.startswith("nas_tf.tasks")}
        parts = {part for name in of_tasks for part in name.split(".")}
        assert not parts & (classes | tasks.TASKS.keys()), path.relative_to(ROOT)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant):
                assert node.value not in tasks.TASKS, f"{path.relative_to(ROOT)}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "type"):
                assert "task" not in ast.unparse(node.args[0]), path.relative_to(ROOT)


def test_light_rooms_load_no_tensorflow() -> None:
    code = (
        f"import sys, {', '.join(TENSORFLOW_FREE)}, nas_tf.networks; "
        "print(sorted({'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def renames(tree: ast.AST) -> Iterator[str]:
    """Calls that give a file another name: of paths, which have one argument, and of modules."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="rename" | "replace"), args=[_], keywords=[]):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os" | "shutil"), attr=name)):
                if name in ("rename", "renames", "replace", "move"):
                    yield ast.unparse(node)


@pytest.mark.parametrize("place", [*PACKAGES, "benchmarks"])
def test_files_are_replaced_in_one_way(place: str) -> None:
    """One module knows how a file appears complete; tuner_oracles, which stands alone, has one."""
    own = {ROOT / "nas_tf" / "files.py", ROOT / "tuner_oracles" / "ledger.py"}
    for path in sorted({*(ROOT / place).rglob("*.py")} - own):
        found = list(renames(ast.parse(path.read_text(encoding="utf-8"))))
        assert not found, f"{path.relative_to(ROOT)}: {found}, expected nas_tf/files.py"


def test_the_rule_finds_every_way_to_rename() -> None:
    lines = "path.replace(final)", "Path(x).rename(y)", "os.replace(a, b)", "shutil.move(a, b)"
    assert list(renames(ast.parse("\n".join(lines)))) == list(lines)
    other = "text.replace('a', 'b')", "structs.replace(item, x=1)", "frame.rename(columns={})"
    assert not list(renames(ast.parse("\n".join(other))))


def identifiers(tree: ast.AST) -> Iterator[str]:
    """The names that a file gives to anything."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name


@pytest.mark.parametrize("place", [*PACKAGES, "tests", "benchmarks"])
def test_identifiers_are_plain_english(place: str) -> None:
    for path in sorted((ROOT / place).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {name.strip("_").lower() for name in identifiers(tree)}
        vague = names & TOO_VAGUE | {name for name in names if DIALECT & {*name.split("_")}}
        assert not vague, f"{path.relative_to(ROOT)}: see the vocabulary in CONTRIBUTING.md"


@pytest.mark.parametrize("place", PACKAGES)
def test_docstrings_are_sentences_or_name_the_thing(place: str) -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in sorted((ROOT / place).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, documented) else None
            assert text is None or not FRAGMENT.match(text), f"{path.relative_to(ROOT)}: {text}"


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
