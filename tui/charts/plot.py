"""Curves onto a canvas: where points lie, what a column shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui.charts.axes import Range
from tui.charts.canvas import Canvas, Ints, segments
from tui.charts.decimation import Columns, Floats, by_column
from tui.charts.reach import can_smooth, running_mean, values, window
from tui.charts.series import Series

_DASH, _GAP = 4, 2
_MARK_EVERY = 14
_REMEMBERED_UP_TO, _REMEMBERED = 64, 256


@dataclass(frozen=True)
class Frame:
    """The ranges that a canvas shows, and whether y is on a log scale (then both its ends are above 0)."""

    x: Range
    y: Range
    log: bool = False


def draw_band(canvas: Canvas, frame: Frame, series: Series, ink: int) -> None:
    """The band of a curve as light dots; it breaks where a column has only gaps."""
    if series.low is None or series.high is None:
        return
    part = window(series.x, frame.x, beyond=1)
    column = _columns(canvas, frame, series.x[part])
    top, bottom = (_rows(canvas, frame, edge[part]) for edge in (series.high, series.low))
    edges: list[Floats] = []
    inside = (column >= 0) & (column < 2 * canvas.width)
    for edge, pick in ((top, np.fmin), (bottom, np.fmax)):
        edges.append(_filled(column, edge, inside, pick, 2 * canvas.width))
    top, bottom = edges
    across, down = np.meshgrid(np.arange(2 * canvas.width), np.arange(4 * canvas.height))
    with np.errstate(invalid="ignore"):
        covered = (down >= np.floor(top)) & (down <= np.ceil(bottom))
    sparse = covered & ((across + 2 * down) % 4 == 0)
    canvas.stamp(across[sparse], down[sparse], ink, light=True)


_remembered: dict[tuple[bytes, bytes, Frame, int, int], tuple[Ints, Ints]] = {}


def draw_curve(
    canvas: Canvas, frame: Frame, series: Series, ink: int, *, raw: bool = False, along: int = -1
) -> None:
    """A line with its shape at the last value, or points. `raw`: lightly, without shape, under its running
    mean. `along` (0 or more) puts the shape at every few cells too, shifted by that many, so that curves are
    told apart where there is no colour."""
    if series.kind == "points":
        _draw_points(canvas, frame, series, ink)
        return
    x, y = _dots(canvas, frame, series)
    drawn = _dashes(x, y) if series.dashed else slice(None)
    canvas.stamp(x[drawn], y[drawn], ink, light=raw)
    shape = series.shape or (series.number if along >= 0 else "")
    if shape and not raw:
        inside = (x >= 0) & (x < 2 * canvas.width) & (y >= 0) & (y < 4 * canvas.height)
        x, y = x[inside], y[inside]
        if along >= 0:
            _mark_along(canvas, x, y, shape, ink, along)
        _mark_end(canvas, x, y, shape, ink)


def _dots(canvas: Canvas, frame: Frame, series: Series) -> tuple[Ints, Ints]:
    """The dots of a curve. Those of short ones are remembered: an inner loop's fan moves on by one record a
    frame, and all its other curves are what they were."""
    key = None
    if len(series.x) <= _REMEMBERED_UP_TO:
        key = (series.x.tobytes(), series.y.tobytes(), frame, canvas.width, canvas.height)
        if key in _remembered:
            return _remembered[key]
    part = window(series.x, frame.x, beyond=1)
    columns = by_column(_columns(canvas, frame, series.x[part]), _rows(canvas, frame, series.y[part]))
    dots = _line(columns, canvas)
    if key is not None:
        if len(_remembered) >= _REMEMBERED:
            _remembered.clear()
        _remembered[key] = dots
    return dots


def row_of(value: float, frame: Frame, height: int) -> int:
    """The row of cells, counted from the top, in which that value lies on a canvas of `height` rows."""
    canvas = Canvas(1, height)
    return int(np.floor(_rows(canvas, frame, np.array([value]))[0] + 0.5)) // 4


def _draw_points(canvas: Canvas, frame: Frame, series: Series, ink: int) -> None:
    part = window(series.x, frame.x, beyond=0)
    rows = _rows(canvas, frame, series.y[part])
    known = np.isfinite(rows)
    x, y = _columns(canvas, frame, series.x[part])[known], _whole(rows[known])
    if series.shape:
        for column, row in zip((x // 2).tolist(), (y // 4).tolist(), strict=True):
            canvas.mark(column, row, series.shape, ink)
    else:
        canvas.stamp(x, y, ink)


def _line(columns: Columns, canvas: Canvas) -> tuple[Ints, Ints]:
    """The dots of a curve: each column from its lowest to its highest, joined from last to first."""
    low, high = _whole(columns.low), _whole(columns.high)
    first, last = _whole(columns.first), _whole(columns.last)
    joined = np.flatnonzero(np.diff(columns.run) == 0)
    x0, y0, x1, y1 = columns.column[joined], last[joined], columns.column[joined + 1], first[joined + 1]
    x0, y0, x1, y1 = _clipped(x0, y0, x1, y1, 2 * canvas.width)
    across = segments(np.r_[columns.column, x0], np.r_[low, y0], np.r_[columns.column, x1], np.r_[high, y1])
    order = np.argsort(across[0], kind="stable")
    return across[0][order], across[1][order]


def _clipped(x0: Ints, y0: Ints, x1: Ints, y1: Ints, width: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Segments cut at the canvas's left and right edge: the neighbours of a window may lie far outside."""
    slope = (y1 - y0) / np.maximum(x1 - x0, 1)
    left, right = np.clip(x0, -1, width), np.clip(x1, -1, width)
    return (
        left,
        _whole(y0 + slope * (left - x0)),
        right,
        _whole(y1 - slope * (x1 - right)),
    )


def _dashes(x: Ints, y: Ints) -> NDArray[np.bool_]:
    """Which dots of a dashed curve are drawn: by column, or by row where it is steep. Tied to the canvas and
    not to the way along the curve, so that what is drawn stays when the curve goes on."""
    _, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    along = np.where(counts[which] > _DASH, y, x)
    return along % (_DASH + _GAP) < _DASH


def _mark_end(canvas: Canvas, x: Ints, y: Ints, shape: str, ink: int) -> None:
    """The shape at the last dot, or a little before it where another curve's shape stands."""
    if not len(x):
        return
    column = int(x[-1]) // 2
    for cell in range(column, max(-1, column - 8), -1):
        rows = y[x // 2 == cell]
        if len(rows) and not canvas.is_marked(cell, row := int(rows[-1]) // 4):
            canvas.mark(cell, row, shape, ink)
            return
    canvas.mark(column, int(y[-1]) // 4, shape, ink)


def _mark_along(canvas: Canvas, x: Ints, y: Ints, shape: str, ink: int, shift: int) -> None:
    for cell in range((3 + 5 * shift) % _MARK_EVERY, canvas.width, _MARK_EVERY):
        rows = y[x // 2 == cell]
        if len(rows):
            canvas.mark(cell, int(np.median(rows)) // 4, shape, ink)


def _columns(canvas: Canvas, frame: Frame, x: Floats) -> Ints:
    """Columns of dots; what lies far outside is drawn nearer, where it stays outside."""
    width = 2 * canvas.width
    begin, end = frame.x
    with np.errstate(over="ignore"):
        share = (x - begin) / (end - begin)
    return _whole(np.clip(share * (width - 1), -1e6, 1e6))


def _rows(canvas: Canvas, frame: Frame, y: Floats) -> Floats:
    """Rows of dots from the top, not yet rounded; NaN at gaps; just outside for what is outside."""
    height = 4 * canvas.height
    bottom, top = frame.y
    y = values(y, frame.log)
    if frame.log:
        y, bottom, top = np.log10(y), np.log10(bottom), np.log10(top)
    with np.errstate(over="ignore"):
        share = (top - y) / (top - bottom)
    return np.clip(share * (height - 1), -height, 2 * height)


def _filled(column: Ints, edge: Floats, inside: NDArray[np.bool_], pick: np.ufunc, width: int) -> Floats:
    """An edge of a band at every column `[width]`: `pick` of its points there, straight between known
    columns, NaN outside them and across a gap."""
    result = np.full(width, np.nan)
    seen = np.zeros(width, dtype=bool)
    seen[column[inside]] = True
    pick.at(result, column[inside], edge[inside])
    known = np.isfinite(edge)
    if not known.any():
        return result
    at = np.arange(width, dtype=np.float64)
    broken = np.cumsum(seen & ~np.isfinite(result))
    between = np.interp(at, column[known], edge[known], left=np.nan, right=np.nan)
    previous = np.maximum.accumulate(np.where(np.isfinite(result), np.arange(width), -1))
    same_stretch = np.where(previous >= 0, broken == broken[previous], broken == 0)
    following = np.minimum.accumulate(np.where(np.isfinite(result), np.arange(width), width)[::-1])[::-1]
    ahead = np.where(following < width, broken == broken[np.minimum(following, width - 1)], True)
    return np.where(np.isfinite(result), result, np.where(same_stretch & ahead, between, np.nan))


def _whole(numbers: Floats | Ints) -> Ints:
    return np.floor(np.asarray(numbers) + 0.5).astype(np.int64)


def layers(curves: Sequence[Series], smooth: bool) -> Iterator[tuple[int, Series, bool]]:
    """What is drawn in which order: (index of the curve, the curve, whether it is only the raw one)."""
    for index, curve in enumerate(curves):
        if smooth and can_smooth(curve):
            yield index, curve, True
    for index, curve in enumerate(curves):
        mean = (curve.mean or running_mean(curve)) if smooth and can_smooth(curve) else curve
        yield index, mean, False
