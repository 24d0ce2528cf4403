"""The page of latencies from invented times: ratios and the goal."""

from benchmarks.deploy import goal, table
from serving.measure import TimedModel

TIMES = {"peer.tflite": (10.0, 8.0), "a-int8.tflite": (5.5, 7.0), "b-int8.tflite": (6.0, 5.2)}
ROWS = [
    TimedModel(name, 1000, runtime, threads, (value - 1, value, value + 5))
    for name, values in TIMES.items()
    for runtime, threads, value in (("TensorFlow", 1, values[0]), ("LiteRT", 2, values[1]))
]


def test_ratios_are_to_the_first_model_on_the_same_runtime_and_threads() -> None:
    head, _, *lines = table(ROWS, "peer.tflite")
    assert head == "| model | bytes | TensorFlow, 1 thread | LiteRT, 2 threads |"
    assert lines[1] == "| a-int8 | 1,000 | 5.5 ms (0.55) | 7.0 ms (0.88) |"


def test_the_goal_is_reported_for_each_whether_reached_or_not() -> None:
    assert list(goal(ROWS, "peer.tflite"))[2:] == [
        "- TensorFlow, 1 thread: reached by a 0.55, b 0.60.",
        "- LiteRT, 2 threads: not reached, the nearest is b 0.65.",
    ]
