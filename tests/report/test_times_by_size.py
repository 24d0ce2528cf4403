"""Run time by the size of the input: the table and the figure."""

from pathlib import Path

from nas_tf.report import times_by_size
from nas_tf.report.times_by_size import TimeBySize

TIMES = [
    TimeBySize("slow", (64, 96), "LiteRT", 1, (4.0, 6.0, 5.0)),
    TimeBySize("slow", (32, 48), "LiteRT", 1, (2.0, 2.5)),
    TimeBySize("fast", (64, 96), "LiteRT", 1, (1.0,)),
    TimeBySize("fast", (32, 48), "LiteRT", 1, (0.5,)),
    TimeBySize("fast", (32, 48), "LiteRT", 2, (0.3,)),
]


def test_the_table_has_the_median_and_the_range_of_the_rounds(tmp_path: Path) -> None:
    times_by_size.write_table(TIMES, tmp_path / "sizes.csv")
    head, first, second, *_ = (tmp_path / "sizes.csv").read_text().splitlines()
    assert head == "network,height,width,runtime,threads,median_ms,least_ms,most_ms"
    assert first == "slow,64,96,LiteRT,1,5.0,4.0,6.0"
    assert second == "slow,32,48,LiteRT,1,2.25,2.0,2.5"


def test_a_panel_has_a_line_for_each_network_that_was_timed() -> None:
    first, second = times_by_size.figure(TIMES).axes
    slow, fast = first.get_lines()
    assert slow.get_xydata().tolist() == [[32 * 48, 2.25], [64 * 96, 5.0]]
    assert fast.get_xydata().tolist() == [[32 * 48, 0.5], [64 * 96, 1.0]]
    assert [line.get_label() for line in first.get_lines()] == ["slow", "fast"]
    assert [text.get_text() for text in first.get_xticklabels()] == ["32x48", "64x96"]
    assert [axes.get_title() for axes in (first, second)] == [
        "LiteRT, 1 thread",
        "LiteRT, 2 threads",
    ]
    assert [line.get_xydata().tolist() for line in second.get_lines()] == [[], [[32 * 48, 0.3]]]
    assert first.get_xscale() == first.get_yscale() == "log"
