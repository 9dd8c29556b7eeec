"""A curve that is drawn again and again: what does not change between two frames is worked out once, and a
long one is drawn from blocks of its points."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tui.charts.axes import LARGEST, Range
from tui.charts.decimation import smoothed
from tui.charts.reach import can_smooth, is_counted, mean_memory, ordered, running_mean, x_extent
from tui.charts.series import Series

LONG = 32_768
"""More points than this within the window are drawn from blocks."""
BLOCKS = 8192
"""A long curve is made into at least half as many: several in a column of dots."""
FEWEST_BLOCKS = 256
"""A window with fewer shows points, however many."""


class Curve:
    """A series made ready."""

    def __init__(self, series: Series) -> None:
        self.given = series
        self.whole = ordered(series)

    @cached_property
    def is_long(self) -> bool:
        """Whether blocks stand for its points."""
        return len(self.whole.x) > LONG and self.whole.kind == "line"

    @cached_property
    def block(self) -> int:
        """How many points a block of a long curve has: a power of two, so that it changes seldom."""
        return 1 << (len(self.whole.x) // BLOCKS).bit_length()

    @cached_property
    def extent(self) -> Range | None:
        """From the first to the last x with a value; None if there is none."""
        return x_extent([self.whole])

    @cached_property
    def counted(self) -> bool:
        """Whether every x is a whole number."""
        return is_counted([self.overview])

    @cached_property
    def has_positive(self) -> bool:
        """Whether a log scale shows anything of it."""
        return bool(np.any(self.overview.y > 0))

    @cached_property
    def overview(self) -> Series:
        """The curve, or of each block of a long one its first, lowest, highest and last value."""
        return in_blocks(self.whole, self.block) if self.is_long else self.whole

    @cached_property
    def mean(self) -> Series | None:
        """Its running mean, that of a long one over blocks; None where it is not to be smoothed."""
        if not can_smooth(self.whole):
            return None
        return mean_of_blocks(self.whole, self.block) if self.is_long else running_mean(self.whole)

    def part(self, x: Range, smooth: bool) -> Series:
        """What to draw in a window: its points where they are few, else blocks."""
        begin, end = np.searchsorted(self.whole.x, x)
        many = self.is_long and end - begin > max(LONG, FEWEST_BLOCKS * self.block)
        chosen = self.overview if many else self.whole
        return replace(chosen, mean=self.mean) if smooth and self.mean is not None else chosen


def in_blocks(series: Series, size: int) -> Series:
    """Four points for each block: its first, lowest, highest and last; its band's lowest and highest. No
    extremum is lost; a gap within a block is."""
    whole = len(series.x) - len(series.x) % size

    def table(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[:whole].reshape(-1, size)

    def made(four: Sequence[NDArray[np.float64]], values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.append(np.stack(four, axis=1), values[whole:])

    x, y = table(series.x), table(series.y)
    ends = [x[:, 0], x[:, 0], x[:, -1], x[:, -1]]
    values = [y[:, 0], np.fmin.reduce(y, axis=1), np.fmax.reduce(y, axis=1), y[:, -1]]
    low = high = None
    if series.low is not None and series.high is not None:
        low = made([np.fmin.reduce(table(series.low), axis=1)] * 4, series.low)
        high = made([np.fmax.reduce(table(series.high), axis=1)] * 4, series.high)
    return replace(series, x=made(ends, series.x), y=made(values, series.y), low=low, high=high)


def mean_of_blocks(series: Series, size: int) -> Series:
    """The running mean of the means of blocks, each at its block's last x."""
    known = np.abs(series.y) <= LARGEST
    starts = np.arange(0, len(series.y), size)
    with np.errstate(invalid="ignore"):
        sums = np.add.reduceat(np.where(known, series.y, 0.0), starts)
        means = sums / np.add.reduceat(known, starts, dtype=np.float64)
    x = np.append(series.x[starts[1:] - 1], series.x[-1])
    return replace(series, x=x, y=smoothed(means, mean_memory(len(series.y)) / size))


def same_series(one: Series, other: Series) -> bool:
    """Whether two series draw the same. Arrays that nobody may write are compared by where they lie."""
    return (
        (one.name, one.colour, one.shape, one.number, one.dashed, one.kind, one.label)
        == (other.name, other.colour, other.shape, other.number, other.dashed, other.kind, other.label)
        and _same(one.x, other.x)
        and _same(one.y, other.y)
        and _same(one.low, other.low)
        and _same(one.high, other.high)
    )


def _same(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> bool:
    if one is other or one is None or other is None:
        return one is other
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not (one.flags.writeable or other.flags.writeable):
        place, again = one.__array_interface__, other.__array_interface__
        if place["data"] == again["data"] and one.strides == other.strides:
            return True
    return len(one) <= LONG and np.array_equal(one, other, equal_nan=True)
