"""Times that were measured beside other processes are printed with a word of it."""

import pytest

from nas_tf.cli import timing
from nas_tf.cli.timing import CROWDED, ProcessorUse


@pytest.mark.parametrize(
    ("busy", "own", "processors", "told"),
    [
        (20.0, 10.0, 2, True),  # one thread of ours, and one of another's
        (20.0, 19.0, 2, False),  # all of it is ours, but for what the system does
        (20.0, 10.0, 64, False),  # there is room for both
        (10.0, 0.5, 1, True),  # this process came to nothing
        (0.0, 0.0, 2, False),
    ],
)
def test_others_are_told_of_where_processors_are_all_in_use(
    busy: float, own: float, processors: int, told: bool
) -> None:
    before = ProcessorUse(clock=5.0, busy=1000.0, own=30.0)
    after = ProcessorUse(clock=15.0, busy=1000.0 + busy, own=30.0 + own)
    assert timing.is_busy(before, after, processors) == told


def test_the_line_comes_after_what_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for busy, line in ((20.0, f"{CROWDED}\n"), (0.0, "")):
        loads = iter([ProcessorUse(0.0, 0.0, 0.0), ProcessorUse(10.0, busy, 0.0)])
        with timing.warn_if_busy(lambda loads=loads: next(loads)):
            assert capsys.readouterr().err == ""
        assert capsys.readouterr().err == line


def test_what_is_used_grows_and_has_this_process_in_it() -> None:
    before = timing.processor_use()
    sum(range(3_000_000))
    after = timing.processor_use()
    assert after.own > before.own
    assert after.clock > before.clock
    assert after.busy >= before.busy
