"""The help: every key of a place and of everywhere, what is greyed and why, at every size."""

from pathlib import Path

import pytest
from fake_runs import make_run
from rich.console import Console
from rich.text import Text
from runs_app import Act, RunsApp, in_app, shown, until
from textual.containers import VerticalScroll
from textual.pilot import Pilot

from tui.keys import EVERYWHERE, PLACES
from tui.runs.keys import PANEL_KEYS
from tui.runs.table import KEYS as TABLE_KEYS
from tui.screens.help import HelpScreen, hanging, help_text, key_names
from tui.screens.log import LogScreen
from tui.screens.runs import KEYS


def in_help(runs_dir: Path, act: Act, size: tuple[int, int] = (120, 36)) -> None:
    """Opens the help over the runs screen."""

    async def over(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.pause()
        await act(app, pilot)

    in_app(runs_dir, over, size)


def test_every_key_of_the_place_and_of_everywhere_is_listed(tmp_path: Path) -> None:
    make_run(tmp_path, state="finished")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        told = help_text("runs", app.screen_stack[-2]).plain
        for key in (*KEYS, *TABLE_KEYS, *PANEL_KEYS, *EVERYWHERE):
            assert f"{key_names(key)} " in told and f"{key.label}: {key.help}" in told, key
        assert told.count("Everywhere") == 1

    in_help(tmp_path, act)


def test_what_is_greyed_says_why(tmp_path: Path) -> None:
    make_run(tmp_path, state="finished", step=40)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        lines = help_text("runs", app.screen_stack[-2]).plain.splitlines()
        after = {line.split("  ")[0]: lines[index + 1] for index, line in enumerate(lines[:-1])}
        assert "not now: only runs under way" in after["p"]
        assert "not now" not in after["f"]

    in_help(tmp_path, act)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60), (40, 12)])
def test_all_of_it_can_be_scrolled_into_view(tmp_path: Path, size: tuple[int, int]) -> None:
    make_run(tmp_path, state="finished")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        seen = shown(app)
        box = app.screen.query_one(VerticalScroll)
        for _ in range(100):
            await pilot.press("j")
            seen += shown(app)
        assert box.scroll_offset.y == box.max_scroll_y
        for words in ("Pause:", "Remove:", "Order:", "Leave at once:", "without a word"):
            assert words in seen, words
        await pilot.press("k")
        assert box.scroll_offset.y <= box.max_scroll_y

    in_help(tmp_path, act, size)


def test_what_goes_on_in_another_line_stands_under_the_words() -> None:
    told = Text("Bench\nspace      Choose: choose the algorithm under the cursor\n           not now")
    assert hanging(told, 40, Console()).plain.split("\n") == [
        "Bench",
        "space      Choose: choose the algorithm",
        "           under the cursor",
        "           not now",
    ]


@pytest.mark.parametrize("key", ["escape", "question_mark", "q"])
def test_it_closes(tmp_path: Path, key: str) -> None:
    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press(key)
        assert app.runs

    in_help(tmp_path, act)


def test_a_screen_over_the_place_has_its_own_help(tmp_path: Path) -> None:
    make_run(tmp_path, state="finished")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("escape", "L")
        assert isinstance(app.screen, LogScreen)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        told = help_text("log", app.screen_stack[-2]).plain
        assert all(key.help in told for key in PLACES["log"])
        assert "Search: words in the lines" in shown(app)

    in_help(tmp_path, act)
