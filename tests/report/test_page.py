"""The report of a run, as a reader meets it: in a browser, on a laptop and on paper."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from msgspec import structs
from PIL import Image

from nas_tf import spaces
from nas_tf.report import page, plots
from nas_tf.report.run_statistics import RunStatistics
from nas_tf.runs import Run, filenames
from tests.runs import recorded
from tests.runs.made import made, reranked

SPACES = ("auxcell", "template", "dpc")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
LOOK = """
<script>
addEventListener("load", () => {
const faults = [];
for (const one of document.querySelectorAll("body *")) {
  if (one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline")
    faults.push([one.tagName, one.className, one.scrollWidth, one.clientWidth]);
  if (one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    faults.push(["beyond the window", one.tagName, one.className]);
}
for (const one of document.images)
  if (!one.complete || one.naturalWidth === 0) faults.push(["no picture", one.alt]);
const small = [...document.querySelectorAll("p, td, th, li, figcaption, code, span")]
  .filter((one) => parseFloat(getComputedStyle(one).fontSize) < 12).map((one) => one.tagName);
document.body.innerHTML = "";
document.title = JSON.stringify({faults, small});
});
</script>
"""


@pytest.fixture(scope="module", params=SPACES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / request.param
    run = made(folder, space=request.param, trials=40, latency=request.param == "template")
    if request.param == "auxcell":
        reranked(run)
        Image.new("RGB", (480, 320), "teal").save(folder / filenames.SAMPLES)
    page.write(run)
    return run


@pytest.mark.quick(3)
def test_the_page_is_complete_and_asks_for_nothing_from_elsewhere(run: Run) -> None:
    text = (run.folder / filenames.REPORT).read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text)
    assert "<script" not in text
    shown = plots.drawn(RunStatistics(run))
    assert set(plots.PLOTS) - set(shown) == {"metric"}
    for name, (title, _) in plots.PLOTS.items():
        assert (f"<h2>{title}</h2>" in text) == (name in shown)
    for trial in run.best(10):
        assert f"<code>{trial.genotype}</code>" in text
    assert f"{run.best()[0].reward:.4f}" in text
    assert len(text) < 4_000_000


def test_a_run_with_weights_names_the_command_that_shows_its_best(tmp_path: Path) -> None:
    run = made(tmp_path / "a run", trials=3)
    assert "nas-tf demo" not in page.write(run).read_text(encoding="utf-8")
    (run.folder / filenames.WEIGHTS).mkdir()
    (run.folder / filenames.WEIGHTS / "1.npz").touch()
    text = page.write(run).read_text(encoding="utf-8")
    assert f"<code>nas-tf demo &#39;{run.folder}&#39;</code>" in text


@pytest.mark.quick(3)
def test_pictures_are_saved_next_to_it(run: Run) -> None:
    for name in (*plots.drawn(RunStatistics(run)), "best_1"):
        picture = Image.open(run.folder / filenames.PICTURES / f"{name}.png").convert("RGB")
        assert np.asarray(picture).std() > 5
        assert (run.folder / filenames.PICTURES / f"{name}.svg").read_text().startswith("<?xml")


@pytest.mark.quick(3)
def test_no_text_of_a_picture_leaves_it(run: Run) -> None:
    for name in plots.PLOTS:
        figure = plots.draw(name, RunStatistics(run))
        figure.canvas.draw()
        check_texts(figure)


def check_texts(figure: Figure) -> None:
    """Checks that every text of a drawn figure is within it."""
    frame = figure.bbox.padded(1.0)
    hidden = _ticks_out_of_view(figure)
    for text in figure.findobj(Text):
        if not (text.get_text().strip() and text.get_visible()) or text in hidden:
            continue
        ends = text.get_window_extent()
        across = frame.x0 <= ends.x0 < ends.x1 <= frame.x1
        along = frame.y0 <= ends.y0 < ends.y1 <= frame.y1
        assert (across, along) == (True, True), f"{text.get_text()!r} at {ends}, of {frame}"


def _ticks_out_of_view(figure: Figure) -> list[Text]:
    """Labels of ticks beyond the limits, which matplotlib keeps and does not draw."""
    hidden = []
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not low <= tick.get_loc() <= high:
                    hidden += [tick.label1, tick.label2]
    return hidden


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(run: Run) -> None:
    before = (run.folder / filenames.REPORT).read_text()
    page.write(Run(run.folder))
    assert (run.folder / filenames.REPORT).read_text() == before


@pytest.mark.quick(2)
@pytest.mark.parametrize(("trials", "failing"), [(0, 0), (1, 0), (2, 0), (3, 1), (5, 2)])
def test_a_run_that_has_hardly_started_has_a_page(
    tmp_path: Path, trials: int, failing: int
) -> None:
    run = made(tmp_path / "run", trials=trials, failing=failing)
    text = page.write(run).read_text(encoding="utf-8")
    assert ("No trial has finished yet" in text) == (not run.completed)


def test_a_space_without_choices_has_a_page_without_their_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spaces.AuxCellSpace, "choices", lambda space, genotype: {})
    run = made(tmp_path / "run", trials=8, strides=(4,))
    page.write(run)
    pictures = {path.stem for path in (run.folder / filenames.PICTURES).glob("*.svg")}
    assert pictures >= set(plots.PLOTS) - {"shares", "metric"}
    assert "shares" not in pictures


def test_a_run_without_a_gate_states_no_share(tmp_path: Path) -> None:
    by_gate = [
        dict(page.tiles(RunStatistics(made(tmp_path / str(gate), trials=3, gate=gate))))
        for gate in (True, False)
    ]
    names = [set(tiles.values()) for tiles in by_gate]
    assert names[0] - names[1] == {"kept by the gate"}


def test_failures_that_differ_by_numbers_are_a_row(tmp_path: Path) -> None:
    trials = [
        recorded.trial(number, (), status="failed", stopped=f"{60 + number} s, the limit is 60 s")
        for number in range(1, 4)
    ]
    text = page.write(recorded.run(tmp_path / "run", trials)).read_text(encoding="utf-8")
    assert '<tr><td>3</td><td class="text">61 to 63 s, the limit is 60 s</td>' in text
    assert f"<code>{trials[0].genotype}</code>" in text


def test_what_a_run_says_is_text_and_no_markup(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=3, failing=2)
    path = next(
        item
        for item in (run.folder / filenames.TRIALS).iterdir()
        if '"failed"' in item.read_text()
    )
    changed = json.loads(path.read_text()) | {"stopped": "<script>alert(1)</script>"}
    path.write_text(json.dumps(changed))
    text = page.write(Run(run.folder)).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def browse(folder: Path, source: Path, *options: str) -> str:
    """The output of headless Chromium for a page."""
    command = [
        *(
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
        ),
        *(f"--user-data-dir={folder / 'browser'}", *options, source.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.quick(3)
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1280, 1000, 794])
def test_nothing_is_clipped_in_a_browser(run: Run, width: int, tmp_path: Path) -> None:
    text = (run.folder / filenames.REPORT).read_text(encoding="utf-8")
    looked = tmp_path / "looked.html"
    looked.write_text(text.replace("</body>", f"{LOOK}</body>"), encoding="utf-8")
    seen = browse(tmp_path, looked, f"--window-size={width},900", "--dump-dom")
    found = json.loads(re.search(r"<title>(.*?)</title>", seen, re.DOTALL)[1])
    assert found == {"faults": [], "small": []}


@pytest.mark.quick(3)
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_it_can_be_looked_at_and_printed(run: Run, tmp_path: Path) -> None:
    source, picture, paper = run.folder / filenames.REPORT, tmp_path / "a.png", tmp_path / "a.pdf"
    browse(tmp_path, source, "--window-size=1280,4000", f"--screenshot={picture}")
    shot = np.asarray(Image.open(picture).convert("L"), float)
    assert shot.shape == (4000, 1280)
    bands = shot[:3500].reshape(7, 500, 1280)
    assert all(band.std() > 5 for band in bands)
    browse(tmp_path, source, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 12


def scored(folder: Path, scores: Sequence[float], *overrides: str) -> RunStatistics:
    """Statistics of a run whose trials have these scores instead of the invented ones."""
    run = made(folder, trials=len(scores), failing=0, overrides=overrides)
    run.__dict__["trials"] = [
        structs.replace(item, reward=score, score=score)
        for item, score in zip(run.trials, scores, strict=True)
    ]
    return RunStatistics(run)


@pytest.mark.parametrize(
    ("scores", "count"),
    [
        ([0.176] * 13 + [0.1764], "all 14"),
        ([0.176] * 8 + [0.1804, 0.1716] + [0.31, 0.02], "10 of 12"),
    ],
)
def test_of_equal_rewards_it_says_that_nothing_was_learnt(
    scores: list[float], count: str, tmp_path: Path
) -> None:
    statistics = scored(tmp_path / "flat", scores, "network.weights=null")
    sentences = list(page.trust(statistics))
    assert sentences[0].startswith(f"Scores of {count} trials are equal but for 0.00")
    assert "nothing was learnt" in sentences[0]
    assert "stage_one.epochs" in sentences[0]
    assert "(here: random;" in sentences[0]
    assert not [line for line in sentences if "deviation" in line or "Spearman" in line]
    assert not [line for line in sentences if "third" in line]


def test_the_advice_is_in_the_terms_of_restoration(tmp_path: Path) -> None:
    statistics = scored(tmp_path / "flat", [0.176] * 3)
    statistics.__dict__["space"] = spaces.get("restoration")
    assert "samples.png shows any change, and train candidates" in page.nothing_learnt(statistics)
    statistics.run.__dict__["info"] = structs.replace(statistics.run.info, oracle="gradient")
    sentence = page.nothing_learnt(statistics)
    assert sentence.endswith("random. Train the super-net longer (gradient.epochs).")


@pytest.mark.parametrize("scores", [[0.17, 0.176, 0.182, 0.188], [0.176] * 7 + [0.3, 0.4]])
def test_of_rewards_that_differ_it_says_by_how_much(scores: list[float], tmp_path: Path) -> None:
    sentences = list(page.trust(scored(tmp_path / "spread", scores)))
    assert "standard deviations above the mean" in sentences[0]
    assert not [line for line in sentences if "nothing was learnt" in line]


def test_refused_trials_do_not_make_rewards_equal(tmp_path: Path) -> None:
    statistics = scored(tmp_path / "costly", [0.0] * 9 + [0.3, 0.4])
    for number, trial in enumerate(statistics.run.trials[:9]):
        statistics.run.trials[number] = structs.replace(trial, stages=(), stopped="gate")
    assert statistics.alike == []


def test_a_sentence_says_how_far_two_seeds_differ(tmp_path: Path) -> None:
    trials = [
        recorded.trial(1, (0.9,)),
        recorded.trial(2, (0.8,)),
        recorded.trial(3, (0.6,)),
        recorded.trial(4, (0.7,), repeats="01"),
    ]
    statistics = RunStatistics(recorded.run(tmp_path, trials))
    (line,) = (line for line in page.trust(statistics) if "seed and rank" in line)
    assert line.startswith("1 of the best networks")
    assert "differ by 0.2000 on average" in line
    plain = RunStatistics(recorded.run(tmp_path / "plain", trials[:3]))
    assert not any("seed and rank" in line for line in page.trust(plain))
