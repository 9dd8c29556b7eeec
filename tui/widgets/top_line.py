"""The first line: where one is, where one can go, how much is under way."""

from rich.text import Text
from textual.widgets import Static

from tui.output import plain
from tui.snapshot import Snapshot

PLACES = (("bench", "1 Bench"), ("runs", "2 Runs"), ("compare", "3 Compare"), ("episode", "4 Episode"))


class TopLine(Static):
    """One line. Texts from files never become markup."""

    def __init__(self, place: str) -> None:
        super().__init__("", id="top-line")
        self.place = place
        self._shown = ""

    def draw(self, snapshot: Snapshot) -> None:
        """Shows the picture's counts."""
        under_way = snapshot.under_way()
        running = sum(summary.state in ("running", "starting") for summary in under_way)
        words = [f"{running} running"] if running else []
        words += [f"{len(under_way) - running} queued"] if len(under_way) > running else []
        testing = sum(test.share is not None for test in snapshot.tests.values())
        words += [f"{testing} testing"] if testing else []
        right = ", ".join(words) or "nothing under way"
        shown = f"{right}|{self.size.width}"
        if shown == self._shown:
            return
        self._shown = shown
        line = Text(" kshot ", style="bold")
        for name, label in PLACES:
            line.append(f" {label} ", style="reverse" if name == self.place else "")
        gap = max(1, self.size.width - line.cell_len - len(right) - 1)
        line.append(" " * gap + plain(right) + " ")
        self.update(line)

    def on_resize(self) -> None:
        self._shown = ""
        self.call_after_refresh(self.screen.refresh_picture)  # type: ignore[attr-defined]
