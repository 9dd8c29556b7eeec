"""The lines over a chart as they stand on the terminal: pieces with their styles, and which cells changed."""

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from tui.charts.heading import TITLE, Piece, headings
from tui.charts.rendering import AXIS, PLAIN
from tui.charts.series import Series
from tui.output import plain

StyleOf = Callable[[int], Style]
SHARE = 3
"""With the focus the names may take this part of a chart's lines: a third."""


class ChartHead:
    """Title, names and remark over a chart, drawn once for each change."""

    def __init__(self) -> None:
        self.strips: list[Strip] = []
        self._cells: list[list[tuple[str, int]]] = []

    def write(
        self,
        series: Sequence[Series],
        title: str,
        remark: str,
        size: tuple[int, int],
        style_of: StyleOf,
        *,
        names_first: bool,
        has_focus: bool,
        numbered: bool = False,
    ) -> None:
        """Makes the lines anew for a chart of `size` cells. With the focus all names are there, on several
        lines where need be and where the curves still have most of the room. `numbered`: a curve without a
        shape has its number, as where there is no colour."""
        width, height = size
        labels = [one.name if one.label is None else one.label for one in series]
        inks = [ink for ink, label in enumerate(labels) if label]
        names = [(line_sign(series[ink], numbered), plain(labels[ink])) for ink in inks]
        most = height // SHARE if has_focus else 1
        first = has_focus or names_first
        found = headings(plain(title), names, remark, width, most=most, names_first=first)
        lines = [[(text, inks[index] if index >= 0 else index) for text, index in line] for line in found]
        bold = style_of(PLAIN) + Style(bold=True, reverse=has_focus)
        self.strips = [_strip(line, bold, style_of, width) for line in lines]
        self._cells = [list(_cells(line, has_focus)) for line in lines]

    def clear(self) -> None:
        """Nothing is drawn."""
        self.strips, self._cells = [], []

    def marks(self) -> list[list[tuple[str, int]]]:
        """What stands in each cell of each line, to tell later what has changed."""
        return self._cells

    def changes(self, before: list[list[tuple[str, int]]]) -> list[Region]:
        """The cells that are others than `before`, where there are as many lines: a region for each line."""
        regions = []
        for row, (old_line, new_line) in enumerate(zip(before, self._cells, strict=True)):
            pairs = zip_longest(old_line, new_line)
            other = [column for column, (old, new) in enumerate(pairs) if old != new]
            regions += [Region(other[0], row, other[-1] + 1 - other[0], 1)] if other else []
        return regions


def _strip(line: Sequence[Piece], title: Style, style_of: StyleOf, width: int) -> Strip:
    styles = [title if ink == TITLE else style_of(max(AXIS, 2 * ink)) for _, ink in line]
    return Strip([Segment(text, style) for (text, _), style in zip(line, styles, strict=True)], width)


def _cells(line: Sequence[Piece], has_focus: bool) -> Iterator[tuple[str, int]]:
    """A wide character fills two cells: the second holds nothing of its own."""
    for text, ink in line:
        for character in text:
            for cell in range(cell_len(character)):
                yield character if cell == 0 else "", 1000 * has_focus + ink


def line_sign(series: Series, numbered: bool) -> str:
    """What stands for a curve: its shape, its number if it has one and curves are `numbered`, or a line."""
    if sign := plain(series.shape) or (plain(series.number) if numbered else ""):
        return sign
    if series.kind == "points":
        return "·"
    return "╌" if series.dashed else "─"
