"""Many lines of text, of which only the visible ones are drawn; words found in them are marked."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip


class Lines(ScrollView, can_focus=True):
    """Lines that scroll both ways. At the end it stays at the end when lines come in."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--found", "lines--here"}
    DEFAULT_CSS = """
    Lines { height: 1fr; background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    Lines > .lines--found { background: $panel; text-style: bold underline; }
    Lines > .lines--here { background: $primary 40%; text-style: bold underline; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: Sequence[str] = ()
        self.words = ""
        self.here: int | None = None
        """The line that a search stands on."""

    def show(self, lines: Sequence[str], width: int, *, to_end: bool = False) -> None:
        """Draws these lines, the widest of so many cells, from now on; `to_end` goes to the last one wherever
        one was."""
        at_end = to_end or not self.lines or self.scroll_offset.y >= self.max_scroll_y
        grown = len(lines) - len(self.lines)
        same_start = grown >= 0 and list(lines[: len(self.lines)]) == list(self.lines)
        if same_start and grown == 0 and not to_end:
            return
        self.lines = lines
        self.here = self.here if same_start else None
        self.virtual_size = Size(width, len(lines))
        self.refresh()
        if at_end:
            self.call_after_refresh(self.scroll_end, animate=False, x_axis=False)

    def search(self, words: str) -> None:
        """Marks what is searched for from now on."""
        self.words, self.here = words.casefold(), None
        self.refresh()

    def go(self, direction: int) -> bool:
        """To the next line that has the words (1), or the one before (-1), round the end; False: none."""
        total = len(self.lines)
        if not self.words or not total:
            return False
        # The first search looks from the end of what is in view: the newest lines are what one came for.
        start = self.here if self.here is not None else self.scroll_offset.y - (direction > 0)
        for distance in range(1, total + 1):
            index = (start + direction * distance) % total
            if self._has(self.lines[index]):
                self.here = index
                x = cell_len(self.lines[index][: self.lines[index].casefold().find(self.words)])
                self.scroll_to_region(Region(x, index, max(1, len(self.words)), 1), animate=False)
                self.refresh()
                return True
        return False

    def render_line(self, y: int) -> Strip:
        """One line in view, what is searched for marked in it."""
        left, top = self.scroll_offset
        index, width, base = top + y, self.size.width, self.rich_style
        if index >= len(self.lines):
            return Strip.blank(width, base)
        strip = Strip(self._segments(index, base))
        return strip.crop_extend(left, left + width, base)

    def _segments(self, index: int, base: Style) -> list[Segment]:
        line = self.lines[index]
        if not self.words or not self._has(line):
            return [Segment(line, base)]
        name = "lines--here" if index == self.here else "lines--found"
        found = base + self.get_component_rich_style(name, partial=True)
        folded, segments, at = line.casefold(), [], 0
        if len(folded) != len(line):  # letters that fold into two: the places would not agree
            return [Segment(line, found)]
        while (next_ := folded.find(self.words, at)) >= 0:
            segments += [
                Segment(line[at:next_], base),
                Segment(line[next_ : next_ + len(self.words)], found),
            ]
            at = next_ + len(self.words)
        return [*segments, Segment(line[at:], base)]

    def _has(self, line: str) -> bool:
        return self.words in line.casefold()
