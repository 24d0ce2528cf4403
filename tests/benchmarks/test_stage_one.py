"""The benchmark of stage one shows its costs for the candidates of a configuration."""

from pathlib import Path

import pytest

from benchmarks import stage_one
from tests.benchmarks.scripts import script
from tests.prepared import few_scenes

SMALL = ("network.width=32", "network.alpha=0.35", "network.weights=null", "stage_one.epochs=1")


@pytest.mark.slow
def test_costs_are_shown_by_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_one, "COUNT", 2)
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes("shapes_boxes")))
    title, _, *rows, fixed, overhead, complete = script(
        "stage_one", "--config", "shapes_fcos", *SMALL, cwd=tmp_path
    ).stdout.splitlines()
    assert title.startswith("stage one of shapes_fcos, 1 epochs at batch ")
    assert [row.split()[0] for row in rows] == ["random1", "random2"]
    for row in rows:
        build, trace, _, steps, _, validation, reward, fixed_cost, share = row.split()[1:]
        total = float(build) + float(trace) + float(validation)
        assert float(fixed_cost) == pytest.approx(total, abs=0.03)
        assert 0 < float(share.rstrip("%")) < 100
        assert float(steps) > 0 < float(reward)
    assert fixed.startswith("fixed cost from the second candidate on: median ")
    assert overhead.startswith("overhead (fixed and input): median ")
    assert complete.startswith("a candidate: median ")
