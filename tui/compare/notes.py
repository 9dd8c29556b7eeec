"""What stands under the compare screen's table: footnotes and protocol; where asked, the rows at equal
seconds of training."""

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Static

from tui.compare.keys import NOTES_KEYS
from tui.compare.view import View
from tui.keys import place
from tui.output import plain
from tui.protocol_text import protocol_line
from tui.reader import in_one_sentence
from tui.table_notes import Footnotes, remarks

NARROWEST = 40
"""Columns that rows at equal seconds have at the least."""


class Notes(Static, can_focus=True):
    """Takes the focus so that a small terminal can scroll to it; what it lies in scrolls."""

    PLACE = "notes"
    BINDINGS: ClassVar[list[BindingType]] = place(PLACE, NOTES_KEYS)

    class Cut(Message):
        """A view's rows at equal seconds of training, as lines."""

        def __init__(self, view: View, lines: list[str]) -> None:
            super().__init__()
            self.view, self.lines = view, lines

    def __init__(self, *, id: str) -> None:
        super().__init__("", id=id)
        self._shown: list[str] = []
        self._view: View | None = None
        self._said: list[str] = []
        self._cut: Notes.Cut | None = None
        self._has_cut = False

    def show(self, view: View, footnotes: Footnotes) -> None:
        """Shows what is to be said of a view, whose table has these footnotes."""
        self._view = view
        self._said = [*remarks(view.table, footnotes), protocol_line(view.table)]
        self._tell()

    def show_cut(self, runs_dir: Path, shown: bool) -> None:
        """From now on the rows at equal seconds stand first, or not; they are read off the event loop."""
        self._has_cut = shown
        if shown and self._view is not None and not self._is_read:
            self._cut_at_equal_seconds(self._view, runs_dir, max(NARROWEST, self.screen.size.width - 4))
        self._tell()

    @property
    def _is_read(self) -> bool:
        return self._cut is not None and self._cut.view is self._view

    @work(thread=True, exclusive=True, group="compare-cut")
    def _cut_at_equal_seconds(self, view: View, runs_dir: Path, width: int) -> None:
        from engine.runs.equal_seconds import equal_seconds
        from tui.equal_seconds import text

        try:
            lines = text(equal_seconds(view.table, runs_dir), width).split("\n")
        except Exception as fault:  # what it reads are files, which may hold anything
            lines = [in_one_sentence(fault)]
        self.post_message(self.Cut(view, lines))

    def on_notes_cut(self, message: Cut) -> None:
        """Shows what was read, if it is of the view that is shown."""
        if message.view is self._view:
            self._cut = message
            self._tell()

    def _tell(self) -> None:
        """Text from files never becomes markup."""
        first = [*self._cut.lines, ""] if self._has_cut and self._is_read and self._cut is not None else []
        lines = [*first, *self._said]
        if lines != self._shown:
            self._shown = lines
            self.update(Text("\n".join(plain(line) for line in lines)))
