"""The runs screen."""

from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot


class RunsScreen(PlaceScreen):
    """To be written."""

    PLACE = "runs"

    def compose_body(self) -> ComposeResult:
        yield Static("runs")

    def draw(self, snapshot: Snapshot) -> None:
        return None
