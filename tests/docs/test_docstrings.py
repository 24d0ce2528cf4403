"""The examples of docstrings run, and their comments are what they evaluate to."""

import ast
import importlib
import random
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest
import tensorflow as tf

import nas_tf
from nas_tf import networks, spaces
from nas_tf.input_geometry import InputGeometry, Resize
from nas_tf.networks.arrays import layouts
from nas_tf.networks.state import from_arrays, initial_arrays
from tests.report.trained import trained
from tests.runs.made import made

ROOT = Path(__file__).parents[2]
NEEDS_TRAINING = {"FullRun", "GradientSearch", "SharedData", "TwoStage", "TwoStageTuner"}
NEEDS_TRAINING |= {"Untrained"}
NEEDS_A_SERVICE = {"Client", "Cluster", "LiteModel", "Examples", "tuner_oracles"}
"""Examples that the pages of docs/ and the tests of these classes run with what they need."""
BLOCK = re.compile(r"::\n\n((?:(?: +.*)?\n)+)")


def examples() -> Iterator[Any]:
    for package in ("nas_tf", "serving", "tuner_oracles"):
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = module.removesuffix(".__init__")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                    continue
                name = getattr(node, "name", module)
                for block in BLOCK.findall(f"{ast.get_docstring(node) or ''}\n"):
                    if "-->" not in block:  # a diagram
                        code = textwrap.dedent(block).strip()
                        yield pytest.param(module, name, code, id=f"{module}.{name}")


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What an example takes for granted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search").mkdir()
    made(tmp_path / "runs" / "search", trials=5)
    trained(tmp_path / "runs" / "camvid_auxcell-arch0", 0.7)
    blueprint = networks.blueprint_of("aspp", 3, input_size=(65, 65))
    layout = layouts(blueprint)["decoder"].trainable
    picture = np.zeros((300, 600, 3), np.uint8)
    geometry = InputGeometry((256, 512), Resize(longer=1024))
    hyperparameters = kt.HyperParameters()
    hyperparameters.Choice("layers", [1, 2, 3])
    return {
        **{"Path": Path, "np": np, "random": random, "sys": sys, "tf": tf, "nas_tf": nas_tf},
        **{"networks": networks, "spaces": spaces, "from_arrays": from_arrays},
        **{"initial_arrays": initial_arrays, "blueprint_of": networks.blueprint_of},
        **{"cost": networks.cost, "config": nas_tf.config, "load": nas_tf.config.load},
        "blueprint": blueprint,
        "vector": np.zeros(layout.size, np.float32),
        "picture": picture,
        "labels_of_windows": np.zeros((len(geometry.cut(picture)), 256, 512), np.int32),
        "images": tf.zeros((1, 65, 65, 3)),
        "image": tf.zeros((1, 8, 8, 3)),
        "other": tf.zeros((1, 16, 16, 3)),
        "hyperparameters": hyperparameters,
    }


@pytest.mark.parametrize(("module", "name", "code"), list(examples()))
def test_an_example_runs(module: str, name: str, code: str, names: dict[str, Any]) -> None:
    tree = ast.parse(code)
    if name in NEEDS_TRAINING | NEEDS_A_SERVICE:
        return
    space = names | vars(importlib.import_module(module))
    lines = code.splitlines()
    for node in tree.body:
        _, _, comment = lines[node.end_lineno - 1].partition("  # ")
        if comment.startswith("GenotypeError"):
            with pytest.raises(nas_tf.errors.GenotypeError):
                exec(ast.unparse(node), space)
        elif isinstance(node, ast.Expr):
            value = eval(compile(ast.Expression(node.value), name, "eval"), space)
            if comment:
                assert np.asarray(value).tolist() == np.asarray(ast.literal_eval(comment)).tolist()
        else:
            exec(compile(ast.Module([node], []), name, "exec"), space)


def test_public_classes_have_an_example() -> None:
    shown = {parameters.values[1] for parameters in examples()}
    assert shown >= {
        *("AuxCellSpace", "TemplateSpace", "DPCSpace", "Genotype", "Blueprint", "blueprint_of"),
        *("SearchHyperModel", "TwoStageTuner", "Run", "Segmentation", "Depth", "Client"),
        *("PPOOracle", "EvolutionOracle", "RandomOracle", "NearBestOracle", "FullRun"),
    }
