"""The episode screen."""

from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot


class EpisodeScreen(PlaceScreen):
    """To be written."""

    PLACE = "episode"

    def compose_body(self) -> ComposeResult:
        yield Static("episode")

    def draw(self, snapshot: Snapshot) -> None:
        return None
