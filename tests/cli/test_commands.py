"""The command line as real processes."""

import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nas_tf import spaces
from nas_tf.runs import saved_arrays
from tests.cli import command
from tests.runs.made import made
from tests.spaces.test_dpc import TOP1_AS_RELEASED

ROOT = Path(__file__).parents[2]
ARCH0 = "[[[3,3],[3,2],[3,0]],[8,[0,0,5,2],[0,2,8,8],[0,5,1,4]]]"


def nas_tf(
    *arguments: str, cwd: Path, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess:
    env = {**os.environ, "COLUMNS": "120", **environment}
    return command.nas_tf(*arguments, cwd=cwd, stdin=stdin, env=env)


def refused(result: subprocess.CompletedProcess, line: str, folder: Path) -> None:
    assert result.stderr == f"nas-tf: {line}\n"
    assert result.stdout == ""
    assert result.returncode == 2
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--help"], ["sample", "auxcell"], ["spaces"]])
def test_light_commands_answer_in_under_a_second_of_work(
    arguments: list[str], tmp_path: Path
) -> None:
    """The better of three, so that a busy machine does not decide."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        assert nas_tf(*arguments, cwd=tmp_path).returncode == 0
        times.append(time.perf_counter() - start)
    assert min(times) < 1.0


def test_light_commands_load_no_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from nas_tf.cli import nas_tf\n"
        "for line in ('sample dpc', 'show aspp', 'spaces', 'cost --space dpc'):\n"
        "    nas_tf(line.split(), standalone_mode=False)\n"
        "    assert not {'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules), line"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, input="", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_sample_repeats_itself_under_a_seed(tmp_path: Path) -> None:
    three = nas_tf("sample", "auxcell", "--count", "3", "--seed", "1", cwd=tmp_path)
    again = nas_tf("sample", "auxcell", "--count", "3", "--seed", "1", cwd=tmp_path)
    assert three.stdout == again.stdout
    assert len(set(three.stdout.splitlines())) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("arch0", ["817,109", "2,628,821", "4,141,080,576", "2.6 M", "4.47 B", "output stride 4"]),
        ("arch1", ["997,333", "2,809,045", "2.8 M", "output stride 8"]),
        ("arch2", ["1,040,341", "2,852,053", "2.9 M", "output stride 8"]),
        ("wacv-arch0", ["279,059", "280,147", "output stride 4"]),
        ("wacv-arch1", ["267,147", "268,235", "output stride 4"]),
        ("dpc-top1", ["sep3x3_18x15 of branch 1", "output stride 16", "3.00 B"]),
        ("aspp", ["pool_1x1 of the feature map", "output stride 16", "the whole image"]),
    ],
)
def test_show_prints_and_draws(name: str, expected: list[str], tmp_path: Path) -> None:
    shown = nas_tf("show", name, "--out", "pictures", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for text in [*expected, "convention: multiply-adds of convolutions only"]:
        assert text in shown.stdout
    drawn = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert drawn == [f"{name}.dot", f"{name}.png", f"{name}.svg"]


def test_a_genotype_longer_than_a_files_name_may_be_is_shown(tmp_path: Path) -> None:
    done = nas_tf("show", json.dumps(TOP1_AS_RELEASED, indent=2), "--no-drawing", cwd=tmp_path)
    assert done.stdout.startswith("dpc-top1 · space dpc"), done.stderr


def test_show_lists_every_layer_with_its_shape(tmp_path: Path) -> None:
    shown = nas_tf("show", "arch0", "--layers", "--no-drawing", "--input", "64x96", cwd=tmp_path)
    row = next(line for line in shown.stdout.splitlines() if "block_16_project_BN" in line)
    assert row.split() == ["block_16_project_BN", "2x3x320", "640", "0"]
    assert list(tmp_path.iterdir()) == []


def test_cost_answers_row_by_row(tmp_path: Path) -> None:
    rows = [
        {"genotype": ARCH0},
        {"genotype": ARCH0, "width": 48, "sep_repeats": 1, "num_classes": 21, "input": [512, 512]},
        {"genotype": [[1]], "width": 48},
        {"genotype": ARCH0, "colour": 1},
        {"genotype": ARCH0, "input": [8, 8]},
        {"genotype": ARCH0, "num_classes": 0},
        {"genotype": ARCH0, "width": "wide"},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\nnonsense\n")
    done = nas_tf("cost", "--space", "auxcell", "--file", "rows.jsonl", cwd=tmp_path)
    assert done.returncode == 0
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[0] == {
        "valid": True,
        "params_decoder": 817_109,
        "params_encoder": 1_811_712,
        "params_aux": 404_607,
        "madds_decoder": 2_681_233_408,
        "madds_encoder": 1_459_847_168,
        "madds_aux": 2_284_744_704,
        "output": [128, 128],
        "deployed": {"params": 2_626_645, "madds": 4_141_080_576 - 64 * 64 * 32 * 64},
    }
    assert answers[1]["params_decoder"] == 399_717
    assert [answer["error"] for answer in answers[2:]] == [
        "genotype has 1 parts (connections, cell), expected 2",
        "key 'colour' is unknown, expected genotype, width, head_width, sep_repeats, aspp, "
        "decoder, output_stride, encoder, backbone, num_classes, channels, preset, input",
        "input 8x8 is smaller than the encoder's stride, expected at least 32x32",
        "num_classes is 0, expected an integer of 1 or more",
        "width is 'wide', expected an integer of 1–4096",
        "not JSON: Expecting value: line 1 column 1 (char 0)",
    ]


def test_cost_of_dense_prediction_cells_counts_their_decoder(tmp_path: Path) -> None:
    cell = [{"op": "conv", "kernel": 1, "input": -1}]
    rows = [
        {"genotype": cell},
        {"genotype": cell, "decoder": "deeplabv3plus"},
        {"genotype": cell, "decoder": "unet"},
        {"genotype": cell, "output_stride": 8},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    space = "{name: dpc, branches: 1}"
    done = nas_tf("cost", "--space", space, "--file", "rows.jsonl", cwd=tmp_path)
    plain, refined, refused, fine = map(json.loads, done.stdout.splitlines())
    assert refined["params_decoder"] - plain["params_decoder"] == 157_552
    assert refined["output"][0] == 4 * plain["output"][0] - 3
    assert refused == {"error": "decoder is 'unet', expected one of (None, 'deeplabv3plus')"}
    assert fine["deployed"]["params"] == plain["deployed"]["params"]
    assert fine["output"] == [2 * side - 1 for side in plain["output"]]


def test_show_says_what_each_branch_of_a_trained_cell_weighs(tmp_path: Path) -> None:
    genotype = spaces.resolve("dpc-top1")
    refined = ["network.decoder=deeplabv3plus"]
    folder = tmp_path / "cells"
    run = made(folder, space="dpc", trials=1, genotypes=[genotype], overrides=refined)
    arguments = ("show", "cells", "--no-drawing")
    shown = nas_tf(*arguments, cwd=tmp_path).stdout
    assert "output 90x120, output stride 4," in shown
    assert "mean absolute weight" not in shown
    kernel = np.repeat([0.5, -0.25, 0.2, -0.1, 0.3], 4)[:, None] * np.ones((1, 1, 20, 2))
    path = saved_arrays.arrays_path(run.folder, "0000")
    path.parent.mkdir()
    np.savez(path, **{"projection.conv|kernel": kernel})
    lines = nas_tf(*arguments, cwd=tmp_path).stdout.splitlines()
    second = next(line for line in lines if line.startswith("branch2.sep3x3_18x15 "))
    assert second.split() == [
        "branch2.sep3x3_18x15",
        "branch1",
        "4",
        "39x43",
        "624x688",
        "0.25000",
    ]


def test_cost_of_detectors_counts_pyramid_and_head(tmp_path: Path) -> None:
    """The figures are those of the released code with ResNet-50, which has no biases there."""
    blocks = [[0, 1, 2, 4, 1]] * 3 + [[4, 5, 2, 4, 1], [6, 7, 2, 4, 1], [8, 1, 2, 4, 1]]
    rows = [
        {"genotype": "nas-fcos", "backbone": "resnet50", "width": 128},
        {"genotype": "nas-fcos-fpn", "num_classes": 20, "input": [320, 416]},
        {"genotype": [*blocks, [9, 1, 2, 4, 1]]},
        {"genotype": "nas-fcos", "width": 48},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = nas_tf("cost", "--space", "fcos", "--file", "rows.jsonl", cwd=tmp_path)
    both, pyramid, refused, narrow = map(json.loads, done.stdout.splitlines())
    assert (both["params_fpn"], both["params_head"]) == (3_314_312, 1_267_122)
    assert (both["madds_fpn"], both["madds_head"]) == (14_088_392_704, 22_926_018_304)
    assert (both["params_encoder"], both["madds_encoder"]) == (23_508_032, 66_888_499_200)
    assert both["outputs"] == [[100, 136], [50, 68], [25, 34], [13, 17], [7, 9]]
    assert (pyramid["valid"], pyramid["madds_fpn"]) == (True, 5_693_841_408)
    assert refused == {
        "valid": False,
        "reason": "1 of its blocks are read by no other, expected 3 or more as outputs",
    }
    assert narrow == {"error": "head.p3.classes.layer1.gn: 32 groups do not divide 48 channels"}


def test_cost_of_restoration_counts_what_is_built_and_what_is_used(tmp_path: Path) -> None:
    skips = [[[5, 0], [5, 1]] * 4] * 3
    rows = [
        {"genotype": [skips, [0, 0, 1]]},
        {"genotype": "hinas-dil5x5", "aspp": True, "width": 10, "input": [2, 5]},
        {"genotype": [[[[3, 0], [4, 1]]], [0]], "preset": "slides", "channels": 3},
        {"genotype": [skips, [0, 2, 1]]},
        {"genotype": [skips, [0, 0, 1]], "channels": 0},
        {"genotype": [skips, [0, 0, 1]], "preset": "paper"},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = nas_tf("cost", "--space", "restoration", "--file", "rows.jsonl", cwd=tmp_path)
    skip, dilated, deformable, *refused = map(json.loads, done.stdout.splitlines())
    assert (skip["params"], skip["params_used"]) == (157_769, 111_689)
    assert (skip["params_cells"], skip["madds"]) == ([0, 0, 0], 109_680 * 321 * 481)
    assert dilated["params_cells"] == [45_240, 80_320, 80_320]
    assert deformable["params_cells"] == [13_434]
    assert refused == [
        {
            "valid": False,
            "reason": "from layer 1 to layer 2 its level goes 0 to 2, expected one step at most",
        },
        {"error": "channels is 0, expected an integer of 1 or more"},
        {"error": "preset is 'paper', expected one of public, slides for space restoration"},
    ]


def test_derive_reads_cells_and_paths(tmp_path: Path) -> None:
    """The path is not that of the largest weight at each step: 0.6 leads to 0.21 at most."""
    weights = [[0, 0.4, 0.6], [0, 0.9, 0.1], [0.2, 0.3, 0.5]]
    weights += [[0, 0.8, 0.2], [0.3, 0.4, 0.3], [0.7, 0.3, 0]]
    beta = [[math.log(weight) if weight else -50 for weight in row] for row in weights]
    rows = [
        {"beta": beta, "layers": 3, "levels": 3},
        {"alpha": [[0, 2, 0], [1, 0, 0]], "nodes": 1},
        {"alpha": [[0, 2, 0], [1, 0, 0]]},
        {"alpha": [[0, 2, 0], [1, None, 0]], "nodes": 1},
        {"beta": beta, "layers": 13, "levels": 3},
    ]
    done = nas_tf("derive", cwd=tmp_path, stdin="\n".join(map(json.dumps, rows)))
    path, cell, *refused = map(json.loads, done.stdout.splitlines())
    assert path == {"path": [0, 0, 0], "probability": pytest.approx(0.288)}
    assert cell == {"cell": [[1, 0], [0, 1]]}
    assert [answer["error"].partition("expected")[2] for answer in refused] == [
        " alpha, nodes, or beta, layers, levels",
        " a list of finite numbers",
        " an integer of 1 to 12",
    ]


def test_cost_of_a_hundred_rows_is_quick(tmp_path: Path) -> None:
    sampled = nas_tf("sample", "auxcell", "--count", "100", "--seed", "3", cwd=tmp_path).stdout
    rows = "\n".join(json.dumps({"genotype": line}) for line in sampled.splitlines())
    start = time.perf_counter()
    done = nas_tf("cost", "--space", "auxcell", cwd=tmp_path, stdin=rows)
    assert len(done.stdout.splitlines()) == 100
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("space", ["auxcell", "template", "dpc"])
def test_cost_answers_every_malformed_row(space: str, tmp_path: Path) -> None:
    genotypes = [None, 5, {}, [], [[]], [None, None], [[], []], "x", "", True, 1.5, [[{}], [{}]]]
    rows = [json.dumps({"genotype": genotype}) for genotype in genotypes]
    rows += ["1", '"x"', "[]", "null", "{}", "[" * 100_000, '{"genotype": [1e400]}']
    done = nas_tf("cost", "--space", space, cwd=tmp_path, stdin="\n".join(rows))
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(rows)
    assert all(list(answer) == ["error"] for answer in answers)
    assert all(len(answer["error"]) < 400 for answer in answers)


def test_cost_reads_names_and_survives_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b'{"genotype": "arch0"}\n\xff\xfe\n')
    done = nas_tf("cost", "--space", "auxcell", "--file", "rows", cwd=tmp_path)
    named, broken = (json.loads(line) for line in done.stdout.splitlines())
    assert named["params_decoder"] == 817_109
    assert broken["error"].startswith("not JSON")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["show", ARCH0.replace("4]]]", "11]]]")],
            "token cell.o7 is 11, expected 0–10 (operations)",
        ),
        (
            ["show", "[[[1,2]],[2]]", "--space", "auxcell"],
            "genotype has blocks=1, expected 3 for space auxcell: give another genotype, or "
            "space={name: auxcell, blocks: 1}",
        ),
        (
            ["show", "[[[1,2]],[[2]]]"],
            "template 1 has 2 integers (op, op, aggregation), expected 3",
        ),
        (
            ["show", "[1,2]"],
            "genotype [1, 2] has the shape of no space, expected brackets of auxcell, template, "
            "dpc, fcos, restoration, baseline",
        ),
        (
            ["sample", "{name: auxcell, blocks: 11}"],
            "blocks is 11, expected an integer of 1 to 10 for space auxcell",
        ),
        (
            ["spaces", "--distinct", "{name: dpc, blocks: 3}"],
            "space dpc has no argument 'blocks', expected branches",
        ),
        (
            ["sample", "darts"],
            "space 'darts' is unknown, expected one of auxcell, template, dpc, fcos, restoration, "
            "baseline",
        ),
        (
            ["show", "arch0", "--input", "big"],
            "size is 'big', expected HEIGHTxWIDTH such as 360x480",
        ),
        (
            ["show", "arch0", "--input", "16x16"],
            "input 16x16 is smaller than the encoder's stride, expected at least 32x32",
        ),
        (
            ["build", "arch0", "--out", "model.h5"],
            "--out is model.h5, expected a name that ends in .keras",
        ),
        (
            ["predict", "model.tflite", ".", "--out", "seen.png"],
            "--out is seen.png, a picture, expected a folder for several pictures",
        ),
        (
            ["build", "arch0", "--out", "m.keras", "--weights", "absent.h5"],
            "weights absent.h5: no such file, expected weights of mobilenet_v2 of alpha 1.0 as "
            "Keras saves them",
        ),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    arguments: list[str], line: str, tmp_path: Path
) -> None:
    refused(nas_tf(*arguments, cwd=tmp_path), line, tmp_path)


@pytest.mark.slow
def test_build_saves_a_model_that_loads(tmp_path: Path) -> None:
    built = nas_tf("build", "wacv-arch0", "--classes", "11", "--out", "m/a.keras", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    assert built.stdout == "m/a.keras: 270 layers, 274,443 trainable parameters\n"
    code = (
        "import tensorflow as tf, nas_tf.networks.keras_model;"
        "m = tf.keras.models.load_model('m/a.keras');"
        "print(m(tf.zeros((1, 33, 65, 3))).shape)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert loaded.stdout == "(1, 9, 17, 11)\n", loaded.stderr


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    code = (
        "import resource; from nas_tf.cli import main; import nas_tf.report.graph; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); main()"
    )
    command = [sys.executable, "-c", code, "show", "arch0", "--out", "drawings"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    reason = "can't be written: File too large; free some space, then run the same again"
    assert re.fullmatch(rf"nas-tf: .+ {reason}\n", done.stderr)
    assert done.returncode == 4


@pytest.mark.parametrize(
    ("former", "line", "error"),
    [
        (("score", "nowhere"), "score is now called evaluate", "nowhere is not a folder"),
        (
            ("evaluate", "arch0", "--config=nothing"),
            "evaluate with --config is now called trial",
            "configuration 'nothing' is unknown",
        ),
    ],
)
def test_former_names_of_commands_work_and_the_present_one_is_named(
    former: tuple[str, ...], line: str, error: str, tmp_path: Path
) -> None:
    done = nas_tf(*former, cwd=tmp_path)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first == f"nas-tf: {line}"
    assert second.startswith(f"nas-tf: {error}")
