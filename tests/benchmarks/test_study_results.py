"""The page of a study, from invented scores."""

import csv
from pathlib import Path

from nas_tf.runs.study import LONGER
from tests.benchmarks.scripts import script
from tests.runs.test_study import GENOTYPES, SETTINGS, complete, result, written


def test_the_page_has_every_setting_and_the_tables_every_score(tmp_path: Path) -> None:
    failed = result("short", "a", 0.0, 1.0, failed=True)
    results = [item for item in complete() if (item.setting, item.genotype) != ("short", "a")]
    study = written(tmp_path, [*results, failed])
    options = ("--title", "A study", "--machine", "any", "--out", tmp_path / "docs" / "made")
    done = script(
        *("study_results", study.folder, *options, "--name", "slow=at leisure"),
        *("--among", "h=the last letter"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "docs" / "made.md").read_text()
    assert "Command: `nas-tf study`. Machine: any." in text
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows == ["setting", "as configured", "short", "random", "at leisure", LONGER]
    (short,) = (line for line in text.splitlines() if line.startswith("| short"))
    assert short.split("|")[2].strip() == "7"
    assert (
        f"- The 1 genotypes with the last letter (`h`) score 7.5000 to 7.5000 after the {LONGER}\n"
        in text
    )
    assert "score 0.5000 to 6.5000 after" in text, "of those without"
    assert "; as configured ρ = 1.00 (95 % 1.00 to 1.00, n = 7);" in text
    files = sorted(path.name for path in (tmp_path / "docs" / "made").iterdir())
    assert files == ["ranks.svg", "scores.csv", "settings.csv", "study.svg"]
    with (tmp_path / "docs" / "made" / "scores.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["genotype"] for row in table] == list(GENOTYPES)
    assert table[0]["short"] == ""
    assert {row[LONGER] for row in table} == {str(0.5 + n) for n in range(len(GENOTYPES))}
    assert set(table[0]) - {"genotype"} == {*SETTINGS, "at leisure"} - {"slow"}
