"""The workbench on its runs screen, fed pictures by the test: no reader's thread, no other screen."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from patience import shown, until
from textual.pilot import Pilot

from engine.runs import asked, list_runs
from tui import app as app_module
from tui.app import Workbench
from tui.reader import Reader
from tui.screens.runs import RunsScreen
from tui.snapshot import Snapshot

__all__ = ["RunsApp", "StillReader", "in_app", "shown", "snapshot_of", "until"]


class StillReader(Reader):
    """A reader that never looks by itself."""

    asked_for: tuple[str, ...] = ()
    """The runs, by id, that it was last asked to watch."""

    def start(self) -> None:
        """Takes no picture."""

    def end(self) -> None:
        """There is nothing to end."""

    def look(self) -> None:
        """Takes no picture."""

    def watch(self, runs: Sequence[str]) -> None:
        """Watches nothing."""
        self.asked_for = tuple(runs)


class RunsApp(Workbench):
    """Opens on the runs screen; collects what it tells."""

    DEFAULT_MODE = "runs"
    CSS_PATH = str(Path(app_module.__file__).with_name("theme.tcss"))

    def __init__(self, runs_dir: Path) -> None:
        super().__init__(runs_dir, runs_dir)
        self.reader = StillReader(runs_dir, lambda picture: None)
        self.told: list[str] = []

    def tell(self, text: str) -> None:
        self.told.append(text)

    def complain(self, text: str) -> None:
        self.told.append(text)

    @property
    def runs(self) -> RunsScreen:
        """The runs screen."""
        assert isinstance(self.screen, RunsScreen)
        return self.screen

    def picture(self) -> None:
        """Looks at the folder and hands the picture to the screen."""
        self.show(snapshot_of(self.runs_dir))

    def show(self, snapshot: Snapshot) -> None:
        """Hands a picture to the screen."""
        self.post_message(Workbench.Pictured(snapshot))


def snapshot_of(runs_dir: Path) -> Snapshot:
    """What the reader would say of the folder now."""
    runs = tuple(reversed(list_runs(runs_dir)))
    waiting = {run.id: frozenset(asked(run.run)) for run in runs if run.status.alive}
    return Snapshot(time.time(), runs, waiting)


Act = Callable[[RunsApp, Pilot[int]], Coroutine[Any, Any, None]]


def in_app(runs_dir: Path, act: Act, size: tuple[int, int] = (120, 36)) -> None:
    """Opens the runs screen on the folder, hands it a picture, and does what the test wants."""

    async def main() -> None:
        app = RunsApp(runs_dir)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            app.picture()
            await until(pilot, lambda: bool(app.snapshot.taken))
            await act(app, pilot)

    asyncio.run(main())
