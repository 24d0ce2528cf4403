"""Commands that read a run's folder, quickly and without TensorFlow."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from nas_tf.cli import nas_tf, tables
from nas_tf.cli.live import Headline
from nas_tf.errors import NasTfError
from nas_tf.report.formatting import score
from nas_tf.runs import Run, filenames
from nas_tf.runs.trial_store import TrialStore
from tests.runs import recorded
from tests.runs.made import made, reranked


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made(tmp_path_factory.mktemp("runs") / "one", trials=30)


def call(*arguments: object) -> Result:
    done = CliRunner().invoke(nas_tf, [str(argument) for argument in arguments])
    if isinstance(done.exception, NasTfError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def test_status_reports_the_content_of_the_folder(run: Run) -> None:
    facts = json.loads(call("status", run.folder, "--json").output)
    assert (facts["trials"], facts["of"]) == (30, 30)
    assert facts["completed"] == len(run.completed)
    assert facts["failed"] == sum(facts["failures"].values()) == 30 - len(run.completed)
    assert facts["best"] == run.best()[0].reward
    text = call("status", run.folder).output
    assert "30/30 trials, finished" in text
    assert f"best {facts['best']:.4f}" in text
    assert f"; {facts['gated']} stopped by the gate, 2 failed\n" in text
    assert "\n1 failed: loss is nan at step 7 of stage 1\n" in text


def test_failures_that_differ_by_numbers_are_a_line(tmp_path: Path) -> None:
    reason = "{} ms of latency, the limit is 0.01 ms"
    trials = [
        recorded.trial(number, (), status="failed", stopped=reason.format(0.08 + number / 100))
        for number in range(5)
    ]
    folder = recorded.run(tmp_path / "run", trials).folder
    merged = "0.08 to 0.12 ms of latency, the limit is 0.01 ms"
    assert f"\n5 failed: {merged}\n" in call("status", folder).output
    assert json.loads(call("status", folder, "--json").output)["failures"] == {merged: 5}


def test_a_search_without_a_gate_mentions_none(tmp_path: Path) -> None:
    open_run = made(tmp_path / "run", trials=5, gate=False)
    assert "by the gate" not in call("status", open_run.folder).output
    assert "by the gate" not in Headline(open_run.folder, 5).after(open_run.trials[-1])
    gated = made(tmp_path / "gated", trials=5)
    assert "kept by the gate" in Headline(gated.folder, 5).after(gated.trials[-1])


@pytest.mark.parametrize("reward", [-1234.5, 2e-7, 31.25])
def test_rewards_of_any_range_are_shown_alike(reward: float, tmp_path: Path) -> None:
    run = recorded.run(tmp_path / "run", [recorded.trial(1, (reward,))])
    assert f"best {score(reward)}" in Headline(run.folder, 4).after(run.trials[-1])
    assert tables.best(run.best(3), run.mean_rewards).columns[0]._cells[0] == score(reward)


def test_the_headline_shows_a_speed_once_it_is_known(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", trials=0).folder
    headline = Headline(folder, 9)
    minutes = [recorded.trial(number, (0.5,)) for number in range(4)]
    for trial in minutes:
        TrialStore(folder).add(trial)
        header = headline.after(trial)
        assert ("trials/h" in header) == (" left" in header) == (trial is minutes[-1])
    assert "60 trials/h  5 min left" in header


def test_a_search_under_way_is_no_finished_one(tmp_path: Path) -> None:
    half = made(tmp_path / "half", trials=10)
    for number in range(6, 10):
        (half.folder / filenames.TRIALS / f"{number:04d}.json").unlink()
    assert "6/10 trials, the last ended" in call("status", half.folder).output
    empty = made(tmp_path / "empty", trials=0)
    assert "0/1 trials, none ended yet" in call("status", empty.folder).output


def test_best_is_a_table_a_csv_json_or_genotypes(run: Run) -> None:
    best = run.best(4)
    table = call("best", run.folder, "--top", 4).output.splitlines()
    assert best[0].trial in table[1]
    assert [line.rstrip() for line in table] == table
    rows = list(csv.DictReader(io.StringIO(call("best", run.folder, "--format", "csv").output)))
    assert [row["trial"] for row in rows] == [trial.trial for trial in run.best(10)]
    records = json.loads(call("best", run.folder, "--top", 4, "--format", "json").output)
    assert [record["genotype"] for record in records] == [item.genotype for item in best]
    lines = call("best", run.folder, "--top", 4, "--format", "genotypes").output.splitlines()
    assert lines == [item.genotype for item in best]
    front = call("best", run.folder, "--pareto", "params", "--format", "genotypes").output
    assert front.splitlines() == [item.genotype for item in run.pareto("params")]


def test_best_shows_the_mean_of_two_seeds_where_there_is_one(tmp_path: Path) -> None:
    trials = [
        recorded.trial(1, (0.9,)),
        recorded.trial(2, (0.8,)),
        recorded.trial(3, (0.5,), repeats="01"),
    ]
    found = recorded.run(tmp_path, trials)
    head, *rows = (line.split() for line in call("best", found.folder).output.splitlines())
    assert head[:4] == ["mean", "of", "seeds", "reward"]
    assert [row[:2] for row in rows] == [["0.8000", "0.8000"], ["0.7000", "0.9000"]]
    plain = recorded.run(tmp_path / "plain", trials[:2])
    assert "mean" not in call("best", plain.folder).output


def test_show_accepts_the_number_of_a_trial_and_takes_the_best_otherwise(run: Run) -> None:
    best, other = run.best()[0], run.trials[3]
    text = call("show", run.folder, "--no-drawing").output
    assert f"trial {best.trial}" in text
    assert best.genotype in text
    text = call("show", run.folder, "--trial", 3, "--no-drawing").output
    assert f"trial {other.trial}" in text
    assert f"{other.params:,} parameters" in text


def test_show_needs_no_published_genotype_of_the_space(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_tf.spaces.published.PUBLISHED", {})
    assert "multiply-adds" in call("show", run.folder, "--no-drawing").output


def test_a_mistaken_option_is_not_the_runs_fault(run: Run) -> None:
    with pytest.raises(NasTfError, match=r"^width is -3, expected an integer"):
        call("show", run.folder, "--no-drawing", "--width", -3)


def test_show_prints_why_a_trial_failed(run: Run) -> None:
    first, second, *_ = call("show", run.folder, "--trial", 12, "--no-drawing").output.split("\n")
    assert first == f"trial 0012 of {run.folder}"
    assert second == "failed: loss is nan at step 7 of stage 1"


def test_a_comparison_with_a_reranking_is_next_to_the_run(tmp_path: Path) -> None:
    searched = made(tmp_path / "whole", trials=12)
    longer = reranked(searched, top=3, sample=2)
    page = call("compare", longer.folder, searched.folder).output.splitlines()[-1]
    assert Path(page) == tmp_path / "compare-rerank-whole" / "comparison.html"


def test_report_prints_its_path(run: Run) -> None:
    path = Path(call("report", run.folder).output.strip())
    assert path == run.folder / filenames.REPORT
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("status", "{empty}"), r"empty is not the folder of a search: it has no run\.json"),
        (("best", "{empty_run}"), "empty_run has no completed trial yet: 0 ended"),
        (("best", "{run}", "--pareto", "latency_ms"), "no completed trial with latency_ms"),
        (("show", "{run}", "--trial", "99"), "trial is '99', expected one of 0000 to 0029"),
        (("show", "{empty_run}"), "empty_run has no completed trial yet"),
        (
            ("show", "arch0", "--trial", "1"),
            "--trial 1 is given with 'arch0', expected the folder of a run",
        ),
    ],
)
def test_mistakes_are_one_line(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"run": run.folder, "empty": tmp_path / "empty"}
    places["empty_run"] = made(tmp_path / "empty_run", trials=0).folder
    with pytest.raises(NasTfError, match=line):
        call(*(argument.format(**places) for argument in arguments))


@pytest.mark.parametrize("command", ["status", "best", "show", "report"])
@pytest.mark.parametrize("change", [{"genotype": "[1,2]"}, {"space": "dpc"}, {"space": "no"}])
def test_an_invalid_genotype_is_one_line(tmp_path: Path, command: str, change: dict) -> None:
    path = made(tmp_path / "run", trials=2).folder / filenames.TRIALS / "0001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(NasTfError, match=r"0001\.json holds no genotype.*put back a copy"):
        call(command, tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        (filenames.RUN, {"task": "segmentation", "outputs": 11, "input": [0, 480]}, "input_size"),
        (filenames.RUN, {"task": "segmentation", "outputs": 11, "input": [1, 480]}, "input 1x480"),
        (
            filenames.RUN,
            {"task": "pose", "outputs": 0, "input": [96, 96]},
            "pose head has 0 outputs",
        ),
        (filenames.CONFIG, {"network": {"alpha": 0.3}}, "alpha is 0.3"),
        (filenames.CONFIG, {"network": {"width": "wide"}}, "width is 'wide'"),
    ],
)
def test_a_run_with_an_impossible_network_is_named(
    tmp_path: Path, name: str, change: dict, line: str
) -> None:
    path = made(tmp_path / "run", trials=2).folder / name
    content = yaml.safe_load(path.read_text())  # JSON is YAML too
    path.write_text(json.dumps(content | change))
    with pytest.raises(NasTfError, match=rf"trial 000. of .*run can't be built: {line}"):
        call("show", tmp_path / "run", "--no-drawing")


def test_a_folder_with_brackets_in_its_name_is_printed_unchanged(tmp_path: Path) -> None:
    folder = made(tmp_path / "[bold]x[/i]", trials=3).folder
    assert str(folder) in call("status", folder).output
    assert str(folder) in call("show", folder, "--no-drawing").output


def test_they_load_no_tensorflow(run: Run) -> None:
    code = (
        "import sys; from nas_tf.cli import nas_tf\n"
        "for name, *more in (['status'], ['best'], ['show', '--no-drawing'], ['report']):\n"
        f"    nas_tf([name, {str(run.folder)!r}, *more], standalone_mode=False)\n"
        "print(sorted({'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
