"""A run's log and its events as lines, searched, followed while the run goes on."""

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static

from engine.runs import Run
from tui.keys import Key, place
from tui.offers import Offer, last_lines
from tui.output import plain
from tui.runs.lines import Lines
from tui.runs.tail import FIRST_BYTES, MOST_BYTES, EventTail, LogTail, Tail
from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot, state_word

KEYS = (
    Key("tab", "other", "Log or events", "what the worker printed, or what it recorded"),
    Key("slash", "find", "Search", "words in the lines"),
    Key("n", "next(1)", "Next", "the next line found", "nothing is searched for"),
    Key("N", "next(-1)", "Before", "the line found before", "nothing is searched for"),
    Key("b", "earlier", "Earlier", "read further back", "nothing earlier, or no more is read here"),
    Key("g,home", "edge(0)", "First", "the first line", in_footer=False),
    Key("G,end", "edge(1)", "Last", "the last line; it is followed from there", in_footer=False),
    Key("j,down", "line(1)", "Down", "a line down", in_footer=False),
    Key("k,up", "line(-1)", "Up", "a line up", in_footer=False),
    Key("pagedown", "page(1)", "Page down", "a page of lines down", in_footer=False),
    Key("pageup", "page(-1)", "Page up", "a page of lines up", in_footer=False),
    Key("right", "across(1)", "Right", "what stands right of the window", in_footer=False),
    Key("left", "across(-1)", "Left", "what stands left of it", in_footer=False),
    Key("escape", "back", "Back", "end the search, then leave"),
)


COLUMNS = 8
"""How far a key goes to the side."""
LOOK_EVERY = 1.0
"""Seconds between looks at the files while the screen is shown."""


class LogScreen(PlaceScreen):
    """`log.txt` or the events of one run. Files are read from their end, off the event loop."""

    PLACE = "log"
    BINDINGS: ClassVar[list[BindingType]] = place(PLACE, KEYS)
    DEFAULT_CSS = """
    LogScreen #heading { height: 1; color: $secondary; text-wrap: nowrap; text-overflow: ellipsis; }
    LogScreen Input { height: 1; border: none; padding: 0 1; background: $panel; display: none; }
    LogScreen Input.open { display: block; }
    LogScreen Input:focus { border: none; }
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run_shown = run
        self.showing = "log"
        self._tails: dict[str, Tail] = {}
        self._log, self._events = LogTail(run), EventTail(run)
        self._bytes = FIRST_BYTES
        self._reading, self._again = False, False
        self._chosen = False
        self._read_at: tuple[object, ...] | None = None

    def compose_body(self) -> ComposeResult:
        yield Static("", id="heading")
        yield Lines()
        yield Input(placeholder="words to search for", id="search")

    def on_mount(self) -> None:
        self.lines.focus()
        self._read()
        # A log grows without a change in the run's state, so that no new picture tells of it.
        self.set_interval(LOOK_EVERY, self._look_again)

    def _look_again(self) -> None:
        if self.is_current:
            self._read()

    @property
    def lines(self) -> Lines:
        """The lines."""
        return self.query_one(Lines)

    def draw(self, snapshot: Snapshot) -> None:
        """Reads again when the run has moved."""
        self._draw_heading()
        run = snapshot.run(self.run_shown.id)
        now = (run.state, run.status.updated) if run else None
        if now != self._read_at:
            self._read_at = now
            self._read()

    def _read(self) -> None:
        """Reads on, one thread at a time; what is asked for meanwhile follows."""
        self._again = self._reading
        if not self._reading:
            self._reading = True
            self._read_off_loop(self._log, self._events, self._tails)

    @work(thread=True, group="read")
    def _read_off_loop(self, log: LogTail, events: EventTail, before: dict[str, Tail]) -> None:
        tails = {"log": log.read(), "events": events.read()}
        self.app.call_from_thread(self._have_read, before if tails == before else tails)

    def _have_read(self, tails: dict[str, Tail]) -> None:
        self._reading = False
        if not self.is_attached:
            return
        if self._again:
            self._read()
        if tails is self._tails:
            return  # nothing was written since
        self._tails = tails
        if not self._chosen and not tails["log"].lines:
            self.showing = "events"  # a run that went well prints nothing
        self._chosen = True
        self._show()

    def _show(self, to_end: bool = False) -> None:
        tail = self._tails.get(self.showing, Tail())
        above = [tail.first_line] if tail.first_line else []
        below = [tail.fault] if tail.fault else []
        nothing = ["the worker printed nothing"] if not tail.lines and not tail.fault else []
        around = [*above, *below, *nothing]
        width = max(tail.width, *(cell_len(line) for line in around), 0)
        self.lines.show((*above, *tail.lines, *below, *nothing), width, to_end=to_end)
        self._draw_heading()
        self.refresh_bindings()

    def _draw_heading(self) -> None:
        run = self.workbench.snapshot.run(self.run_shown.id)
        heading = Text()
        for name in ("log", "events"):
            tail = self._tails.get(name)
            count = f" {len(tail.lines):,} lines" if tail else " reading"
            heading.append(f" {name}{count} ", style="reverse" if name == self.showing else "")
        words = self.lines.words
        found = f"   search: {words}" if words else ""
        state = f", {state_word(run.status)}" if run else ""
        heading.append(plain(f"  {self.run_shown.id}{state}{found}"))
        self.query_one("#heading", Static).update(heading)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """None, greyed, where there is nothing to search for or to read."""
        if action == "next":
            return bool(self.query(Lines) and self.lines.words) or None
        if action == "earlier":
            return (any(tail.before for tail in self._tails.values()) and self._bytes < MOST_BYTES) or None
        return True

    def action_other(self) -> None:
        """The log, or the events."""
        self.showing = "events" if self.showing == "log" else "log"
        self._show(to_end=True)

    def action_find(self) -> None:
        """Opens the search."""
        line = self.query_one(Input)
        line.add_class("open")
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Marks what is found while one types."""
        self.lines.search(plain(event.value))
        self._draw_heading()

    def on_input_submitted(self) -> None:
        """Goes to the first line found."""
        self._close_search()
        self.action_next(1)
        self.refresh_bindings()

    def action_next(self, direction: int) -> None:
        """The next line found, or the one before."""
        if self.lines.words and not self.lines.go(direction):
            self.workbench.tell(f"no line has {self.lines.words}")

    def action_earlier(self) -> None:
        """Reads twice as much of the files' ends."""
        self._bytes = min(2 * self._bytes, MOST_BYTES)
        self._log = LogTail(self.run_shown, self._bytes)
        self._events = EventTail(self.run_shown, self._bytes)
        self._read()

    def action_edge(self, end: int) -> None:
        """The first line, or the last."""
        if end:
            self.lines.scroll_end(animate=False, x_axis=False)
        else:
            self.lines.scroll_home(animate=False, x_axis=False)

    def action_line(self, lines: int) -> None:
        """A line down or up."""
        self.lines.scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """A page down or up."""
        self.lines.scroll_relative(y=pages * self.lines.size.height, animate=False)

    def action_across(self, direction: int) -> None:
        """Some columns to the right or to the left."""
        self.lines.scroll_relative(x=direction * COLUMNS, animate=False)

    def action_back(self) -> None:
        """Ends the search, or leaves."""
        if self.query_one(Input).has_class("open") or self.lines.words:
            self.query_one(Input).value = ""
            self.lines.search("")
            self._close_search()
            self._draw_heading()
            self.refresh_bindings()
        else:
            self.dismiss(None)

    def _close_search(self) -> None:
        self.query_one(Input).remove_class("open")
        self.lines.focus()

    def text_to_copy(self) -> Offer:
        """The line that the search stands on, or the last lines that were read."""
        lines = self.lines.lines
        return Offer(lines[self.lines.here]) if self.lines.here is not None else last_lines(lines)
