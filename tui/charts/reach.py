"""What of curves is drawn: the values that can be, their running mean, and how far both axes must reach."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from tui.charts.axes import LARGEST, SMALLEST, Range
from tui.charts.decimation import Floats, smoothed
from tui.charts.series import Series
from tui.charts.ticks import Unit

_SMOOTHED_FROM = 20
"""Fewer points than this are drawn as they are: a mean of few would hide them."""
_ANY: Range = (-np.inf, np.inf)
_POSSIBLE: dict[Unit, Range] = {"percent": (0.0, 1.0)}


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
        part = window(curve.x, x, beyond=0)
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


def window(x: Floats, shown: Range, beyond: int) -> slice:
    """The points inside the range, and `beyond` more on either side."""
    begin, end = np.searchsorted(x, shown[0], "left"), np.searchsorted(x, shown[1], "right")
    return slice(max(0, int(begin) - beyond), int(end) + beyond)
