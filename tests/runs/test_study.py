"""Studies read from their folder: correlations, the front, and what a kill leaves."""

from pathlib import Path

import msgspec
import pytest

from nas_tf.errors import DataError
from nas_tf.report import study as report
from nas_tf.runs.study import ABOUT, LONGER, RESULTS, Result, Study, StudyInfo

GENOTYPES = tuple("abcdefgh")
SETTINGS = ("as configured", "short", "random", "slow", LONGER)


def result(setting: str, genotype: str, score: float, seconds: float, **more: object) -> Result:
    return Result(setting=setting, genotype=genotype, score=score, seconds=seconds, **more)


def written(folder: Path, results: list[Result], untrained: tuple[str, ...] = ()) -> Study:
    info = StudyInfo(
        nas_tf="0.1",
        space="auxcell",
        data="shapes",
        config="{}",
        settings={name: (name,) for name in SETTINGS},
        untrained=untrained,
        genotypes=GENOTYPES,
        created="2026-01-02T03:04:05.000+00:00",
        command="nas-tf study",
    )
    (folder / ABOUT).write_bytes(msgspec.json.encode(info))
    lines = b"".join(msgspec.json.encode(each) + b"\n" for each in results)
    (folder / RESULTS).write_bytes(lines)
    return Study(folder)


def complete() -> list[Result]:
    """``short`` and ``slow`` swap two neighbours, ``random`` is cheapest and ranks nothing."""
    found = []
    for place, name in enumerate(GENOTYPES):
        swapped = {3: 4, 4: 3}.get(place, place)
        shuffled = place * 3 % 8
        found += [
            result("as configured", name, place / 10, 20 + place),
            result("short", name, swapped / 10, 5),
            result("random", name, shuffled / 10, 2),
            result("slow", name, swapped / 10, 10),
            result(LONGER, name, 0.5 + place, 100),
        ]
    return found


def test_settings_are_compared_with_the_longer_training(tmp_path: Path) -> None:
    study = written(tmp_path, complete())
    measured = {item.name: item for item in study.measured}
    assert list(measured) == list(SETTINGS)
    configured, short = measured["as configured"].correlation, measured["short"].correlation
    assert configured is not None
    assert configured.rho == pytest.approx(1)
    assert short is not None
    assert short.rho == pytest.approx(1 - 6 * 2 / (8 * 63))
    assert measured[LONGER].correlation is None
    assert measured["as configured"].seconds == 23.5
    assert measured["as configured"].mean == pytest.approx(0.35)


def test_the_ranks_of_a_setting_are_drawn_against_those_in_the_longer_training(
    tmp_path: Path,
) -> None:
    results = [*complete()[:-1], result(LONGER, "h", 0.0, 1.0, failed=True)]
    drawing = report.ranks(written(tmp_path, results))
    shown = [axes for axes in drawing.axes if axes.get_visible()]
    assert [axes.get_title().splitlines()[0] for axes in shown] == [*SETTINGS[:-1]]
    (points,) = shown[1].lines
    assert list(points.get_xdata()) == [7, 6, 5, 3, 4, 2, 1]
    assert list(points.get_ydata()) == [7, 6, 5, 4, 3, 2, 1]
    assert not [axes for axes in report.ranks(written(tmp_path, [])).axes if axes.get_visible()]


def test_the_front_is_of_settings_that_no_other_beats(tmp_path: Path) -> None:
    study = written(tmp_path, complete())
    assert [item.name for item in study.front] == ["random", "short", "as configured"]
    chosen = study.cheapest(0.9)
    assert chosen is not None
    assert chosen.name == "short"
    best = study.cheapest(0.99)
    assert best is not None
    assert best.name == "as configured"
    assert study.cheapest(1.1) is None


def test_sentences_name_the_cheapest_to_trust(tmp_path: Path) -> None:
    study = written(tmp_path, complete())
    first, last = report.lines(study, 0.9)
    assert first == "40 of 40 trainings are done."
    assert last.startswith("The cheapest setting with ρ of 0.9 or more is short: ρ = 0.98 (95 %")
    assert last.endswith("n = 8), 5.0 s a candidate, 4.7 trials in the time of one as configured.")
    assert list(report.lines(study, 1.1))[-1].startswith(
        "No setting has ρ of 1.1 or more with the longer training: the highest is that of as conf"
    )
    report.write_table(study, tmp_path / "study.csv")
    rows = (tmp_path / "study.csv").read_text().splitlines()
    assert rows[0] == "setting,genotypes,rho,low,high,seconds,mean_score,front"
    assert rows[2].startswith("short,8,0.9762,")
    assert rows[2].endswith(",5.0,0.35,True")
    assert rows[4].endswith(",10.0,0.35,False")
    (axes,) = report.figure(study).axes
    assert [text.get_text() for text in axes.texts] == list(SETTINGS[:4])


def test_scores_without_training_are_compared_and_not_proposed(tmp_path: Path) -> None:
    results = complete()
    results += [result("costs", name, 1e6 * n, 0.01) for n, name in enumerate(GENOTYPES)]
    results += [result("flow", name, -n, 0.5) for n, name in enumerate(GENOTYPES[:7])]
    study = written(tmp_path, results, ("costs", "flow"))
    found = {item.name: item.correlation for item in study.untrained}
    assert [round(item.rho) for item in found.values() if item is not None] == [1, -1]
    assert [item.name for item in study.front] == ["random", "short", "as configured"]
    assert study.cheapest(0.99) == study.measured[0]
    first, second, _ = report.lines(study, 0.9)
    assert first == "40 of 40 trainings are done."
    assert second.startswith("Without training, costs rank best: ρ = 1.00 (95 %")
    rows = {row["setting"]: row for row in report.rows(study)}
    assert [rows["costs"][key] for key in ("mean_score", "front", "seconds")] == [
        None,
        False,
        0.01,
    ]
    assert study.remaining == [("h", "flow")]


def test_failures_and_genotypes_of_one_side_are_left_out(tmp_path: Path) -> None:
    results = complete()[:-5]
    results.append(result("short", "h", 9.0, 5))
    results.append(result("random", "h", 0.0, 1, failed=True, stopped="loss is nan"))
    study = written(tmp_path, results)
    assert {item.count for item in study.measured} == {7}
    assert list(report.lines(study, 0.9))[1] == "1 of them failed and are left out."
    assert study.remaining == [("h", "as configured"), ("h", "slow"), ("h", LONGER)]


def test_too_few_or_equal_scores_rank_nothing(tmp_path: Path) -> None:
    equal = [msgspec.structs.replace(each, score=0.5) for each in complete()]
    for results in ([], complete()[:10], equal):
        study = written(tmp_path, results)
        assert study.front == []
        assert list(report.lines(study, 0.9))[-1].startswith("Too few different scores")


def test_a_line_that_was_cut_short_is_trained_again(tmp_path: Path) -> None:
    written(tmp_path, complete())
    content = (tmp_path / RESULTS).read_bytes()
    (tmp_path / RESULTS).write_bytes(content[:-20])
    assert Study(tmp_path).remaining == [("h", LONGER)]
    (tmp_path / RESULTS).write_bytes(b"{}\n" + content)
    with pytest.raises(DataError, match=r"results.jsonl is damaged: .*; delete the line"):
        _ = Study(tmp_path).results
    (tmp_path / ABOUT).write_text("{")
    with pytest.raises(DataError, match=r"study.json is damaged: .*; put back a copy"):
        _ = Study(tmp_path).info
    with pytest.raises(DataError, match=r"is no study: it has no study.json"):
        _ = Study(tmp_path / "elsewhere").info
