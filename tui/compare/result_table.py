"""The compare screen's table."""

from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.widgets import DataTable

from tui.compare.cells import cells, headings
from tui.compare.keys import TABLE_KEYS
from tui.compare.view import View
from tui.keys import place
from tui.table_notes import Footnotes

NARROWEST_LABEL = 20


class ResultTable(DataTable[Text], inherit_bindings=False):
    """A line for each row; columns that do not fit are scrolled to, the labels stay."""

    DEFAULT_CSS = """
    ResultTable > .datatable--header, ResultTable > .datatable--fixed { background: $background; }
    """

    PLACE = "result-table"
    BINDINGS: ClassVar[list[BindingType]] = place(PLACE, TABLE_KEYS)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, fixed_columns=1)
        self._shown: object = None
        self.labels: list[str] = []

    @property
    def selected(self) -> str | None:
        """The label of the row under the cursor."""
        return self.labels[self.cursor_row] if 0 <= self.cursor_row < len(self.labels) else None

    def show(self, view: View, notes: Footnotes) -> None:
        """Draws a view's table, the cursor on the row that it was on; the footnotes are collected."""
        names, lines = headings(view), cells(view, notes)
        most = max(NARROWEST_LABEL, self.app.size.width // 3)
        for line in lines:
            line[0].truncate(most, overflow="ellipsis")
        shown = (names, [[cell.markup for cell in line] for line in lines])
        if shown == self._shown:
            return
        self._shown, kept, across = shown, self.selected, self.scroll_x
        self.clear(columns=True)
        for name in names:
            self.add_column(Text(name, style="bold"))
        for line in lines:
            self.add_row(*line)
        self.labels = [row["label"] for row in view.rows]
        self.move_cursor(row=self.labels.index(kept) if kept in self.labels else 0, animate=False)
        self.scroll_to(x=across, animate=False)
