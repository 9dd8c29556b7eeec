"""Curves onto a canvas: where points lie, what is left out, what a column shows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tui.charts.axes import LARGEST, SMALLEST, Range
from tui.charts.canvas import Canvas, Ints, segments
from tui.charts.decimation import Columns, Floats, by_column, smoothed
from tui.charts.series import Series
from tui.charts.ticks import Unit

_DASH, _GAP = 4, 2
_MARK_EVERY = 14
_SMOOTHED_FROM = 20
"""Fewer points than this are drawn as they are: a mean of few would hide them."""


_REMEMBERED_UP_TO, _REMEMBERED = 64, 256
_ANY: Range = (-np.inf, np.inf)
_POSSIBLE: dict[Unit, Range] = {"percent": (0.0, 1.0)}


@dataclass(frozen=True)
class Frame:
    """The ranges that a canvas shows, and whether y is on a log scale (then both its ends are above 0)."""

    x: Range
    y: Range
    log: bool = False


def values(y: Floats, log: bool) -> Floats:
    """`y [n]` as drawn: NaN where it is not finite, too large, or on a log scale not above zero."""
    with np.errstate(invalid="ignore"):
        usable = (np.abs(y) <= LARGEST) & ((y >= SMALLEST) if log else True)
    return np.where(usable, y, np.nan)


def ordered(series: Series) -> Series:
    """The same with finite, rising x; arrays of unequal length are cut to the shortest."""
    edges = [series.low, series.high] if series.low is not None and series.high is not None else [None, None]
    arrays = [np.asarray(a, dtype=np.float64) for a in (series.x, series.y, *edges) if a is not None]
    length = min(len(a) for a in arrays)
    arrays = [a[:length] for a in arrays]
    x = arrays[0]
    with np.errstate(invalid="ignore"):
        kept = np.abs(x) <= LARGEST
    if not kept.all():
        arrays = [a[kept] for a in arrays]
    if np.any(arrays[0][1:] < arrays[0][:-1]):
        order = np.argsort(arrays[0], kind="stable")
        arrays = [a[order] for a in arrays]
    low, high = arrays[2:] if len(arrays) == 4 else (None, None)
    return replace(series, x=arrays[0], y=arrays[1], low=low, high=high)


def can_smooth(series: Series) -> bool:
    """Whether a running mean says more: not of few points, nor of what is no line or has its own band."""
    return series.kind == "line" and series.low is None and len(series.y) >= _SMOOTHED_FROM


def running_mean(series: Series) -> Series:
    """The curve of running means."""
    usable = np.where(np.abs(series.y) <= LARGEST, series.y, np.nan)
    return replace(series, y=smoothed(usable, mean_memory(len(series.y))))


def mean_memory(count: int) -> float:
    """How many points back a weight has fallen to 1/e: a 64th of them, in powers of two, so that it changes
    seldom while points arrive."""
    return 2.0 ** max(2, int(np.log2(count / 64)) if count > 64 else 0)


def x_extent(curves: Iterable[Series]) -> Range | None:
    """From the first to the last x with a value; None if there is none."""
    firsts, lasts = [], []
    for curve in curves:
        known = np.isfinite(curve.y)
        if known.any():
            firsts.append(float(curve.x[known.argmax()]))
            lasts.append(float(curve.x[len(known) - 1 - known[::-1].argmax()]))
    return (min(firsts), max(lasts)) if firsts else None


def is_counted(curves: Iterable[Series]) -> bool:
    """Whether every x is a whole number."""
    return all(bool(np.all(curve.x == np.floor(curve.x))) for curve in curves)


def y_extent(
    curves: Iterable[Series], x: Range, log: bool, unit: Unit = "number"
) -> Range | None:
    """From the lowest to the highest value with x inside the range; None: no value. Bands count as far as
    there can be values: an interval round 98 % may end beyond 100."""
    possible = _POSSIBLE.get(unit, _ANY)
    lows, highs = [], []
    for curve in curves:
        part = _window(curve.x, x, beyond=0)
        for column, (least, most) in ((curve.y, _ANY), (curve.low, possible), (curve.high, possible)):
            if column is None:
                continue
            found = _extent(column[part], log)
            if found is not None:
                lows.append(min(max(found[0], least), most))
                highs.append(min(max(found[1], least), most))
    return (min(lows), max(highs)) if lows else None


def _extent(y: Floats, log: bool) -> Range | None:
    """From the lowest to the highest value that can be drawn."""
    if not len(y):
        return None
    low, high = float(np.fmin.reduce(y)), float(np.fmax.reduce(y))
    if not (low >= -LARGEST and high <= LARGEST and (low >= SMALLEST or not log)):
        # Not as it mostly is: look at each.
        shown = values(y, log)
        shown = shown[np.isfinite(shown)]
        return (float(shown.min()), float(shown.max())) if len(shown) else None
    return low, high


def draw_band(canvas: Canvas, frame: Frame, series: Series, ink: int) -> None:
    """The band of a curve as light dots; it breaks where a column has only gaps."""
    if series.low is None or series.high is None:
        return
    part = _window(series.x, frame.x, beyond=1)
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
    if series.shape and not raw:
        inside = (x >= 0) & (x < 2 * canvas.width) & (y >= 0) & (y < 4 * canvas.height)
        x, y = x[inside], y[inside]
        if along >= 0:
            _mark_along(canvas, x, y, series.shape, ink, along)
        _mark_end(canvas, x, y, series.shape, ink)


def _dots(canvas: Canvas, frame: Frame, series: Series) -> tuple[Ints, Ints]:
    """The dots of a curve. Those of short ones are remembered: an inner loop's fan moves on by one record a
    frame, and all its other curves are what they were."""
    key = None
    if len(series.x) <= _REMEMBERED_UP_TO:
        key = (series.x.tobytes(), series.y.tobytes(), frame, canvas.width, canvas.height)
        if key in _remembered:
            return _remembered[key]
    part = _window(series.x, frame.x, beyond=1)
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
    part = _window(series.x, frame.x, beyond=0)
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


def _window(x: Floats, shown: Range, beyond: int) -> slice:
    """The points inside the range, and `beyond` more on either side."""
    begin, end = np.searchsorted(x, shown[0], "left"), np.searchsorted(x, shown[1], "right")
    return slice(max(0, int(begin) - beyond), int(end) + beyond)


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
