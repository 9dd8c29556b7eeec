"""What all four screens share: the line at the top, the keys at the bottom, and the picture they draw."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.screen import Screen

from tui.compositing import SparingCompositor
from tui.snapshot import Snapshot
from tui.widgets.key_line import KeyLine
from tui.widgets.top_line import TopLine

if TYPE_CHECKING:
    from engine.runs import Run
    from tui.app import Workbench


class PlaceScreen(Screen[None]):
    """A screen of the workbench. `compose_body` gives what stands between top line and footer; `draw` is
    called with every new picture while the screen is shown, and when it is shown again."""

    PLACE = ""
    _theme = ""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = SparingCompositor()

    @property
    def workbench(self) -> "Workbench":
        """The app, with its own type."""
        return cast("Workbench", self.app)

    def compose(self) -> ComposeResult:
        yield TopLine(self.PLACE)
        yield from self.compose_body()
        yield KeyLine()

    @abstractmethod
    def compose_body(self) -> ComposeResult:
        """The screen's own widgets."""

    @abstractmethod
    def draw(self, snapshot: Snapshot) -> None:
        """Shows a new picture."""

    def draw_anew(self) -> None:
        """Draws what `draw` would leave as it is: the theme has changed."""

    @property
    def runs_to_watch(self) -> Sequence[str] | None:
        """The runs, by id, whose histories it draws; None where it draws none, and what another screen needs
        may stay."""
        return None

    def ask_for_histories(self) -> None:
        """Has the reader read the histories that it draws, if it is the screen that is shown: one that is not
        may be told of its own doings too. Before the first picture there is nothing to read."""
        runs = self.runs_to_watch
        if runs is not None and self.is_current and self.workbench.snapshot.taken:
            self.workbench.reader.watch(runs)

    @property
    def run_to_read(self) -> "Run | None":
        """The run whose log can be read from here."""
        return None

    def action_log(self) -> None:
        """Its log and events."""
        run = self.run_to_read
        if run is not None:
            from tui.screens.log import LogScreen

            self.app.push_screen(LogScreen(run))

    def on_mount(self) -> None:
        self.refresh_picture()

    def on_screen_resume(self) -> None:
        self.refresh_picture()

    def refresh_picture(self) -> None:
        """Draws the newest picture at once; in another theme than before everything."""
        before, self._theme = self._theme, self.app.theme
        if before not in ("", self._theme):
            self.draw_anew()
        self.query_one(TopLine).draw(self.workbench.snapshot)
        self.draw(self.workbench.snapshot)
        self.ask_for_histories()
