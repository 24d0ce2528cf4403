"""Times that were measured while other processes ran are printed with a warning."""

import pytest

from nas_tf.cli.timing import BUSY_WARNING, warn_if_busy
from serving import measure
from serving.measure import ProcessorUse


@pytest.mark.parametrize(
    ("busy", "own", "processors", "expected"),
    [
        (20.0, 10.0, 2, True),  # one thread of this process, and one of another
        (20.0, 19.0, 2, False),  # nearly all is this process, the rest is the system
        (20.0, 10.0, 64, False),  # there are processors for both
        (10.0, 0.5, 1, True),  # this process was hardly run
        (0.0, 0.0, 2, False),
    ],
)
def test_other_processes_are_reported_where_processors_are_all_in_use(
    busy: float, own: float, processors: int, expected: bool
) -> None:
    before = ProcessorUse(clock=5.0, busy=1000.0, own=30.0)
    after = ProcessorUse(clock=15.0, busy=1000.0 + busy, own=30.0 + own)
    assert measure.is_busy(before, after, processors) == expected


def test_the_warning_comes_after_the_measurement(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for busy, line in ((20.0, f"{BUSY_WARNING}\n"), (0.0, "")):
        loads = iter([ProcessorUse(0.0, 0.0, 0.0), ProcessorUse(10.0, busy, 0.0)])
        monkeypatch.setattr(measure, "processor_use", lambda loads=loads: next(loads))
        with warn_if_busy():
            assert capsys.readouterr().err == ""
        assert capsys.readouterr().err == line


def test_processor_use_grows_and_includes_this_process() -> None:
    before = measure.processor_use()
    sum(range(3_000_000))
    after = measure.processor_use()
    assert after.own > before.own
    assert after.clock > before.clock
    assert after.busy >= before.busy
