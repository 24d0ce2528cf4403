"""Live lines of workers, from a worker's output to the text that a person sees."""

import io
import itertools
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from nas_tf.cli.live import PIPED, LiveLine, Relay, bars, live_line


def sent(capsys: pytest.CaptureFixture[str], act: Callable) -> list[str]:
    """Returns the lines that a worker prints while ``act`` works."""
    with live_line(Console()) as line:
        act(line)
    return capsys.readouterr().out.splitlines()


def shown(lines: dict[str, list[str]], *, terminal: bool) -> str:
    """Returns the screen of the process that started the workers."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=120)
    with bars(console) as display:
        relay = Relay(display, console)
        for name, printed in lines.items():
            for line in printed:
                relay.on_line(name, line)
    return screen.getvalue()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable:
    monkeypatch.setenv(PIPED, "1")

    def act(line: object) -> None:
        line.rows("features of meta-train", 0, 500)
        line.step("stage 1", 1, 40, 2.5)
        line.step("stage 1", 2, 40, 2.25)
        line.print_line("trial 03: score 0.5")
        line.set_header("4/10 trials  best 0.5000")

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
    assert "worker-1: trial 03: score 0.5" in text


def test_without_a_terminal_lines_are_plain(
    work: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown({"worker-0": sent(capsys, work)}, terminal=False)
    assert "worker-0: trial 03: score 0.5\n" in text
    assert "4/10 trials  best 0.5000\n" in text
    assert "\x1b" not in text
    assert "stage 1" not in text


def test_a_log_reports_the_progress_of_long_work(
    work: Callable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal would show a bar; every step is late here."""
    monkeypatch.setattr("nas_tf.cli.live.SILENCE", 0.0)
    monkeypatch.setattr("nas_tf.cli.live._SEND_INTERVAL", -1.0)
    lines = shown({"worker-0": sent(capsys, work)}, terminal=False).splitlines()
    assert lines[:2] == [
        "worker-0: features of meta-train: 0 of 500",
        "worker-0: stage 1: 1 of 40, loss 2.500",
    ]
    assert "stage 1: " not in shown({"worker-0": sent(capsys, work)}, terminal=True)


def test_the_figures_of_a_long_description_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    clock = itertools.count()
    with bars(console) as display:
        monkeypatch.setattr(display, "get_time", lambda: next(clock) / 100)
        line = LiveLine(display, console, "worker-0")
        line.start("features of the teacher of meta-train, all of its rows", 12345)
        for done in range(0, 5000, 100):
            line.update(done, 2.193)
        display.refresh()
        table = display.make_tasks_table(display.tasks)
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
