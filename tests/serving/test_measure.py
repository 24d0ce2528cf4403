"""Timing on this machine, and tables filled by it."""

import subprocess
import sys

import pytest

from nas_tf.errors import ConfigError
from nas_tf.latency import Table
from nas_tf.networks.fused import Op
from serving import lite_models, measure, op_table


def conv(channels: int) -> Op:
    return Op("conv", ((32, 32, channels),), (32, 32, channels), (3, 3))


def test_more_work_takes_longer() -> None:
    small = measure.time_model(lite_models.of_op(conv(8)), seconds=60)
    large = measure.time_model(lite_models.of_op(conv(128)), seconds=0)
    assert 0 < small.median_ms < large.median_ms
    assert small.median_ms <= small.p90_ms


def test_runs_end_with_their_number_or_with_the_time() -> None:
    model = lite_models.of_op(conv(8))
    assert measure.time_model(model, seconds=60).runs == measure.RUNS == 50
    assert measure.time_model(model, seconds=0).runs == 7


def test_several_threads_are_timed_too() -> None:
    assert measure.time_model(lite_models.of_op(conv(8)), threads=2).median_ms > 0


def test_measuring_says_nothing_and_real_words_pass() -> None:
    code = (
        "import os; from nas_tf import quiet; quiet.load('tensorflow'); "
        "from serving import op_table; from tests.serving.test_measure import conv; "
        "op_table.time_op(conv(8), 1)\n"
        "with quiet.converting(): os.write(2, b'real words\\nIgnored output_format.\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "real words\n", 0)


def test_what_was_timed_is_kept_whatever_ends_it() -> None:
    saved: list[Table] = []

    def interrupted(done: int, total: int) -> None:
        assert total == 3
        if done == 2:
            raise KeyboardInterrupt

    wanted = [conv(2), conv(4), conv(8)]
    empty = op_table.empty(1)
    with pytest.raises(KeyboardInterrupt):
        op_table.fill(empty, wanted, save=saved.append, progress=interrupted)
    times = dict(saved[-1].times)
    assert len(times) == 2
    complete = op_table.fill(saved[-1], wanted, save=saved.append)
    assert {op: complete.times[op] for op in times} == times
    assert complete.missing(wanted) == []
    count = len(saved)
    assert op_table.fill(complete, wanted, save=saved.append) == complete
    assert len(saved) == count


def test_a_table_of_other_conditions_is_not_added_to() -> None:
    table = Table(measure.device(), 1, "2.15.1", {}, "here.json")
    op_table.check_same(table, 1)
    with pytest.raises(ConfigError) as caught:
        op_table.check_same(table, 2)
    assert str(caught.value) == (
        "here.json was measured with threads 1, here it is 2: give another --out"
    )
