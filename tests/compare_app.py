"""The compare screen over a runs folder: its view alone, and the app with a pilot."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from patience import until
from textual.pilot import Pilot

from engine.runs import list_runs
from engine.runs.standings import Standings
from tui.app import Workbench
from tui.compare.view import View, view_of
from tui.screens.compare import CompareScreen

Look = Callable[[Workbench, Pilot[int]], Awaitable[None]]


def view(runs: Path, baseline: str | None = None) -> View:
    """The folder's first table."""
    found = Standings().look(list_runs(runs))
    assert found is not None
    made = view_of(found, None, None, baseline)
    assert made is not None
    return made


def shown(runs: Path, look: Look, size: tuple[int, int] = (120, 36)) -> None:
    """Opens the compare screen, waits for its table, and lets `look` judge."""

    async def go() -> None:
        app = Workbench(runs, runs.parent / "data")
        async with app.run_test(size=size) as pilot:
            await pilot.press("3")
            await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.view is not None)
            await pilot.pause()
            await look(app, pilot)

    asyncio.run(go())
