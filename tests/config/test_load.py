"""Configurations: what is read, what wins, and that anything else is a ConfigError."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from nas_tf import config
from nas_tf.config import schema
from nas_tf.config.load import load_saved
from nas_tf.errors import ConfigError
from nas_tf.runs.load import dotted
from tests.config.needed import needed
from tests.sampling import times

SMALL = "space: auxcell\ndata: {name: camvid}\n"
FILES = {path.stem: path for path in (Path(__file__).parents[2] / "configs").glob("*.yaml")}
SLOW = settings(
    max_examples=times(300, 100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def read_or_refused(source: str, *overrides: str) -> str:
    """The line of the error, nothing where there is none; any other exception is a failure."""
    try:
        config.load(source, overrides)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", config.names())
def test_shipped_configurations_load_and_come_back_from_their_dump(name: str, write) -> None:
    shipped = config.load(name, needed(name))
    assert config.load(write(config.dump(shipped))) == shipped
    assert config.dump(config.load("small.yaml")) == config.dump(shipped)


@pytest.mark.parametrize("name", config.names())
def test_shipped_configurations_say_what_they_are_and_hold_sections_only(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert set(yaml.safe_load(text)) <= set(schema.Config.__struct_fields__)


def test_the_papers_recipes() -> None:
    template, dpc = config.load("camvid_template"), config.load("camvid_dpc")
    assert template.stage_one.decoder == schema.Optimiser(learning_rate=7e-3)
    assert template.stage_two.encoder.kind == "adam"
    assert (template.stage_one.polyak, template.stage_two.polyak) == (0.9, 0.99)
    assert template.full_training.stages[0].encoder == template.full_training.stages[0].decoder
    assert dpc.stage_two is None
    assert dpc.stage_one.schedule == schema.Schedule(kind="poly", power=0.9)
    voc = config.load("voc_auxcell")
    assert (voc.stage_one.batch, voc.stage_two.batch) == (64, 32)
    stages, full = voc.full_training.stages, voc.full_training
    assert [(stage.epochs, stage.batch) for stage in stages] == [(30, 64), (50, 64), (100, 64)]
    assert [stage.joined for stage in stages] == [(schema.Joined(data="coco_voc_seg"),), (), ()]
    assert [stage.split or voc.data.train_split for stage in stages] == [
        *("trainaug", "trainaug", "train")
    ]
    assert [stage.encoder.kind for stage in stages] == ["sgd"] * 3
    assert [stage.encoder.learning_rate for stage in stages] == [1e-3, 5e-4, 2.5e-4]
    assert [stage.decoder.learning_rate for stage in stages] == [3e-3, 1.5e-3, 7.5e-4]
    assert [stage.auxiliary_weight for stage in stages] == [0.3, 0.25, 0.2]
    assert (full.freeze_batch_norm, full.frozen_auxiliary_weight) == (True, 0.15)
    assert voc.task == schema.Task(background="background")


def test_names_are_those_of_the_files() -> None:
    assert config.names() == sorted(FILES)
    assert {"camvid_auxcell", "camvid_dpc", "camvid_template", "voc_auxcell"} <= FILES.keys()


def test_a_file_beats_defaults_and_overrides_beat_the_file(write) -> None:
    path = write(SMALL + "stage_one: {epochs: 7, batch: 4}\n")
    assert config.load(path).stage_one == schema.StageOne(epochs=7, batch=4)
    loaded = config.load(path, ["stage_one.epochs=2", "stage_one.epochs=3", "data.name=shapes"])
    assert loaded.stage_one == schema.StageOne(epochs=3, batch=4)
    assert loaded.data == schema.Data(name="shapes")
    assert config.load(Path(path)) == config.load(path)


def test_a_section_written_in_part_keeps_the_defaults_of_its_place(write) -> None:
    path = write(SMALL + "stage_two: {encoder: {learning_rate: 5e-4}}\n")
    assert config.load(path).stage_two.encoder == schema.Optimiser(kind="sgd", learning_rate=5e-4)
    stages = config.load(
        path, ["full_training.stages=[{epochs: 2, encoder: {learning_rate: 1}}]"]
    ).full_training
    assert stages.stages[0].encoder.kind == "sgd"
    assert stages.stages[0].encoder.clip is None


def test_overrides_reach_into_defaults_lists_and_sections_that_are_null(write) -> None:
    path = write(SMALL + "stage_two: null\n")
    assert config.load(path).stage_two is None
    assert config.load(path, ["stage_two.epochs=2"]).stage_two == schema.StageTwo(epochs=2)
    assert config.load("camvid_auxcell", ["stage_two=null"]).stage_two is None
    assert (
        config.load(path, ["full_training.stages.0.epochs=5"]).full_training.stages[0].epochs == 5
    )
    more = config.load(
        path, ["full_training.stages=[{epochs: 1}, {epochs: 2}]", "full_training.stages.1.batch=3"]
    )
    assert [(stage.epochs, stage.batch) for stage in more.full_training.stages] == [(1, 8), (2, 3)]
    assert (
        config.load(path, ["full_training.stages.0={epochs: 9}"]).full_training.stages[0].epochs
        == 9
    )


def test_overrides_may_give_what_is_missing_in_a_file(write) -> None:
    path = write("seed: 3\n")
    loaded = config.load(path, ["space=dpc", "data.name=shapes"])
    assert loaded == schema.Config(space="dpc", data=schema.Data(name="shapes"), seed=3)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-3", 3e-3), ("1", 1.0), (".5", 0.5), ("2.", 2.0), ("+1E2", 100.0), ("!!float 3", 3.0)],
)
def test_numbers_as_people_write_them(text: str, value: float) -> None:
    loaded = config.load("camvid_auxcell", [f"stage_one.decoder.learning_rate={text}"])
    assert loaded.stage_one.decoder.learning_rate == value


@pytest.mark.parametrize("text", ["no", "1:30", "2026-01-01", "0x10", "'7'", "a=b", ".inf", "1_0"])
def test_texts_stay_texts(text: str) -> None:
    loaded = config.load("camvid_auxcell", [f"data.target={text}"])
    assert loaded.data.target == text.strip("'")


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("3e-3")
@example("null")
@example("None")
@example("~")
@example("true")
@example("no")
@example("12")
@example("- a: {b")
@example("a " * 90)
@example("\n x\x85\u2028\t\0")
@SLOW
def test_any_text_comes_back_from_a_dump(write, text: str) -> None:
    data = schema.Data(name="camvid", target=text, val_split=text)
    original = schema.Config(space="template", data=data)
    assert config.load(write(config.dump(original))) == original


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False), st.integers(1, 2**63 - 1))
@SLOW
def test_any_number_comes_back_from_a_dump(write, number: float, count: int) -> None:
    limits = schema.Limits(madds=count, seconds=number)
    original = schema.Config(space="dpc", data=schema.Data(name="shapes"), limits=limits)
    assert config.load(write(config.dump(original))) == original


def test_a_shipped_name_is_that_also_next_to_a_folder_of_that_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "camvid_auxcell").mkdir()
    assert config.load("camvid_auxcell").data.name == "camvid"
    (tmp_path / "mine").write_text(SMALL + "seed: 5\n")
    assert config.load("mine").seed == 5


_WORDS = st.sampled_from(
    [
        "space",
        "data",
        "name",
        "auxcell",
        "stage_one",
        "full_training",
        "stages",
        "epochs",
        "crop",
        "null",
    ]
)
_YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)
_PUNCTUATION = st.text("aspce:0-3.{}[],&*!|>%@?#'\"\\ \n\t<é\x00\x85U", max_size=60)


@given(st.text() | _PUNCTUATION | _YAML.map(yaml.safe_dump) | st.binary(max_size=40))
@SLOW
def test_any_file_is_read_or_refused_in_one_line(write, text: str | bytes) -> None:
    for before in ("", SMALL):
        content = text if isinstance(text, bytes) else before + text
        assert len(read_or_refused(write(content)).splitlines()) <= 1


_KEYS = st.lists(_WORDS | st.just("0"), min_size=1, max_size=4).map(".".join)
_VALUES = _YAML.map(lambda value: yaml.safe_dump(value, default_flow_style=True)) | _PUNCTUATION


@given(st.lists(st.text() | _PUNCTUATION | st.builds("{}={}".format, _KEYS, _VALUES), max_size=3))
@SLOW
def test_any_overrides_are_read_or_refused_in_one_line(overrides: list[str]) -> None:
    assert len(read_or_refused("camvid_template", *overrides).splitlines()) <= 1


@given(st.text() | _PUNCTUATION)
@SLOW
def test_any_name_is_found_or_refused_in_one_line(source: str) -> None:
    line = read_or_refused(source)
    assert len(line.splitlines()) == (source not in config.names())


def test_every_default_is_accepted(write) -> None:
    """Written out, each default passes the checks that a person's value passes."""
    original = schema.Config(space="auxcell", data=schema.Data(name="shapes"))
    dumped = yaml.safe_load(config.dump(original))
    assert set(dumped) == {field.name for field in structs.fields(schema.Config)}
    assert config.load(write(config.dump(original))) == original


def test_the_how_to_explains_every_key() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "configuration.md"
    names = set(re.findall(r"`(\w+)`", page.read_text(encoding="utf-8")))
    for section in schema.Section.__subclasses__():
        assert set(section.__struct_fields__) <= names, section.__name__
    assert set(config.names()) <= names


def test_importing_configurations_loads_no_tensorflow() -> None:
    code = (
        "import sys; from nas_tf import config; config.load('camvid_auxcell'); "
        "print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


FORMER = """\
space: auxcell
data: {name: shapes, meta_val: 0.2, search_views: full}
limits: {floor: 0.05}
search:
  begin_with: other
  begin_count: 3
  kept: 2
  targets: {madds: {target: 1.0e+9, exponent: 0.1}, params: {target: 2}, latency_ms: {target: 3}}
  latency: tflite
full: {stages: [{epochs: 4}]}
"""
RENAMED = {
    "data.meta_val": ("meta_val_share", 2),
    "data.search_views": ("candidate_views", 2),
    "limits.floor": ("failure_score", 3),
    "search.begin_with": ("warm_start", 5),
    "search.begin_count": ("warm_start_count", 6),
    "search.kept": ("saved_weights", 7),
    "search.targets": ("goals", 8),
    "search.goals.madds.target": ("goal", 8),
    "search.goals.params.target": ("goal", 8),
    "search.goals.latency_ms.target": ("goal", 8),
    "full": ("full_training", 10),
}


def test_former_names_of_keys_are_read_and_each_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "former.yaml"
    path.write_text(FORMER)
    loaded = config.load(path)
    assert sorted(record.getMessage() for record in caplog.records) == sorted(
        f"key {former} in {path} line {line} is now called {current}"
        for former, (current, line) in RENAMED.items()
    )
    assert (loaded.data.meta_val_share, loaded.data.candidate_views) == (0.2, "full")
    assert (loaded.limits.failure_score, loaded.search.saved_weights) == (0.05, 2)
    assert (Path(loaded.search.warm_start).name, loaded.search.warm_start_count) == ("other", 3)
    goals = loaded.search.goals
    assert (goals.madds.goal, goals.params.goal, goals.latency_ms.goal) == (1e9, 2, 3)
    assert goals.madds.exponent == 0.1
    assert loaded.full_training.stages[0].epochs == 4
    caplog.clear()
    assert load_saved(path) == config.load(path, ["search.begin_count=3"])
    assert len(caplog.records) == len(RENAMED) + 1
    assert caplog.records[-1].getMessage() == (
        "override search.begin_count=3: key search.begin_count is now called warm_start_count"
    )


def test_a_key_by_both_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text("space: auxcell\ndata: {name: shapes, meta_val: 0.2, meta_val_share: 0.2}\n")
    with pytest.raises(ConfigError, match=r"key data\.meta_val_share is given twice"):
        config.load(path)


def test_runs_read_and_compare_configurations_by_the_present_names(tmp_path: Path) -> None:
    path = tmp_path / "former.yaml"
    path.write_text(FORMER)
    present = dotted(config.dump(config.load(path)))
    former = dotted(FORMER.replace("other", f"{Path.cwd()}/other"))
    assert former == {key: present[key] for key in former}
