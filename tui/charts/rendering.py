"""A chart under its heading as a grid of characters: axes with labels, curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tui.charts.canvas import NO_INK, Canvas, Codes, Inks
from tui.charts.plot import Frame, draw_band, draw_curve, layers, row_of
from tui.charts.series import Series
from tui.charts.ticks import Unit, linear_ticks, log_ticks, tick_labels, x_axis

PLAIN, AXIS = NO_INK, -2
"""Inks that are no curve's: the place's own colour, and axes. Curve `i` has ink `2 i`, and dim `2 i + 1`."""

_LEAST_HEIGHT_WITH_X = 4
_LEAST_WIDTH_WITH_Y = 24
_FEWEST_CELLS_SKIPPED = 10
"""Unchanged cells between changed ones are drawn over where moving the cursor would cost more bytes."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Code points and inks `[height, width]`."""

    codes: Codes
    inks: Inks

    @classmethod
    def blank(cls, width: int, height: int) -> "Grid":
        """Nothing yet."""
        return cls(
            np.full((height, width), ord(" "), dtype=np.uint32),
            np.full((height, width), PLAIN, dtype=np.int16),
        )

    def runs(self, row: int) -> list[tuple[str, int]]:
        """A row as texts of one ink each. A blank takes the ink before it: fewer changes of colour."""
        codes = self.codes[row]
        if not len(codes):
            return []
        inked = np.maximum.accumulate(np.where(codes != ord(" "), np.arange(len(codes)), 0))
        inks = self.inks[row][inked]
        text = "".join(map(chr, codes.tolist()))
        edges = [0, *(np.flatnonzero(np.diff(inks)) + 1).tolist(), len(codes)]
        return [(text[begin:end], int(inks[begin])) for begin, end in pairwise(edges)]

    def changes(self, before: "Grid") -> list[tuple[int, int, int]]:
        """(row, first column, last column + 1) of all that differs from a grid of the same size."""
        changed = (before.codes != self.codes) | (before.inks != self.inks)
        found = []
        for row in np.flatnonzero(changed.any(axis=1)).tolist():
            columns = np.flatnonzero(changed[row])
            stretches = np.split(columns, np.flatnonzero(np.diff(columns) > _FEWEST_CELLS_SKIPPED) + 1)
            found += [(row, int(stretch[0]), int(stretch[-1]) + 1) for stretch in stretches]
        return found

    def write(self, row: int, column: int, text: str, ink: int) -> None:
        """Puts text of single cells in."""
        if not 0 <= row < len(self.codes):
            return
        text = text[: max(0, self.codes.shape[1] - column)]
        self.codes[row, column : column + len(text)] = [ord(character) for character in text]
        self.inks[row, column : column + len(text)] = ink


@dataclass(frozen=True)
class Look:
    """How a chart is drawn: unit and name of its axes, smoothing, and marks along curves without colour."""

    unit: Unit = "number"
    x_label: str = ""
    smooth: bool = False
    marks_along: bool = False
    counted: bool = False
    """Whether x are whole numbers, such as steps."""


def sentence(text: str, width: int, height: int) -> Grid:
    """A sentence in the middle of an empty chart, over several lines where it is narrow."""
    grid = Grid.blank(width, height)
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    lines.append(line)
    for index, line in enumerate(lines):
        grid.write((height - len(lines)) // 2 + index, max(0, (width - len(line)) // 2), line, AXIS)
    return grid


def chart(curves: Sequence[Series], frame: Frame, look: Look, width: int, height: int) -> Grid:
    """The curves with their axes on `width` by `height` cells; axes give way where there is no room."""
    grid = Grid.blank(width, height)
    plot_height = height - 1 if height >= _LEAST_HEIGHT_WITH_X else height
    left = _write_y_axis(grid, frame, look.unit, plot_height) if width >= _LEAST_WIDTH_WITH_Y else 0
    plot_width = width - left
    if plot_height < height:
        if left:
            grid.write(height - 1, left - 1, "└", AXIS)
        grid.write(height - 1, left, x_axis(*frame.x, plot_width, look.x_label, look.counted), AXIS)
    codes, inks = plot(curves, frame, look, plot_width, plot_height)
    grid.codes[:plot_height, left:] = codes
    grid.inks[:plot_height, left:] = inks
    return grid


def plot(curves: Sequence[Series], frame: Frame, look: Look, width: int, height: int) -> tuple[Codes, Inks]:
    """The curves alone: bands first, then raw curves dim, then the curves themselves."""
    canvas = Canvas(width, height)
    for index, curve in enumerate(curves):
        draw_band(canvas, frame, curve, 2 * index + 1)
    for index, curve, raw in layers(curves, look.smooth):
        along = index if look.marks_along and len(curves) > 1 and not raw else -1
        draw_curve(canvas, frame, curve, 2 * index + raw, raw=raw, along=along)
    return canvas.picture()


def y_labels(frame: Frame, unit: Unit, height: int) -> list[tuple[int, str]]:
    """(row, label) of the ticks beside a plot of `height` rows, at most one a row."""
    low, high = frame.y
    count = max(1, min(6, (height - 1) // 2))
    ticks: list[float] = []
    # A step of 1, 2 or 5 may miss a short axis but for one tick; two tell the scale.
    while len(ticks) < 2 and count < height + 2:
        ticks = log_ticks(low, high, count) if frame.log else linear_ticks(low, high, count)
        count += 1
    labels = tick_labels(ticks, unit, log=frame.log and len(ticks) > 1 and ticks[-1] >= 1.9 * ticks[0])
    rows: dict[int, str] = {}
    for tick, label in zip(ticks, labels, strict=True):
        rows.setdefault(row_of(tick, frame, height), label)
    return list(rows.items())


def _write_y_axis(grid: Grid, frame: Frame, unit: Unit, height: int) -> int:
    """Draws labels and line; returns how many cells they take, 0 where labels would take a third and more."""
    labels = y_labels(frame, unit, height)
    longest = max((len(label) for _, label in labels), default=0)
    if 3 * (longest + 1) > grid.codes.shape[1]:
        return 0
    for row in range(height):
        grid.write(row, longest, "│", AXIS)
    for row, label in labels:
        grid.write(row, 0, label.rjust(longest) + "┤", AXIS)
    return longest + 1
