"""Ranges of axes that stay while data stream in, and the window of a chart that is zoomed."""

from dataclasses import dataclass
from math import ceil, floor, log10

from tui.charts.ticks import Unit, nice_step

Range = tuple[float, float]

LARGEST = 1e150
"""Values beyond this, either way, are treated as not finite: their spans would overflow."""
SMALLEST = 1e-290
"""On a log scale, values below this likewise."""

_ENDS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_COUNTED = 20.0
_MARGIN = 1e-9
_FINEST = 1e-3
"""A span below this share of the values is widened: its labels would need more digits than anyone reads."""


def nice_range(low: float, high: float, unit: Unit = "number", log: bool = False) -> Range:
    """The smallest range between round numbers that holds `low` to `high`; never empty."""
    if log and high > 3 * low:
        return _log_range(low, high)
    if log:
        bottom, top = nice_range(low, high)
        return (bottom, top) if bottom > low / 3 else _log_range(low, high)
    share = unit == "percent" and low >= 0 and high <= 1
    size = max(abs(low), abs(high))
    if high - low <= max(_FINEST * size, 1e-290):
        margin = size * (10 * _FINEST if high > low else 0.1) or 1.0
        low, high = low - margin, high + margin
    step = nice_step(high - low, 4)
    bottom = min(low, floor(low / step + _MARGIN) * step)
    top = max(high, ceil(high / step - _MARGIN) * step)
    return (max(0.0, bottom), min(1.0, top)) if share else (bottom, top)


def _log_range(low: float, high: float) -> Range:
    # A margin of the logarithm is ln 10 times as much of the value.
    margin = 3 * _MARGIN

    def below(value: float) -> float:
        power = floor(log10(value) + _MARGIN)
        return max(digit for d in (1, 2, 5) if (digit := float(f"{d}e{power}")) <= value * (1 + margin))

    def above(value: float) -> float:
        power = floor(log10(value) - _MARGIN)
        return min(
            digit for d in (1, 2, 5, 10) if (digit := d * float(f"1e{power}")) >= value * (1 - margin)
        )

    bottom, top = min(below(low), low), max(above(high), high)
    return (bottom, top) if top > bottom * (1 + _MARGIN) else (bottom / 2, top * 2)


def nice_extent(low: float, high: float) -> Range:
    """The x axis of data that may still grow: to the next round number, so that it grows seldom.

    Up to 20 it ends at the data: those are inner steps, not iterations.
    """
    span = high - low
    if low >= 0 and (low <= 0.25 * high or span == 0):
        low, span = 0.0, high
    if span <= 0:
        return low, low + max(1.0, abs(low) / 1000)
    if span > _COUNTED:
        power = float(f"1e{floor(log10(span))}")
        span = next((end * power for end in _ENDS if end * power >= span * (1 - _MARGIN)), span)
    return low, max(low + span, high)


class StickyRange:
    """A range that is kept until data leave it or fill less than a third of it."""

    def __init__(self) -> None:
        self._kept: tuple[Range, Unit, bool] | None = None

    def forget(self) -> None:
        """The next range is chosen anew."""
        self._kept = None

    def around(self, low: float, high: float, unit: Unit, log: bool) -> Range:
        """The range to draw data from `low` to `high` in."""
        if self._kept is not None and self._kept[1:] == (unit, log):
            bottom, top = self._kept[0]
            if bottom <= low and high <= top:
                filled = (
                    log10(max(high / low, 1.0)) / log10(top / bottom)
                    if log
                    else (high - low) / (top - bottom)
                )
                if filled >= 1 / 3:
                    return bottom, top
        self._kept = (nice_range(low, high, unit, log), unit, log)
        return self._kept[0]


@dataclass
class Window:
    """Which part of the x axis is shown: `factor` times closer, up to `end`, or following the newest one."""

    factor: float = 1.0
    end: float | None = None

    LAST_QUARTER = 4.0
    CLOSEST = 4096.0

    @property
    def zoomed(self) -> bool:
        """Whether only a part is shown."""
        return self.factor > 1

    def whole(self) -> None:
        """Back to everything."""
        self.factor, self.end = 1.0, None

    def quarter(self) -> None:
        """The last quarter, following; or, from anything closer than the whole, back to everything."""
        self.factor, self.end = (1.0 if self.zoomed else self.LAST_QUARTER), None

    def zoom(self, times: float, data: Range) -> None:
        """Closer (`times` above 1) or farther, about the middle; while it follows, about the newest point."""
        before = self._length(data)
        self.factor = min(self.CLOSEST, max(1.0, self.factor * times))
        if not self.zoomed:
            self.end = None
        elif self.end is not None:
            self._move_to(self.end - (before - self._length(data)) / 2, data)

    def pan(self, share: float, data: Range) -> None:
        """Moves by that share of the window; at the newest point it follows again."""
        if self.zoomed:
            end = data[1] if self.end is None else self.end
            self._move_to(end + share * self._length(data), data)

    def range(self, whole: Range, data: Range) -> Range:
        """What to show of an axis `whole` with data from `data[0]` to `data[1]`; in round steps, so that it
        moves seldom while it follows."""
        length = self._length(data)
        if not self.zoomed or length <= 0:
            return whole
        end = data[1] if self.end is None else self.end
        step = nice_step(length, 8)
        begin, end = floor((end - length) / step + _MARGIN) * step, ceil(end / step - _MARGIN) * step
        return (begin, end) if end > begin else whole

    def _length(self, data: Range) -> float:
        return (data[1] - data[0]) / self.factor

    def _move_to(self, end: float, data: Range) -> None:
        end = max(end, data[0] + self._length(data))
        self.end = None if end >= data[1] else end


def whole_extent(data: Range, given: Range | None) -> Range:
    """The x axis' whole: as given, unless data reach beyond that; otherwise to the next round number."""
    if given is None or not given[1] > given[0]:
        return nice_extent(*data)
    return min(given[0], data[0]), max(given[1], data[1])
