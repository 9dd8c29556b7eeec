"""The compare screen."""

from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot


class CompareScreen(PlaceScreen):
    """To be written."""

    PLACE = "compare"

    def compose_body(self) -> ComposeResult:
        yield Static("compare")

    def draw(self, snapshot: Snapshot) -> None:
        return None
