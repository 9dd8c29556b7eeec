"""Columns side by side, or one at a time under their names where there are few cells; moving among them."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.base import PlaceScreen

NARROW = 100


class ColumnScreen(PlaceScreen):
    """A screen of columns; `columns` gives them, `NAMES` their (id, name) in the same order."""

    NAMES: tuple[tuple[str, str], ...] = ()
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (Screen declares it without ClassVar)
        (0, "-narrow"),
        (NARROW, "-wide"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.column = 0

    def compose_body(self) -> ComposeResult:
        yield Static("", id="columns")
        with Horizontal(id="bench"):
            yield from self.columns()

    @abstractmethod
    def columns(self) -> Iterator[Widget]:
        """The columns from left to right."""

    def on_mount(self) -> None:
        self.show_column(self.column)

    def on_resize(self) -> None:
        self.show_column(self.column)

    def show_column(self, column: int) -> None:
        """At few cells shows only this column, its name marked above it."""
        self.column = column
        narrow = self.size.width < NARROW
        for index, (name, _) in enumerate(self.NAMES):
            self.query_one(f"#{name}").display = not narrow or index == column
        line = Text(" ")
        for index, (_, label) in enumerate(self.NAMES):
            line.append(f" {label} ", style="reverse" if index == column else "").append(" ")
        line.append("  tab, [ and ] change", style="dim")
        names = self.query_one("#columns", Static)
        names.display = narrow
        names.update(line)

    def on_descendant_focus(self) -> None:
        """Remembers the column of what has the focus, for when the window becomes narrow."""
        above = [node.id for node in self.focused.ancestors] if self.focused is not None else []
        for index, (name, _) in enumerate(self.NAMES):
            if name in above:
                self.column = index

    def panels(self, column: int) -> list[Widget]:
        """What can have the focus in a column, in order."""
        inside = self.query_one(f"#{self.NAMES[column][0]}")
        found = [node for node in inside.walk_children(Widget, with_self=True) if node.can_focus]
        return [node for node in found if all(part.display for part in _up_to(node, inside))]

    def action_panel(self, direction: int) -> None:
        """The next thing that can have the focus, into the next column after a column's last."""
        order = [(column, node) for column in range(len(self.NAMES)) for node in self.panels(column)]
        at = next((index for index, (_, node) in enumerate(order) if node is self.focused), -1)
        if order:
            self.go_to(*order[(at + direction) % len(order)])

    def action_column(self, direction: int) -> None:
        """The next column's first panel."""
        column = (self.column + direction) % len(self.NAMES)
        self.go_to(column, next(iter(self.panels(column)), None))

    def go_to(self, column: int, panel: Widget | None) -> None:
        """Shows a column and gives one of its panels the focus."""
        if self.size.width >= NARROW:
            # All columns are in sight: there is nothing to lay out anew, which would take longest of all.
            self.column = column
            if panel is not None:
                panel.focus()
            return
        self.show_column(column)
        if panel is not None:
            self.set_focus(panel)


def _up_to(node: Widget, top: Widget) -> list[Widget]:
    """The node and what holds it, below `top`, which may be out of sight itself."""
    found: list[Widget] = []
    current: Any = node
    while current is not None and current is not top:
        found.append(current)
        current = current.parent
    return found
