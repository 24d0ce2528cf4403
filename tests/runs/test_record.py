"""The records of a run: what is written is what is read, also from folders of 0.1.0."""

import json
import tarfile
from pathlib import Path

import msgspec
import pytest

from nas_tf import files, spaces
from nas_tf.errors import DataError
from nas_tf.runs import Run, RunInfo, TrialRecord, filenames, record
from tests.runs import recorded
from tests.runs.recorded import trial

OF_0_1_0 = Path(__file__).with_name("of_0_1_0.tar.gz")


def test_it_is_shown_in_a_line_without_its_losses() -> None:
    shown = repr(trial(3, (0.25, 0.5)))
    assert shown.startswith("<TrialRecord 03: completed, reward 0.5000, [[[")
    assert "losses" not in shown


def test_a_trial_is_read_as_it_was_written(tmp_path: Path) -> None:
    for item in (
        trial(3, (0.25, 0.5), latency_ms=4.5),
        trial(4, (0.25,), stopped="gate"),
        trial(5, (), status="failed", stopped="2 parameters, the limit is 1", refused=True),
    ):
        path = tmp_path / f"{item.trial}.json"
        files.write(path, record.text(item))
        assert record.read(path) == item
        assert item.parsed == record.read(path).parsed
        assert (json.loads(path.read_text()).get("refused") is True) == bool(item.refused)


def test_an_evaluation_is_no_trial_before_it_has_a_name_and_times(tmp_path: Path) -> None:
    genotype = spaces.resolve("arch0")
    found = TrialRecord.of(genotype, 0.5, params=7)
    assert (found.parsed, found.reward, found.failed, found.refused) == (
        *(genotype, 0.5, False),
        msgspec.UNSET,
    )
    refused = TrialRecord.of(genotype, 0.0, refused=True, stopped="too large")
    assert (refused.failed, refused.refused, refused.status) == (True, True, "failed")
    path, moment = tmp_path / "7.json", "2026-01-02T03:04:05+00:00"
    for more, fault in (
        ({}, "it is of trial ''|matching regex"),
        ({"trial": "7"}, "Invalid isoformat"),
        ({"trial": "7", "started": moment, "ended": moment[:-6]}, "without its zone"),
    ):
        path.write_text(record.text(msgspec.structs.replace(found, **more)))
        with pytest.raises(DataError, match=rf"7\.json is no record of a trial, .*({fault})"):
            record.read(path)
    done = msgspec.structs.replace(found, trial="7", started=moment, ended=moment)
    path.write_text(record.text(done))
    assert record.read(path) == done


def test_the_provenance_is_read_as_it_was_written(tmp_path: Path) -> None:
    info = RunInfo(
        schema=record.SCHEMA,
        space={"name": "auxcell", "blocks": 4},
        data="shapes",
        oracle="rerank",
        seed=3,
        input=(64, 96),
        asked={"top": 2, "sample": 1},
        top=("03", "01"),
    )
    files.write(tmp_path / filenames.RUN, record.text(info))
    assert Run(tmp_path).info == info
    assert "machine" not in json.loads((tmp_path / filenames.RUN).read_text())


def test_entries_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    run = recorded.run(tmp_path, [], weather="fine")
    assert run.info.oracle == "PPOOracle"
    assert run.info.input is None


def test_a_folder_of_0_1_0_is_read(tmp_path: Path) -> None:
    with tarfile.open(OF_0_1_0) as archive:
        archive.extractall(tmp_path, filter="data")
    (path,) = tmp_path.rglob(filenames.RUN)
    run = Run(path.parent)
    content = json.loads(path.read_text())
    assert content.items() == json.loads(record.text(run.info)).items()
    for item in run.trials:
        written = json.loads(record.path_of(run.folder, item.trial).read_text())
        assert json.loads(record.text(item)) == written
    assert len(run.trials) == 3
