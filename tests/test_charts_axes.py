"""Charts around their curves: ticks, labels, ranges, heading, table, bars."""

from itertools import pairwise
from math import floor, log10, nan

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.charts.axes import StickyRange, Window, nice_extent, nice_range, whole_extent
from tui.charts.bars import bar, sparkline
from tui.charts.heading import heading, headings
from tui.charts.plot import Frame
from tui.charts.reach import ordered, y_extent
from tui.charts.rendering import y_labels
from tui.charts.series import Series
from tui.charts.table import as_table
from tui.charts.ticks import linear_ticks, log_ticks, nice_step, tick_labels, x_axis


def series(x: object, y: object, **more: object) -> Series:
    return ordered(Series("a", np.asarray(x, float), np.asarray(y, float), "#ffffff", **more))  # type: ignore[arg-type]


# Ticks

SPANS = st.tuples(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))


@settings(deadline=None)
@given(SPANS, st.integers(1, 12))
def test_ticks_are_multiples_of_1_2_or_5_inside_the_range(span: tuple[float, float], count: int) -> None:
    low, high = span[0], span[0] + max(span[1], abs(span[0]) * 1e-6)
    step = nice_step(high - low, count)
    assert round(step / 10 ** floor(log10(step) + 1e-9)) in (1, 2, 5)
    ticks = linear_ticks(low, high, count)
    assert len(ticks) <= count + 1
    assert all(low <= tick <= high for tick in ticks)
    inner = ticks[1:-1]
    assert all(abs(tick / step - round(tick / step)) < 1e-3 for tick in inner)


@settings(deadline=None)
@given(st.floats(1e-12, 1e9), st.floats(1.5, 1e12), st.integers(2, 8))
def test_log_ticks_are_inside_and_rising(low: float, ratio: float, count: int) -> None:
    ticks = log_ticks(low, low * ratio, count)
    assert all(low <= tick <= low * ratio for tick in ticks)
    assert all(a < b for a, b in pairwise(ticks))
    assert len(ticks) <= count + 2


def test_log_ticks_are_decades_with_2_and_5_where_there_is_room() -> None:
    assert log_ticks(1e-3, 10.0, 5) == [1e-3, 1e-2, 1e-1, 1.0, 10.0]
    assert log_ticks(0.1, 1.0, 5) == [0.1, 0.2, 0.5, 1.0]


@pytest.mark.parametrize(
    ("values", "unit", "narrow", "labels"),
    [
        ([0.2, 0.4, 1.0], "percent", False, ["20", "40", "100"]),
        ([0.945, 0.95], "percent", False, ["94.5", "95.0"]),
        ([0, 0.5, 1.0], "loss", False, ["0", "0.5", "1.0"]),
        ([0, 1000, 2000], "number", False, ["0", "1,000", "2,000"]),
        ([0, 1000, 2000], "number", True, ["0", "1k", "2k"]),
        ([0, 500, 1000, 1500], "number", True, ["0", "500", "1.0k", "1.5k"]),
        ([0, 2e6, 4e6], "number", False, ["0", "2M", "4M"]),
        ([0, 1e-5, 2e-5], "error", False, ["0", "1e-5", "2e-5"]),
        ([3], "number", False, ["3"]),
        ([-2, 0, 2], "number", False, ["-2", "0", "2"]),
    ],
)
def test_labels(values: list[float], unit: str, narrow: bool, labels: list[str]) -> None:
    assert tick_labels(values, unit, narrow=narrow) == labels  # type: ignore[arg-type]


@settings(deadline=None)
@given(SPANS, st.integers(4, 200), st.sampled_from(["", "iterations"]))
def test_the_x_axis_fills_its_width_and_its_labels_never_touch(
    span: tuple[float, float], width: int, name: str
) -> None:
    low, high = span[0], span[0] + max(span[1], abs(span[0]) * 1e-6)
    axis = x_axis(low, high, width, name)
    assert len(axis) == width
    labels = [part for part in axis.replace(name or "─", "─").split("─") if part.strip()]
    assert all(len(label.split()) == 1 for label in labels)
    bounds = (low - (high - low), high + (high - low))
    for label in labels:
        number = label.strip().replace(",", "")
        size = {"k": 1e3, "M": 1e6, "G": 1e9}.get(number[-1])
        value = float(number[:-1]) * size if size else float(number)
        assert bounds[0] <= value <= bounds[1]


def test_an_x_axis_reads_as_in_the_sketch() -> None:
    assert x_axis(0, 5000, 60, "its").startswith("0───")
    assert "1,000" in x_axis(0, 5000, 60, "its") and x_axis(0, 5000, 60, "its").endswith(" its")
    assert "2k" in x_axis(0, 5000, 18)
    between = x_axis(0, 1, 36, "inner steps", counted=True)
    assert between[0] == "0" and between[-1] == "1" and " inner steps " in between
    assert "." in x_axis(0, 1, 60) and "." not in x_axis(0, 1, 60, counted=True)


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 60))
def test_y_labels_stand_on_rows_of_their_own(low: float, span: float, height: int) -> None:
    labels = y_labels(Frame((0, 1), nice_range(low, low + span)), "number", height)
    rows = [row for row, _ in labels]
    assert len(set(rows)) == len(rows) and all(0 <= row < height for row in rows)


# Ranges


@settings(deadline=None)
@given(SPANS, st.booleans())
@example((0.015625, 10_000_000.0), True)
@example((0.99999998, 10.0), True)
def test_a_nice_range_holds_its_data(span: tuple[float, float], log: bool) -> None:
    low, high = (abs(span[0]) + 1e-6, abs(span[0]) + span[1]) if log else (span[0], span[0] + span[1])
    low, high = min(low, high), max(low, high)
    bottom, top = nice_range(low, high, "number", log)
    assert bottom <= low and high <= top and bottom < top


def test_percent_stays_between_0_and_100_but_shows_what_lies_outside() -> None:
    assert nice_range(0.2, 0.98, "percent") == (0.2, 1.0)
    assert nice_range(1.0, 1.0, "percent")[1] == 1.0
    assert nice_range(0.0, 0.0, "percent") == (0.0, 1.0)
    bottom, top = nice_range(-0.3, 1.4, "percent")
    assert bottom <= -0.3 and top >= 1.4


def test_a_band_beyond_100_percent_is_cut_off_and_moves_no_axis() -> None:
    low, high = np.array([0.5, 0.8, 0.9]), np.array([0.9, 1.1, 1.3])
    curve = series([0, 1, 2], [0.7, 0.95, 0.98], low=low, high=high)
    assert y_extent([curve], (0, 2), False, "percent") == (0.5, 1.0)
    assert y_extent([curve], (0, 2), False, "number") == (0.5, 1.3)
    # A value beyond it is a fault in what was recorded, and is shown.
    wrong = series([0, 1], [0.7, 1.2], low=np.array([-0.2, 0.8]), high=np.array([0.9, 1.4]))
    assert y_extent([wrong], (0, 1), False, "percent") == (0.0, 1.2)


def test_growing_data_move_the_x_axis_seldom() -> None:
    ends = {nice_extent(1, step)[1] for step in range(50, 10_001, 50)}
    assert len(ends) <= 30 and max(ends) == 10_000
    assert nice_extent(0, 5) == (0, 5)
    assert nice_extent(500, 500) == (0, 500) and nice_extent(0, 0) == (0, 1)
    assert whole_extent((0, 100), (0, 5000)) == (0, 5000)
    assert whole_extent((0, 6000), (0, 5000)) == (0, 6000)


def test_a_sticky_range_stays_while_data_fill_it() -> None:
    sticky = StickyRange()
    first = sticky.around(0.1, 1.9, "loss", False)
    assert sticky.around(0.3, 1.2, "loss", False) == first
    assert sticky.around(0.3, 2.2, "loss", False) != first
    assert sticky.around(0.30, 0.31, "loss", False)[1] < 0.5
    assert sticky.around(0.30, 0.31, "loss", True)[0] > 0


def test_the_window_zooms_pans_and_follows() -> None:
    window, data = Window(), (0.0, 1000.0)
    assert window.range((0, 1000), data) == (0, 1000)
    window.quarter()
    assert window.range((0, 1000), data) == (750, 1000)
    assert window.range((0, 2000), (0.0, 2000.0)) == (1500, 2000)
    window.pan(-1, data)
    assert window.range((0, 1000), data) == (500, 750)
    assert window.range((0, 2000), (0.0, 1000.0)) == (500, 750)
    window.pan(5, data)
    assert window.end is None
    window.pan(-50, data)
    assert window.range((0, 1000), data)[0] == 0
    window.zoom(0.25, data)
    assert not window.zoomed and window.range((0, 1000), data) == (0, 1000)


# Heading, table, bars


def test_a_heading_fills_its_width_and_counts_names_without_room() -> None:
    names = [("◆", "maml"), ("▲", "fomaml"), ("┄", "pretrain")]
    for width in range(1, 90):
        text = "".join(piece for piece, _ in heading("Outer loss", names, "95.1 ± 0.5", width))
        assert len(text) == width
    wide = "".join(piece for piece, _ in heading("Outer loss", names, "95.1 ± 0.5", 80))
    assert wide.startswith("Outer loss  ◆ maml  ▲ fomaml  ┄ pretrain ") and wide.endswith("  95.1 ± 0.5")
    assert "+3" in "".join(piece for piece, _ in heading("Outer loss", names, "95.1 ± 0.5", 30))


@pytest.mark.parametrize("width", [3, 17, 40, 80, 200])
def test_names_go_on_in_other_lines(width: int) -> None:
    names = [("◆", f"maml seed {number} 95.1 ± 0.5") for number in range(6)]
    lines = ["".join(text for text, _ in line) for line in headings("Error", names, "9", width, most=3)]
    assert len(lines) == {200: 1}.get(width, 3) and all(cell_len(line) == width for line in lines)
    whole = sum(name in line for line in lines for _, name in names)
    assert whole == {3: 0, 17: 0, 40: 3, 80: 6, 200: 6}[width]
    assert ("+3" in lines[-1]) == (width == 40)


def test_a_heading_may_put_names_before_everything() -> None:
    names = [("◆", "maml"), ("┄", "pretrain")]
    text = "".join(piece for piece, _ in heading("Validation accuracy", names, "95.1", 34, names_first=True))
    assert "◆ maml  ┄ pretrain" in text and text.startswith("Validation") and len(text) == 34


def test_the_table_has_every_x_once_and_leaves_gaps_empty() -> None:
    first = series([1, 2, 3], [0.1, nan, 0.3])
    second = series([2, 3, 4], [5, 6, 7], low=[4, 5, 6], high=[6, 7, 8])
    lines = [line.split("\t") for line in as_table([first, second], (1, 3), "step").text.split("\n")]
    assert lines[0] == ["step", "a", "a", "a low", "a high"]
    assert lines[1:] == [["1", "0.1", "", "", ""], ["2", "", "5", "4", "6"], ["3", "0.3", "6", "5", "7"]]


def test_the_table_of_many_points_is_spread_over_all_of_them_and_says_so() -> None:
    x = list(range(0, 100_000, 2))
    many, few = series(x, x), series([1, 50_001], [7, 8])
    offer = as_table([many, few], (0, 1e6), "step")
    rows = [line.split("\t") for line in offer.text.split("\n")[1:]]
    assert offer.said == f"copied {len(rows):,} rows of 50,002, evenly spaced" and 900 < len(rows) <= 2000
    assert rows[0] == ["0", "0", ""] and rows[-1] == ["99998", "99998", ""]
    assert [row for row in rows if row[2]] == [["1", "", "7"], ["50001", "", "8"]]
    gaps = [int(b[0]) - int(a[0]) for a, b in pairwise([row for row in rows if row[1]])]
    assert max(gaps) - min(gaps) <= 2 and all(row[1] in ("", row[0]) for row in rows)
    assert as_table([few], (0, 1e6), "step").said == ""


def test_bars_and_sparklines() -> None:
    assert bar(0.5, 4) == "██  " and bar(1.0, 3) == "███" and bar(7.0, 3) == "███"
    assert bar(1 / 16, 2) == "▏ " and bar(1e-9, 2) == "▏ "
    assert bar(0.0, 2) == bar(nan, 2) == bar(-1.0, 2) == "  " and bar(0.5, 0) == ""
    assert sparkline([place / 8 for place in range(9)]) == "▁▂▃▄▅▆▇██"
    assert sparkline([0.5, nan, 0.5]) == "▅ ▅" and sparkline([]) == ""
    assert sparkline([-1.7e308, 1.7e308]) == "▁█"
