"""What the columns of the bench are made of: titled texts, and what a task looks like before it is run."""

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static

from tui.charts.series import Series
from tui.output import cells
from tui.widgets.images import Group


class Panel(Static):
    """A titled text that is sent to the terminal only when it changed."""

    def __init__(self, title: str, id: str) -> None:
        super().__init__("", id=id, markup=False, classes="panel")
        self.border_title = title
        self.display = False
        self.shown: Text | None = None

    def put(self, text: Text | None) -> None:
        """Shows the text; nothing at all for None."""
        if text == self.shown:
            return
        before, self.shown = self.shown, text
        self.display = text is not None
        if text is not None:
            width = self.content_size.width
            # Laying out the screen anew costs more than all of a frame's drawing.
            alike = before is not None and fill(before, width) == fill(text, width)
            self.update(text, layout=not alike)


def fill(text: Text, width: int) -> list[list[int]]:
    """What tells a text's height at that width: how wide the words are of those lines that are wrapped."""
    lines = text.plain.split("\n")
    return [[] if cells(line) <= width else [cells(word) for word in line.split(" ")] for line in lines]


class Preview:
    """What the lower chart shows of a task before anything runs: waves, or a text and images."""

    def __init__(
        self, title: str, curves: Sequence[Series] = (), text: str = "", groups: Sequence[Group] = ()
    ) -> None:
        self.title, self.curves, self.text, self.groups = title, tuple(curves), text, tuple(groups)
