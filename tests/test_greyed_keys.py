"""A greyed key says why it does nothing; one that something else takes says nothing."""

from pathlib import Path

from fake_runs import make_run
from runs_app import RunsApp, in_app, until
from test_log_screen import in_screen, write_events
from textual.pilot import Pilot

from tui.screens.replay import ReplayScreen
from tui.widgets.chart import Chart
from tui.widgets.key_line import KeyLine


def notices(app: RunsApp) -> list[str]:
    return [each.message for each in app._notifications]


def test_it_is_said_once_and_a_click_asks_too(tmp_path: Path) -> None:
    make_run(tmp_path, state="finished", step=40)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("o", "space", "p", "p")
        assert notices(app) == ["Pause: only runs under way"]
        line = app.screen.query_one(KeyLine)
        before = 0
        for key in line.shown:
            if key.label == "Resume":
                break
            before += key.width
        await pilot.click(KeyLine, offset=(before + 1, 0))
        await until(pilot, lambda: len(notices(app)) > 1)
        assert notices(app)[1] == "Resume: only paused, stopped, crashed, failed"

    in_app(tmp_path, act)


def test_a_key_that_is_greyed_for_the_focus_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="finished", step=100)
    write_events(run)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        screen = app.screen
        assert isinstance(screen, ReplayScreen)
        await until(pilot, lambda: screen.playback is not None)
        chart = screen.query_one("#loss", Chart)
        chart.focus()
        await pilot.press("space", "end", "left")
        assert chart.check_action("pan", (-0.25,)) is None and notices(app) == []
        assert screen.playback is not None and screen.head < screen.playback.length
        await pilot.press("f")
        assert notices(app) == ["Fit: what is there fills the axis"]

    in_screen(tmp_path, ReplayScreen(run), act)
