"""ctrl+q leaves from everywhere, whatever has the focus; T goes through the themes."""

from pathlib import Path

import pytest
from fake_runs import make_run
from runs_app import RunsApp, in_app, until
from textual.pilot import Pilot
from textual.theme import BUILTIN_THEMES
from textual.widgets import Input

from tui.runs.away import AwayCard
from tui.themes import CYCLE, THEMES

INPUTS = (["slash"], ["f"], ["f", "tab"], ["L", "slash"])
CARDS = (["question_mark"], ["L"], ["R"], ["ctrl+p"], ["L", "question_mark"])


def leaves(runs_dir: Path, keys: list[str], *, typing: bool) -> None:
    """Presses the keys, then ctrl+q, and waits for the end."""
    make_run(runs_dir, state="finished", step=40)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        assert app.screen is not app.screen_stack[0] or typing
        if typing:
            await until(pilot, lambda: isinstance(app.focused, Input))
            await pilot.press("a")
        left: list[int] = []
        exit_ = app.exit
        app.exit = lambda *given, **more: (left.append(1), exit_(*given, **more))[1]  # type: ignore[func-returns-value,method-assign]
        await pilot.press("ctrl+q")
        await until(pilot, lambda: bool(left))

    in_app(runs_dir, act)


@pytest.mark.parametrize("keys", INPUTS, ids="+".join)
def test_ctrl_q_leaves_from_a_line_of_text(tmp_path: Path, keys: list[str]) -> None:
    leaves(tmp_path, keys, typing=True)


@pytest.mark.parametrize("keys", CARDS, ids="+".join)
def test_ctrl_q_leaves_from_a_card(tmp_path: Path, keys: list[str]) -> None:
    leaves(tmp_path, keys, typing=False)


def test_ctrl_q_leaves_from_the_card_that_any_key_puts_away(tmp_path: Path) -> None:
    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        left: list[int] = []
        exit_ = app.exit
        app.exit = lambda *given, **more: (left.append(1), exit_(*given, **more))[1]  # type: ignore[func-returns-value,method-assign]
        await app.push_screen(AwayCard(("While you were away: nothing.",)))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: bool(left))

    in_app(tmp_path, act)


def test_a_key_goes_through_the_themes_and_comes_round(tmp_path: Path) -> None:
    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        seen = []
        for _ in CYCLE:
            seen.append(app.theme)
            await pilot.press("T")
            await until(pilot, lambda: app.told[-1:] == [f"theme {app.theme}"])
        assert seen == [theme.name for theme in THEMES] + ["ansi-dark", "ansi-light"]
        assert app.theme == seen[0]
        app.theme = next(name for name in BUILTIN_THEMES if name not in CYCLE)
        await pilot.press("T")
        await until(pilot, lambda: app.theme == CYCLE[0])
        assert set(BUILTIN_THEMES) <= set(app.available_themes), "the palette has the others"

    in_app(tmp_path, act)
