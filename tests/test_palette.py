"""The command palette: every function by its name with its key, run when it is chosen."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fake_runs import make_run
from runs_app import RunsApp, in_app, shown, until
from textual.command import CommandInput, CommandList, CommandPalette
from textual.pilot import Pilot

from tui.keys import PLACES, Key
from tui.palette import functions
from tui.screens.help import HelpScreen, key_names
from tui.themes import THEMES


async def opened(pilot: Pilot[int], words: str = "") -> list[str]:
    """Opens the palette, types the words, and returns what is listed."""
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
    screen = pilot.app.screen
    await until(pilot, lambda: screen.query_one(CommandList).option_count > 0)
    if words:
        whole = screen.query_one(CommandList).option_count
        screen.query_one(CommandInput).value = words
        await until(pilot, lambda: 0 < screen.query_one(CommandList).option_count != whole)
    return [str(each.prompt) for each in screen.query_one(CommandList).options]


async def chosen(app: RunsApp, pilot: Pilot[int], words: str) -> None:
    """Runs the first function that the words find."""
    await opened(pilot, words)
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, CommandPalette))
    await pilot.pause()


def test_every_function_of_the_place_and_its_table_and_everywhere_is_listed(tmp_path: Path) -> None:
    make_run(tmp_path, state="finished")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        listed = await opened(pilot)
        heads = [one.splitlines()[0] for one in listed]
        places = ("runs", "runs-table", "run-panel", "everywhere")
        keys: Sequence[Key] = [key for name in places for key in PLACES[name]]
        for key in keys:
            if key.action != "command_palette":
                assert f"{key.label}  {key_names(key)}" in heads, key
        assert [f"Theme {theme.name}" for theme in THEMES] == heads[len(keys) - 1 :][: len(THEMES)]
        # Textual's own, of which ours take the place.
        assert not {"Keys", "Maximize", "Screenshot", "Quit"} & set(heads)
        assert "Pause  p" in shown(app) and "write a checkpoint, end, free the device" in shown(app)

    in_app(tmp_path, act)


def test_what_is_chosen_is_done_in_the_place_its_table_and_the_app(tmp_path: Path) -> None:
    for _ in range(3):
        make_run(tmp_path, state="finished")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        order = app.runs.order
        await chosen(app, pilot, "order")
        assert app.runs.order != order
        await chosen(app, pilot, "last")
        assert app.runs.table.cursor == 2
        await chosen(app, pilot, "light")
        assert app.theme == "kshot-light"
        await chosen(app, pilot, "every key")
        assert isinstance(app.screen, HelpScreen)

    in_app(tmp_path, act)


def test_what_is_not_possible_now_says_why_before_and_after_it_is_chosen(tmp_path: Path) -> None:
    make_run(tmp_path, state="finished")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        found = next(each for each in functions(app.screen) if each.name == "Resume")
        assert not found.possible and "not now: only paused, stopped, crashed, failed" in found.help
        await chosen(app, pilot, "resume")
        assert app.told[-1] == "Resume is not possible now: only paused, stopped, crashed, failed"

    in_app(tmp_path, act)


def test_nothing_is_imported_for_it_before_it_is_opened() -> None:
    code = "import sys, tui.app, tui.screens.bench; sys.exit('tui.palette' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
