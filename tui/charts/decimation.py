"""Many points made few: for each column of dots the first, lowest, highest and last value."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui.charts.canvas import Ints

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Columns:
    """What a curve does in each column that it visits `[m]`, in order; `run` counts its unbroken stretches.

    A column is visited again after a gap, so the same number may stand here more than once.
    """

    column: Ints
    first: Floats
    low: Floats
    high: Floats
    last: Floats
    run: Ints


def by_column(column: Ints, y: Floats) -> Columns:
    """Gathers points at rising `column [n]` with values `y [n]`, where NaN breaks the curve."""
    finite = np.isfinite(y)
    run = np.cumsum(~finite)[finite]
    column, y = column[finite], y[finite]
    if len(y) == 0:
        return Columns(column, y, y, y, y, run)
    begins = np.flatnonzero((np.diff(column, prepend=column[0] - 1) != 0) | (np.diff(run, prepend=-1) != 0))
    ends = np.append(begins[1:], len(y)) - 1
    return Columns(
        column[begins],
        y[begins],
        np.minimum.reduceat(y, begins),
        np.maximum.reduceat(y, begins),
        y[ends],
        run[begins],
    )


def smoothed(y: Floats, memory: float) -> Floats:
    """The exponentially weighted mean of all values so far `[n]`, free of the start's bias.

    `memory` is how many values back a weight has fallen to 1/e. Gaps weigh nothing and stay gaps.
    """
    known = np.isfinite(y)
    total, weight = 0.0, 0.0
    sums, weights = np.empty(len(y)), np.empty(len(y))
    # A running sum of growing weights replaces the recursion, in blocks so short that nothing overflows.
    block = max(1, int(60 * memory))
    growths = np.exp(np.arange(1, min(block, len(y)) + 1) / memory)
    for begin in range(0, len(y), block):
        part = slice(begin, begin + block)
        growth = growths[: len(y[part])]
        values = np.where(known[part], y[part], 0.0)
        sums[part] = (total + np.cumsum(values * growth)) / growth
        weights[part] = (weight + np.cumsum(known[part] * growth)) / growth
        total, weight = sums[part][-1], weights[part][-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, sums / weights, np.nan)
