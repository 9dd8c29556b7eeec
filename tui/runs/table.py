"""The table of runs: thousands of rows, of which only the visible ones are drawn, and only what changed."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.runs import Summary
from tui.contrast import TEXT, readable
from tui.keys import Key, place
from tui.marks import mark_of
from tui.runs.rows import TONES, Column, cut, layout, row_cells
from tui.snapshot import TestNow

KEYS = (
    Key("up,k", "move(-1)", "Up", "the run above", in_footer=False),
    Key("down,j", "move(1)", "Down", "the run below", in_footer=False),
    Key("pageup", "page(-1)", "Page up", "a page up", in_footer=False),
    Key("pagedown", "page(1)", "Page down", "a page down", in_footer=False),
    Key("home", "edge(0)", "First", "the first run", in_footer=False),
    Key("end", "edge(-1)", "Last", "the last run", in_footer=False),
)


class RunTable(ScrollView, can_focus=True):
    """Runs in rows under a heading that stays. The cursor follows its run when the order changes."""

    PLACE = "runs-table"
    BINDINGS: ClassVar[list[BindingType]] = place(PLACE, KEYS)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "runs--heading",
        "runs--cursor",
        "runs--good",
        "runs--live",
        "runs--bad",
        "runs--dim",
    }
    DEFAULT_CSS = """
    RunTable { height: 1fr; background: $background; overflow-x: hidden; scrollbar-size-vertical: 1;
        scrollbar-gutter: stable; }
    RunTable > .runs--heading { color: $secondary; text-style: bold; }
    RunTable > .runs--cursor { background: $panel; text-style: bold; }
    RunTable:focus > .runs--cursor { background: $block-cursor-background; color: $block-cursor-foreground;
        text-style: bold; }
    RunTable > .runs--good { color: $success; }
    RunTable > .runs--live { color: $accent; }
    RunTable > .runs--bad { color: $error; }
    RunTable > .runs--dim { color: $foreground 65%; }
    """

    class Moved(Message):
        """The cursor stands on another run."""

    class Opened(Message):
        """The run under the cursor was clicked twice."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.rows: Sequence[Summary] = ()
        self.chosen: Collection[str] = ()
        self.cursor = 0
        self._asked: Mapping[str, Collection[str]] = {}
        self._depths: Mapping[str, int] = {}
        self._tests: Mapping[str, TestNow] = {}
        self._now = now
        self._drawn: dict[int, tuple[str, ...]] = {}
        self._columns: list[tuple[Column, int]] = []

    @property
    def current(self) -> Summary | None:
        """The run under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def show(
        self,
        rows: Sequence[Summary],
        asked: Mapping[str, Collection[str]],
        chosen: Collection[str],
        depths: Mapping[str, int] | None = None,
        tests: Mapping[str, TestNow] | None = None,
    ) -> None:
        """Draws these rows from now on; of what is on the screen only changed cells go over the line.

        `depths` is by id how far in a fork's label stands, `tests` which runs are being tested.
        """
        before, cursor_before = self.current, self.cursor
        place_before = self.cursor - self.scroll_offset.y
        self.rows, self._asked, self.chosen, self._depths = rows, asked, chosen, depths or {}
        self._tests = tests or {}
        if before is not None and (self.current is None or self.current.id != before.id):
            places = (index for index, row in enumerate(rows) if row.id == before.id)
            self.cursor = next(places, min(self.cursor, max(0, len(rows) - 1)))
            # The cursor keeps its place on the screen when rows come in above it.
            self.scroll_to(y=self.cursor - place_before, animate=False, force=True)
        self.virtual_size = Size(self.size.width, len(rows) + 1)
        if self.cursor != cursor_before:
            self.refresh()
        else:
            self._refresh_changed()
        after = self.current
        if (before and before.id) != (after and after.id):
            self.post_message(self.Moved())

    def go_to(self, index: int) -> None:
        """Puts the cursor on a row and brings it into view."""
        index = max(0, min(index, len(self.rows) - 1))
        if not self.rows or index == self.cursor:
            return
        before, self.cursor = self.cursor, index
        room = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        for row in (before, index):
            self.refresh(Region(0, row - top + 1, self.size.width, 1))
        if index < top:
            self.scroll_to(y=index, animate=False, force=True)
        elif index >= top + room:
            self.scroll_to(y=index - room + 1, animate=False, force=True)
        self.post_message(self.Moved())

    def action_move(self, rows: int) -> None:
        """Some rows up or down."""
        self.go_to(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        """Some pages up or down."""
        self.go_to(self.cursor + pages * max(1, self.size.height - 2))

    def action_edge(self, index: int) -> None:
        """The first row, or the last."""
        self.go_to(index % max(1, len(self.rows)))

    def on_resize(self) -> None:
        self._columns = layout(self.scrollable_content_region.width)
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        room = max(1, self.size.height - 1)
        if self.cursor >= self.scroll_offset.y + room:
            self.scroll_to(y=self.cursor - room + 1, animate=False, force=True)
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        index = event.y - 1 + self.scroll_offset.y
        if event.y > 0 and index < len(self.rows):
            self.go_to(index)
            if event.chain == 2:
                self.post_message(self.Opened())

    def render_line(self, y: int) -> Strip:
        """The heading, or the row that stands `y - 1` below the first one in view."""
        width, base = self.size.width, self.rich_style
        if y == 0:
            heading = " ".join(cut(column.heading, size, column.right) for column, size in self._columns)
            return Strip(
                [Segment(cut(heading, width), base + self.get_component_rich_style("runs--heading"))]
            )
        index = self.scroll_offset.y + y - 1
        if index >= len(self.rows):
            self._drawn.pop(y, None)
            return Strip.blank(width, base)
        texts = self._texts(index)
        self._drawn[y] = texts
        return Strip(self._segments(index, texts, base)).adjust_cell_length(
            width, self._row_style(index, base)
        )

    def _texts(self, index: int) -> tuple[str, ...]:
        row = self.rows[index]
        asked, depth = self._asked.get(row.id, ()), self._depths.get(row.id, 0)
        texts = row_cells(row, asked, self._columns, self._now(), depth, self._tests.get(row.id))
        return ("*" + texts[0][1:], *texts[1:]) if texts and row.id in self.chosen else texts

    def _row_style(self, index: int, base: Style) -> Style:
        if index != self.cursor:
            return base
        return base + self.get_component_rich_style("runs--cursor", partial=True)

    def _segments(self, index: int, texts: Sequence[str], base: Style) -> list[Segment]:
        row, style = self.rows[index], self._row_style(index, base)
        tone = self.get_component_rich_style(f"runs--{self._tone(row)}", partial=True)
        tone = _readable(tone, style)
        segments = []
        for (column, _), text in zip(self._columns, texts, strict=True):
            if column.name in ("mark", "state", "bar"):
                segments.append(Segment(text, style + tone))
            elif column.name == "algorithm":
                colour = Style(color=mark_of(row.algorithm).colour)
                segments += [Segment(text[:1], style + colour), Segment(text[1:], style)]
            else:
                segments.append(Segment(text, style))
            segments.append(Segment(" ", style))
        return segments[:-1]

    def _tone(self, row: Summary) -> str:
        test = self._tests.get(row.id)
        return "live" if test is not None and test.share is not None else TONES.get(row.state, "dim")

    def _refresh_changed(self) -> None:
        """Asks for the regions of visible cells whose text is no longer what was drawn."""
        top = self.scroll_offset.y
        for y in range(1, self.size.height):
            index = top + y - 1
            now = self._texts(index) if index < len(self.rows) else None
            drawn = self._drawn.get(y)
            if now == drawn:
                continue
            # Another mark is another state, whose colour the bar has too.
            if now is None or drawn is None or len(now) != len(drawn) or now[0] != drawn[0]:
                self.refresh(Region(0, y, self.size.width, 1))
                continue
            x = 0
            for (_, width), new, old in zip(self._columns, now, drawn, strict=True):
                if new != old:
                    self.refresh(Region(x, y, width, 1))
                x += width + 1


def _readable(tone: Style, row: Style) -> Style:
    """The tone such as can be read on the row; the terminal's own colours stay."""
    if tone.color is None or row.bgcolor is None or None in (tone.color.triplet, row.bgcolor.triplet):
        return tone
    colour, ground = tone.color.get_truecolor().hex, row.bgcolor.get_truecolor().hex
    return tone + Style(color=readable(colour, (ground,), TEXT))
