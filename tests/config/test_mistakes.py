"""Every mistake in a configuration gets one line: what, where, and what is accepted."""

from pathlib import Path

import pytest

from nas_tf import config
from nas_tf.errors import ConfigError

SMALL = "space: auxcell\ndata: {name: camvid}\n"
SHIPPED = ", ".join(config.names())
OPTIMISER = "kind, learning_rate, momentum, beta_2, epsilon, weight_decay, clip"
STAGE = "epochs, batch, data, split, joined, crop, encoder, decoder, schedule, auxiliary_weight"


def refused(source: str | Path, *overrides: str) -> str:
    """The one line of the error."""
    with pytest.raises(ConfigError) as caught:
        config.load(source, overrides)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.exit_code == 2
    return line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            SMALL + "stage_one:\n  epoch: 3\n",
            "key stage_one.epoch is unknown in small.yaml line 4, did you mean epochs?",
        ),
        (
            SMALL + "stage_one:\n  decoder: {xyz: 1}\n",
            "key stage_one.decoder.xyz is unknown in small.yaml line 4, "
            f"expected one of {OPTIMISER}",
        ),
        (
            SMALL + "stage_one:\n  batch: 2\n\n  epochs: -3\n",
            "stage_one.epochs is -3 in small.yaml line 6, expected an integer of 1 or more",
        ),
        (
            SMALL + "stage_one: {epochs: '3'}\n",
            "stage_one.epochs is '3' in small.yaml line 3, expected an integer of 1 or more",
        ),
        (
            SMALL + "stage_one:\n  epochs:\n",
            "stage_one.epochs is empty in small.yaml line 4, expected an integer of 1 or more",
        ),
        (
            SMALL + "seed: true\n",
            "seed is true in small.yaml line 3, expected an integer of 0 to 2147483647",
        ),
        (
            SMALL + "stage_one: {crop: [3, 0]}\n",
            "stage_one.crop is [3, 0] in small.yaml line 3, "
            "expected a list of 2, each an integer of 1 or more, or null",
        ),
        (
            SMALL + "evaluation: {flip: yes}\n",
            "evaluation.flip is yes in small.yaml line 3, expected true or false",
        ),
        (
            SMALL + "precision: float64\n",
            "precision is float64 in small.yaml line 3, expected one of auto, bfloat16, float16, "
            "float32",
        ),
        (
            "space: aux\ndata: {name: camvid}\n",
            "space is aux in small.yaml line 1, expected one of auxcell, baseline, dpc, fcos, "
            "restoration, template",
        ),
        (
            SMALL + "stage_two: 3\n",
            "stage_two is 3 in small.yaml line 3, expected a section of epochs, batch, crop, "
            "encoder, decoder, schedule, polyak, auxiliary_weight, or null",
        ),
        (
            SMALL + "full:\n  stages:\n  - {epochs: 2}\n  - 5\n",
            f"full_training.stages.1 is 5 in small.yaml line 6, expected a section of {STAGE}",
        ),
        (
            SMALL + "full_training: {stages: []}\n",
            "full_training.stages is [] in small.yaml line 3, "
            f"expected a list of 1 or more, each a section of {STAGE}",
        ),
        (
            SMALL + "full:\n  stages:\n  - batch: 2\n",
            "key full_training.stages.0.epochs is missing in small.yaml line 5, "
            "expected an integer of 1 or more",
        ),
        (
            "data: {name: camvid}\n",
            "key space is missing in small.yaml line 1, expected one of auxcell, baseline, dpc, "
            "fcos, restoration, template",
        ),
        (
            "space: dpc\ndata: {}\n",
            "key data.name is missing in small.yaml line 2, expected a text",
        ),
        (
            SMALL + "data: {name: shapes}\n",
            "key data is given twice in small.yaml line 3, expected once",
        ),
        (
            SMALL + "seed: !!python/object/apply:os.system [exit]\n",
            "seed is !!python/object/apply:os.system [exit] in small.yaml line 3, "
            "expected an integer of 0 to 2147483647",
        ),
        (
            SMALL + "teacher: !!python/name:os.system\n",
            "teacher is !!python/name:os.system in small.yaml line 3, expected a text, or null",
        ),
        (
            "!!python/object:os.system\n" + SMALL,
            "small.yaml holds something else, expected keys such as space: auxcell",
        ),
        (
            SMALL + "<<: {seed: 1}\n",
            "key '<<' is unknown in small.yaml line 3, expected one of space, data, task, "
            "degradation, network, stage_one, gate, stage_two, gradient, teacher, limits, search, "
            "precision, threads, seed, full_training, evaluation",
        ),
        (
            SMALL + "limits: &a {params: *a}\n",
            "limits.params is &a {params: *a} in small.yaml line 3, "
            "expected an integer of 1 or more, or null",
        ),
        (
            SMALL + "stage_one: {decoder: {learning_rate: 1e999}}\n",
            "stage_one.decoder.learning_rate is 1e999 in small.yaml line 3, "
            "expected a number above 0",
        ),
        (
            SMALL + "data.name: shapes\n",
            "key 'data.name' is unknown in small.yaml line 3, did you mean data?",
        ),
        ("", "small.yaml holds no keys, expected keys such as space: auxcell"),
        ("# nothing\n", "small.yaml holds no keys, expected keys such as space: auxcell"),
        ("- 1\n", "small.yaml holds something else, expected keys such as space: auxcell"),
        (
            "space: auxcell\ndata: {name: camvid\nseed: 1\n",
            "small.yaml line 3 is not YAML, expected ',' or '}', but got ':'",
        ),
        (
            "space: auxcell\n\tdata: 1\n",
            "small.yaml line 2 is not YAML, found character '\\t' that cannot start any token",
        ),
        (
            "space: a\n---\nspace: b\n",
            "small.yaml line 2 is not YAML, but found another document",
        ),
        (
            'space: "\\UFFFFFFFF"\n',
            "small.yaml line 1 is not YAML, Python int too large to convert to C int",
        ),
        ("[" * 5000, "small.yaml line 1 is not YAML, nested too deeply"),
        (b"space: \x00\n", "small.yaml line 1 is not YAML, special characters are not allowed"),
        (b"space: \xff\n", "configuration small.yaml is not UTF-8 text, expected YAML"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(write, text: str | bytes, line: str) -> None:
    assert refused(write(text)) == line


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["stage_one.epochs=-3"],
            "override stage_one.epochs=-3: expected an integer of 1 or more",
        ),
        (
            ["stage_one.epoch=3"],
            "override stage_one.epoch=3: key stage_one.epoch is unknown, did you mean epochs?",
        ),
        (
            ["stage_one={epochs: -3}"],
            "override stage_one={epochs: -3}: stage_one.epochs is -3, "
            "expected an integer of 1 or more",
        ),
        (
            ["data={}"],
            "override data={}: key data.name is missing, expected a text",
        ),
        (
            ["data={name: a, name: b}"],
            "override data={name: a, name: b}: key data.name is given twice, expected once",
        ),
        (
            ["network.weights=None"],
            "override network.weights=None: expected a text, or null",
        ),
        (
            ["stage_one.polyak=1"],
            "override stage_one.polyak=1: expected a number above 0 and below 1, or null",
        ),
        (["gate.probability=2"], "override gate.probability=2: expected a number of 0 to 1"),
        (
            ["full_training.stages.1.epochs=3"],
            "override full_training.stages.1.epochs=3: key full_training.stages.1 is unknown, "
            "expected 0",
        ),
        (
            ["full_training.stages.0.joined.0.data=x"],
            "override full_training.stages.0.joined.0.data=x: full_training.stages.0.joined has "
            "no keys, expected a list, each a section of data, split",
        ),
        (
            ["full_training.stages.0.joined={data: x}"],
            "override full_training.stages.0.joined={data: x}: expected a list, each a section of "
            "data, split",
        ),
        (
            ["full_training.stages.0.joined=[{split: x}]"],
            "override full_training.stages.0.joined=[{split: x}]: key "
            "full_training.stages.0.joined.0.data is missing, expected a text",
        ),
        (
            ["stage_one.epochs.x=3"],
            "override stage_one.epochs.x=3: stage_one.epochs has no keys, "
            "expected an integer of 1 or more",
        ),
        (
            ["stage_one.epochs"],
            "override 'stage_one.epochs' is no key=value, expected such as stage_one.epochs=2",
        ),
        (["=3"], "override '=3' is no key=value, expected such as stage_one.epochs=2"),
        (["a..b=3"], "override 'a..b=3' is no key=value, expected such as stage_one.epochs=2"),
        (
            ["seed=["],
            "override seed=[: not YAML, expected the node content, but found '<stream end>'",
        ),
        (
            ["seed=!!python/object/apply:os.getpid []"],
            "override seed=!!python/object/apply:os.getpid []: "
            "expected an integer of 0 to 2147483647",
        ),
        (
            ["network.alpha=0.6"],
            "override network.alpha=0.6: expected one of 0.35, 0.5, 0.75, 1.0, 1.3, 1.4",
        ),
        (
            ["network.auxiliary=cell", "space=dpc"],
            "override network.auxiliary=cell: expected none, as space dpc has no auxiliaries",
        ),
        (
            ["stage_two.schedule.kind=step"],
            "override stage_two.schedule.kind=step: "
            "expected stage_two.schedule.at with it, such as [0.6, 0.9]",
        ),
        (
            ["full_training.stages=[{epochs: 1, schedule: {kind: step}}]"],
            "override full_training.stages=[{epochs: 1, schedule: {kind: step}}]: "
            "full_training.stages.0.schedule.kind is step, "
            "expected full_training.stages.0.schedule.at with it, such as [0.6, 0.9]",
        ),
    ],
)
def test_a_mistake_in_an_override_is_one_line(write, overrides: list[str], line: str) -> None:
    assert refused(write(SMALL), *overrides) == line


def test_keys_that_clash_are_reported_where_they_stand(write) -> None:
    path = write("space: template\ndata: {name: camvid}\nnetwork:\n  auxiliary: cell\n")
    assert refused(path) == (
        "network.auxiliary is cell in small.yaml line 4, "
        "expected none, as space template has no auxiliaries"
    )
    assert config.load(path, ["space=auxcell"]).network.auxiliary == "cell"
    assert config.load(path, ["network.auxiliary=none"]).network.auxiliary == "none"


def test_a_configuration_that_is_not_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = f"expected a YAML file, folder:DIR or one of {SHIPPED}"
    assert refused("camvid_auxcel") == (
        f"configuration 'camvid_auxcel' is unknown, {expected}, did you mean camvid_auxcell?"
    )
    assert refused("zzz") == f"configuration 'zzz' is unknown, {expected}"
    assert refused("here/zzz") == f"configuration here/zzz does not exist, {expected}"
    assert refused(Path("zzz.yaml")) == f"configuration zzz.yaml does not exist, {expected}"
    (tmp_path / "folder.yaml").mkdir()
    assert refused("folder.yaml") == "configuration folder.yaml cannot be read: Is a directory"
    assert refused("a\0.yaml") == "configuration a\0.yaml cannot be read: embedded null byte"
