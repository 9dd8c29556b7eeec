"""L reads the log of the run that a screen shows, and is greyed where it shows none."""

import asyncio
from pathlib import Path

import pytest
from runs_app import RunsApp, snapshot_of, until
from tested_runs import accuracies, add_result, finished_run
from textual.screen import Screen

from tui.screens.base import PlaceScreen
from tui.screens.log import LogScreen

PLACES = ("bench", "compare", "episode")


def in_place(folder: Path, place: str, run_id: str | None) -> None:
    """Goes there with that run in focus, or none, and presses L."""

    async def main() -> None:
        app = RunsApp(folder)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.pause()
            app.snapshot = snapshot_of(folder)
            app.run_in_focus = run_id
            app.action_go(place)
            await until(pilot, lambda: isinstance(app.screen, PlaceScreen) and place == app.screen.PLACE)
            screen: Screen[object] = app.screen
            assert isinstance(screen, PlaceScreen)
            if run_id is None:
                await pilot.press("L")
                assert app.screen is screen and screen.check_action("log", ()) is None
                return
            await until(pilot, lambda: screen.run_to_read is not None)
            if place == "bench":
                await until(pilot, lambda: app.focused is not None)
            await pilot.press("L")
            await until(pilot, lambda: isinstance(app.screen, LogScreen))
            assert isinstance(app.screen, LogScreen) and app.screen.run_shown.id == run_id
            await pilot.press("escape")
            assert app.screen is screen and screen.check_action("log", ()) is True

    asyncio.run(main())


@pytest.mark.parametrize("place", PLACES)
def test_the_run_shown(tmp_path: Path, place: str) -> None:
    base = accuracies(0.7)
    for algorithm in ("pretrain", "reptile"):
        add_result(finished_run(tmp_path, algorithm), base)
    run = finished_run(tmp_path, "maml")
    add_result(run, accuracies(0.9))
    in_place(tmp_path, place, run.id)


@pytest.mark.parametrize("place", PLACES[1:])
def test_no_run(tmp_path: Path, place: str) -> None:
    in_place(tmp_path, place, None)
