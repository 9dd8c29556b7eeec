"""The bench screen."""

from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot


class BenchScreen(PlaceScreen):
    """To be written."""

    PLACE = "bench"

    def compose_body(self) -> ComposeResult:
        yield Static("bench")

    def draw(self, snapshot: Snapshot) -> None:
        return None
