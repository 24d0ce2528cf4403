"""Live lines of workers, from what a worker prints to what a person sees."""

import io
import itertools
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from nas_tf.cli.live import PIPED, LiveLine, Relay, bars, live_line


def sent(capsys: pytest.CaptureFixture[str], act: Callable) -> list[str]:
    """What a worker prints while it works."""
    with live_line(Console()) as line:
        act(line)
    return capsys.readouterr().out.splitlines()


def shown(lines: dict[str, list[str]], *, terminal: bool) -> str:
    """What the process that started the workers shows of their lines."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=120)
    with bars(console) as place:
        relay = Relay(place, console)
        for name, said in lines.items():
            for line in said:
                relay.hear(name, line)
    return screen.getvalue()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable:
    monkeypatch.setenv(PIPED, "1")

    def act(line: object) -> None:
        line.rows("features of meta-train", 0, 500)
        line.step("stage 1", 1, 40, 2.5)
        line.step("stage 1", 2, 40, 2.25)
        line.say("trial 03: reward 0.5")
        line.head("4/10 trials  best 0.5000")

    return act


def test_each_worker_has_a_line_below_the_header(
    work: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = sent(capsys, work)
    text = shown({"worker-0": lines, "worker-1": lines}, terminal=True)
    last = text.rpartition("4/10 trials  best 0.5000")[2]
    assert "worker-0  stage 1" in last
    assert "worker-1  stage 1" in last
    assert "/40" in last
    assert "worker-1: trial 03: reward 0.5" in text


def test_without_a_terminal_lines_are_plain(
    work: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown({"worker-0": sent(capsys, work)}, terminal=False)
    assert "worker-0: trial 03: reward 0.5\n" in text
    assert "4/10 trials  best 0.5000\n" in text
    assert "\x1b" not in text
    assert "stage 1" not in text


def test_a_log_is_told_how_far_long_work_is(
    work: Callable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a terminal would show a bar; every step is late here."""
    monkeypatch.setattr("nas_tf.cli.live.SILENCE", 0.0)
    monkeypatch.setattr("nas_tf.cli.live._PAUSE", -1.0)
    lines = shown({"worker-0": sent(capsys, work)}, terminal=False).splitlines()
    assert lines[:2] == [
        "worker-0: features of meta-train: 0 of 500",
        "worker-0: stage 1: 1 of 40, loss 2.500",
    ]
    assert "stage 1: " not in shown({"worker-0": sent(capsys, work)}, terminal=True)


def test_the_figures_of_a_long_description_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    clock = itertools.count()
    with bars(console) as place:
        monkeypatch.setattr(place, "get_time", lambda: next(clock) / 100)
        line = LiveLine(place, console, "worker-0")
        line.start("features of the teacher of meta-train, all of its rows", 12345)
        for done in range(0, 5000, 100):
            line.at(done, 2.193)
        place.refresh()
        table = place.make_tasks_table(place.tasks)
        row = "".join(line.text for line in console.render_lines(table)[0])
    assert "worker-0  " in row
    assert "…" in row
    assert re.search(r" 4900/12345 +[\d,]+/s loss 2\.193 0:00:\d\d left 0:00:\d\d", row)


def test_steps_are_thinned_out_and_other_output_passes(
    work: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(line: object) -> None:
        for step in range(1000):
            line.step("stage 1", step, 1000, 1.0)

    assert len(sent(capsys, run)) < 100
    assert "chief: a warning\n" in shown({"chief": ["a warning"]}, terminal=False)
