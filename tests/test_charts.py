"""Charts as drawn: dots, decimation, ticks, ranges, and whatever data they are given."""

from math import inf, nan

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.charts.axes import StickyRange, Window, whole_extent
from tui.charts.canvas import Canvas, segments
from tui.charts.decimation import by_column, smoothed
from tui.charts.plot import Frame
from tui.charts.reach import can_smooth, ordered, x_extent, y_extent
from tui.charts.rendering import Look, chart, plot
from tui.charts.series import Series

UNIT_FRAME = Frame((0.0, 1.0), (0.0, 1.0))


def lines_of(codes: np.ndarray) -> list[str]:
    return ["".join(map(chr, row)) for row in codes.tolist()]


def dots_of(codes: np.ndarray) -> set[tuple[int, int]]:
    """(column, row) of every braille dot, by Unicode's numbering of the eight dots of a cell."""
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    return {
        (2 * column + x, 4 * row + y)
        for row, cells in enumerate(codes.tolist())
        for column, code in enumerate(cells)
        for bit, (x, y) in enumerate(places)
        if 0x2800 < code <= 0x28FF and (code - 0x2800) >> bit & 1
    }


def series(x: object, y: object, **more: object) -> Series:
    return ordered(Series("a", np.asarray(x, float), np.asarray(y, float), "#ffffff", **more))  # type: ignore[arg-type]


def drawn(
    *curves: Series, width: int = 10, height: int = 5, frame: Frame = UNIT_FRAME, **look: bool
) -> np.ndarray:
    return plot(curves, frame, Look(**look), width, height)[0]  # type: ignore[arg-type]


# Dots


def test_a_diagonal_is_one_dot_a_column() -> None:
    codes = drawn(series([0, 1], [0, 1]), width=8, height=4)
    assert dots_of(codes) == {(k, 15 - k) for k in range(16)}


def test_a_level_line_is_one_row_and_a_steep_one_has_no_holes() -> None:
    level = dots_of(drawn(series([0, 1], [0.5, 0.5])))
    assert {row for _, row in level} == {10} and len(level) == 20
    steep = dots_of(drawn(series([0.5, 0.51], [0, 1])))
    assert {row for _, row in steep} == set(range(20)) and len(steep) == 20


def test_segments_reach_both_ends_and_are_connected() -> None:
    x, y = segments(*(np.array([v]) for v in (2, 9, 11, 3)))
    assert (x[0], y[0], x[-1], y[-1]) == (2, 9, 11, 3)
    assert max(np.abs(np.diff(x)).max(), np.abs(np.diff(y)).max()) == 1


def test_a_gap_is_not_bridged() -> None:
    codes = drawn(series([0, 0.2, 0.5, 0.8, 1], [0.5, 0.5, nan, 0.5, 0.5]))
    columns = {column for column, _ in dots_of(codes)}
    assert columns == {0, 1, 2, 3, 4, 15, 16, 17, 18, 19}


def test_the_last_drawn_curve_colours_a_shared_cell_and_dots_of_both_stay() -> None:
    flat, diagonal = series([0, 1], [0.5, 0.5]), series([0, 1], [0, 1])
    codes, inks = plot([flat, diagonal], UNIT_FRAME, Look(), 10, 5)
    assert dots_of(codes) == dots_of(drawn(flat)) | dots_of(drawn(diagonal))
    assert {inks[4 - row, 2 * row] for row in range(5)} == {2}
    assert inks[2, 0] == 0


def test_the_shape_stands_at_the_last_value_and_gives_way_to_another() -> None:
    one = series([0, 0.5, 1], [0, 0.5, nan], shape="◆")
    assert lines_of(drawn(one, width=11))[2][5] == "◆"
    level = [series([0, 1], [0.5, 0.5], shape=shape) for shape in "◆▲"]
    assert lines_of(drawn(*level))[2].endswith("▲◆")


def test_points_are_shapes_or_single_dots() -> None:
    points = series([0, 0.5, 1], [0, nan, 1], kind="points", shape="●")
    assert [row.count("●") for row in lines_of(drawn(points))] == [1, 0, 0, 0, 1]
    assert dots_of(drawn(series([0, 1], [0, 1], kind="points"))) == {(0, 19), (19, 0)}


def test_a_dashed_curve_has_gaps_whether_flat_or_steep() -> None:
    flat, whole = dots_of(drawn(series([0, 1], [0.5, 0.5], dashed=True))), 20
    assert whole / 2 <= len(flat) < whole
    steep = dots_of(drawn(series([0.5, 0.501], [0, 1], dashed=True)))
    assert whole / 2 <= len(steep) < whole


def test_a_band_lies_between_its_edges_and_lightly() -> None:
    x = np.linspace(0, 1, 5)
    band = series(x, np.full(5, nan), low=np.full(5, 0.25), high=np.full(5, 0.75))
    dots = dots_of(drawn(band, width=20, height=10))
    rows = {row for _, row in dots}
    assert min(rows) >= 0.25 * 39 - 1 and max(rows) <= 0.75 * 39 + 1
    assert 0.15 < len(dots) / (40 * 20) < 0.35


def test_a_band_breaks_at_a_gap() -> None:
    edge = np.array([0.2, 0.2, nan, 0.2, 0.2])
    band = series([0, 0.2, 0.5, 0.8, 1], np.full(5, nan), low=edge, high=edge + 0.6)
    columns = {column for column, _ in dots_of(drawn(band))}
    assert not columns & set(range(6, 14)) and columns & set(range(5)) and columns & set(range(16, 20))


def test_without_colour_every_curve_bears_its_shape_along_the_way() -> None:
    curves = [series([0, 1], [y, y], shape=shape) for y, shape in ((0.2, "◆"), (0.8, "▲"))]
    bare = "".join(lines_of(drawn(*curves, width=60)))
    marked = "".join(lines_of(drawn(*curves, width=60, marks_along=True)))
    assert (bare.count("◆"), bare.count("▲")) == (1, 1)
    assert marked.count("◆") >= 4 and marked.count("▲") >= 4


def test_without_colour_older_curves_bear_their_numbers() -> None:
    kinds = ((1, 0.2, ""), (2, 0.8, "◆"))
    curves = [series([0, 1], [y, y], shape=shape, number=str(place)) for place, y, shape in kinds]
    bare = "".join(lines_of(drawn(*curves, width=60)))
    marked = "".join(lines_of(drawn(*curves, width=60, marks_along=True)))
    assert "1" not in bare and bare.count("◆") == 1
    assert marked.count("1") >= 4 and marked.count("◆") >= 4 and "2" not in marked


# Decimation and smoothing


@settings(deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(nan), min_size=1, max_size=300),
    st.integers(1, 20),
)
def test_decimation_loses_no_extremum(values: list[float], columns: int) -> None:
    y = np.array(values)
    column = np.arange(len(y)) * columns // len(y)
    gathered = by_column(column, y)
    for one in range(columns):
        known = y[(column == one) & np.isfinite(y)]
        here = gathered.column == one
        assert here.any() == bool(len(known))
        if len(known):
            assert gathered.low[here].min() == known.min()
            assert gathered.high[here].max() == known.max()
            assert gathered.first[here][0] == known[0] and gathered.last[here][-1] == known[-1]


def test_one_spike_among_many_points_is_drawn() -> None:
    y = np.zeros(50_000)
    y[31_234] = 1.0
    codes = drawn(series(np.linspace(0, 1, len(y)), y), width=40, height=10)
    assert (round(31_234 / 49_999 * 79), 0) in dots_of(codes)


@settings(deadline=None)
@given(
    st.lists(st.floats(-100, 100) | st.just(nan), min_size=1, max_size=400), st.sampled_from([1.0, 4.0, 32.0])
)
def test_the_running_mean_is_that_of_the_plain_recursion(values: list[float], memory: float) -> None:
    total = weight = 0.0
    keep = np.exp(-1 / memory)
    expected = []
    for value in values:
        total, weight = total * keep, weight * keep
        if np.isfinite(value):
            total, weight = total + value, weight + 1
        expected.append(total / weight if np.isfinite(value) else nan)
    np.testing.assert_allclose(smoothed(np.array(values), memory), expected, atol=1e-9)


def test_few_points_are_not_smoothed() -> None:
    assert not can_smooth(series(range(10), range(10)))
    assert can_smooth(series(range(100), range(100)))


# Whatever comes

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, nan, inf, -inf, 1e308, 5e-324]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=30),
    st.integers(1, 60),
    st.integers(1, 20),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["line", "points"]),
    st.sampled_from([1.0, 4.0, 4096.0]),
)
def test_nothing_that_is_drawn_fails(
    rows: list[tuple[float, float, float, float]],
    width: int,
    height: int,
    log: bool,
    smooth: bool,
    kind: str,
    factor: float,
) -> None:
    table = np.array(rows, dtype=float).reshape(-1, 4)
    one = series(
        table[:, 0], table[:, 1], low=table[:, 2], high=table[:, 3], kind=kind, shape="◆", dashed=log
    )
    with np.errstate(all="ignore"):
        data = x_extent([one])
    if data is None:
        return
    x = Window(factor).range(whole_extent(data, None), data)
    y = y_extent([one], x, log)
    if y is None:
        return
    frame = Frame(x, StickyRange().around(*y, "loss", log), log)
    grid = chart([one], frame, Look("loss", "iterations", smooth, True), width, height)
    assert grid.codes.shape == grid.inks.shape == (height, width)


def test_a_canvas_leaves_out_what_lies_outside() -> None:
    canvas = Canvas(2, 1)
    canvas.stamp(np.array([-1, 0, 4]), np.array([0, 9, 1]), 0)
    canvas.mark(5, 0, "◆", 0)
    assert lines_of(canvas.picture()[0]) == ["  "]
