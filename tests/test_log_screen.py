"""The log of a run and its replay: what files of any kind hold, read from their ends, played and sought."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_run
from runs_app import Act, RunsApp, in_app, shown, until
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from engine.runs import EventWriter, Run
from engine.runs.columns import HistoryReader
from tui.runs.playback import Playback
from tui.runs.tail import EventTail, LogTail
from tui.screens.log import LogScreen
from tui.screens.replay import ReplayScreen

SIZES = ((80, 24), (120, 36), (200, 60))


def in_screen(runs_dir: Path, screen: Screen[None], act: Act, size: tuple[int, int] = (120, 36)) -> None:
    """Opens a screen over the runs screen."""

    async def over(app: RunsApp, pilot: Pilot[int]) -> None:
        app.push_screen(screen)
        await pilot.pause()
        await act(app, pilot)

    in_app(runs_dir, over, size)


def write_events(run: Run, steps: int = 100, start: float = 1000.0, pause: float = 0.0) -> None:
    """A record a second; a validation every ten; after the half of them a pause."""
    lines = [{"seq": 1, "time": start, "kind": "phase", "name": "training"}]
    for step in range(1, steps + 1):
        at = start + step + (pause if step > steps // 2 else 0.0)
        lines.append({"seq": 2 * step, "time": at, "kind": "train", "step": step, "outer_loss": 2.0 / step}
            | {"support_loss": [1.0, 1.0 / step]})
        if step % 10 == 0:
            metric = [0.2, step / steps]
            lines.append(
                {"seq": 2 * step + 1, "time": at, "kind": "validation", "step": step, "steps": [0, 1]}
                | {"metric": metric, "ci95": [0.01, 0.01], "best": True}
            )
    run.events_path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_fits(run: Run, steps: tuple[int, ...]) -> None:
    """Fits of a sine task beside them, each off by as much as its step says."""
    with EventWriter(run.events_path) as events:
        for step in steps:
            given = {"x": [0.0, 1.0], "truth": [0.0, 1.0], "support_x": [0.5], "support_y": [0.5]}
            events.append("fit", step=step, **given, steps=[0, 1], predictions=[[9.0, 9.0], [step, step]])


# Reading


def test_a_log_is_read_from_its_end_and_further_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)
    run.log_path.write_text("".join(f"line {index}\n" for index in range(1000)))
    tail = LogTail(run, 100).read()
    assert tail.lines[-1] == "line 999" and tail.lines[0].startswith("line ") and len(tail.lines) == 11
    assert tail.before == run.log_path.stat().st_size - 11 * 9
    assert tail.first_line is not None and "b reads earlier" in tail.first_line
    whole = LogTail(run, 10**6).read()
    assert len(whole.lines) == 1000 and whole.first_line is None
    assert (tail.width, LogTail(run, 3000).read().width) == (8, 8)
    monkeypatch.setattr("tui.runs.tail.MOST_BYTES", 100)
    most = LogTail(run, 100).read().first_line
    assert most is not None and "b reads" not in most and "no more than" in most
    run.log_path.write_text("日本\nabc\n")
    assert LogTail(run).read().width == 4, "columns of the terminal, not letters"


def test_a_log_is_followed_and_a_new_one_begun_anew(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.log_path.write_bytes(b"one\r\ntw")
    tail = LogTail(run)
    assert tail.read().lines == ("one", "tw")
    with run.log_path.open("ab") as file:
        file.write(b"o\n\x1b[31mred\xff\n")
    assert tail.read().lines == ("one", "two", "[31mred\ufffd")
    assert tail.read().lines == ("one", "two", "[31mred\ufffd")
    run.log_path.write_text("new\n")
    assert tail.read().lines == ("new",)
    run.log_path.unlink()
    assert tail.read().fault == "there is no log.txt"
    run.log_path.mkdir()
    assert "cannot be read" in (tail.read().fault or "")


def test_events_are_lines_and_broken_ones_say_so(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    tail = EventTail(run)
    assert tail.read().fault == "there is no events.jsonl"
    with EventWriter(run.events_path) as writer:
        writer.append("phase", name="[b]training[/b]")
        writer.append("validation", step=10, steps=[0, 1], metric=[0.9, 0.5], ci95=[0.1, 0.1], best=True)
        writer.append("validation", step=20, metric="much")
        writer.append("note", text="a\x1b[2Jb")
    first = tail.read().lines
    assert first[0].endswith("[b]training[/b]") and "best so far" in first[1]
    assert "a validation event that cannot be read" in first[2] and "\x1b" not in first[3]
    with run.events_path.open("a") as file:
        file.write('{"seq": 9, "time": "x", "kind": "resumed", "step": 10}\n{"seq": 10, "ki')
    assert tail.read().lines[:-1] == first and tail.read().lines[-1].endswith("resumed")


# The log's screen


@pytest.mark.parametrize("size", SIZES[:1])
def test_search_next_and_before(tmp_path: Path, size: tuple[int, int]) -> None:
    run = make_run(tmp_path, state="failed")
    run.log_path.write_text("".join(f"line {index} [i]x[/i]\n" for index in range(200)))

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        screen = app.screen
        assert isinstance(screen, LogScreen)
        await until(pilot, lambda: "line 199 [i]x[/i]" in shown(app))
        assert screen.check_action("next", (1,)) is None
        await pilot.press("slash")
        screen.query_one(Input).value = "line 4"
        await pilot.press("enter")
        assert screen.lines.here == 4 and "line 4 [i]" in shown(app)
        await pilot.press("n")
        assert screen.lines.here == 40
        await pilot.press("N", "N")
        assert screen.lines.here == 49
        await pilot.press("escape")
        assert isinstance(app.screen, LogScreen) and not screen.lines.words
        await pilot.press("slash")
        screen.query_one(Input).value = "nothing"
        await pilot.press("enter")
        assert app.told == ["no line has nothing"]
        await pilot.press("escape", "escape")
        assert app.runs

    in_screen(tmp_path, LogScreen(run), act, size)


def test_the_end_is_followed_unless_one_looks_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.offers.MOST_ROWS", 10)
    run = make_run(tmp_path, state="failed")
    run.log_path.write_text("".join(f"line {index}\n" for index in range(100)))

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        screen = app.screen
        assert isinstance(screen, LogScreen)
        await until(pilot, lambda: "line 99" in shown(app))
        with run.log_path.open("a") as file:
            file.write("newest\n")
        screen._read()
        await until(pilot, lambda: "newest" in shown(app))
        await pilot.press("g", "j", "k")
        with run.log_path.open("a") as file:
            file.write("later\n")
        screen._read()
        await until(pilot, lambda: "later" in screen.lines.lines)
        assert "line 0" in shown(app) and "later" not in shown(app)
        await pilot.press("G")
        await until(pilot, lambda: "later" in shown(app))
        screen.action_page(-1)
        await until(pilot, lambda: "later" not in shown(app))
        await pilot.press("y")
        assert app.told == ["copied the last 10 of 102 lines"]
        last = [*(f"line {index}" for index in range(92, 100)), "newest", "later"]
        assert app.clipboard.split("\n") == last

    in_screen(tmp_path, LogScreen(run), act)


def test_tab_shows_the_events_and_b_reads_earlier(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="finished")
    write_events(run)
    run.log_path.write_text("".join(f"line {index}\n" for index in range(2000)))

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        screen = app.screen
        assert isinstance(screen, LogScreen)
        await until(pilot, lambda: "log 2,000 lines" in shown(app))
        assert screen.check_action("earlier", ()) is None
        screen._bytes = 4096
        screen._log = LogTail(run, 4096)
        screen._read()
        await until(pilot, lambda: "before this" in screen.lines.lines[0])
        fewer = len(screen.lines.lines)
        await pilot.press("b")
        await until(pilot, lambda: len(screen.lines.lines) > fewer)
        await pilot.press("tab")
        await until(pilot, lambda: "best so far" in shown(app))

    in_screen(tmp_path, LogScreen(run), act)


def test_a_run_that_printed_nothing_shows_its_events(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="finished")
    write_events(run)
    run.log_path.write_text("")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "best so far" in shown(app))
        await pilot.press("tab")
        await until(pilot, lambda: "the worker printed nothing" in shown(app))

    in_screen(tmp_path, LogScreen(run), act)


# Replay


def test_the_clock_of_a_replay_leaves_out_pauses(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_events(run, pause=3600.0)
    playback = Playback(HistoryReader(run).read(10.0))
    assert playback.length == pytest.approx(99.0, abs=2.0)
    assert np.all(np.diff(playback.history.train_at) >= 0) and playback.trained(-1.0) == 0
    assert playback.iteration(playback.length) == 100
    loss, before, after = playback.values(playback.length)
    assert (loss, before, after) == (pytest.approx(0.02), pytest.approx(0.2), pytest.approx(1.0))
    half = playback.validation_series("maml", playback.length / 2)[0]
    write_fits(run, (10, 40, 90))
    fits = Playback(HistoryReader(run).read())
    predicted = [
        [curve.y[0] for curve in fits.fit("maml", share * fits.length) if curve.name == "after 1"]
        for share in (0.0, 0.3, 0.55, 1.0)
    ]
    assert predicted == [[], [10], [40], [90]], "the last fit by then"
    assert len(half.x) == 5 and half.low is not None and half.low[0] == pytest.approx(0.09)


@pytest.mark.parametrize("size", SIZES)
def test_a_replay_plays_holds_seeks_and_changes_speed(tmp_path: Path, size: tuple[int, int]) -> None:
    run = make_run(tmp_path, state="finished", step=100)
    write_events(run)
    write_fits(run, (10, 90))

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        screen = app.screen
        assert isinstance(screen, ReplayScreen)
        await until(pilot, lambda: screen.playback is not None and screen.head > 0)
        assert screen.playing and screen.speed == 5
        await pilot.press("space", "0")
        assert not screen.playing and screen.head == 0 and "‖ ×5" in shown(app)
        await pilot.press("right", "right")
        assert screen.playback is not None
        assert screen.head == pytest.approx(0.1 * screen.playback.length)
        await pilot.pause()
        assert "iteration 10 of" in shown(app)
        await pilot.press("left")
        assert screen.head == pytest.approx(0.05 * screen.playback.length)
        await pilot.press("plus", "plus", "minus")
        assert screen.speed == 10
        await pilot.press(*["plus"] * 12)
        assert screen.speed == 1000
        inner = screen.query_one("#inner")
        assert inner.display == (size[0] > 100) and ("Inner loop, " in shown(app)) == inner.display
        if inner.display:
            assert "now, 5" in shown(app) and "now, 100" not in shown(app)
        await pilot.press("end")
        await pilot.pause()
        assert "iteration 100 of" in shown(app)
        if inner.display:
            assert "now, 100" in shown(app) and "20.0 % → 100.0 %  (+80.0) after 1 step" in shown(app)
            assert "One validation task" in shown(app)
        if size[0] < 100:
            assert "Outer loss" in shown(app) and screen.check_action("inner", ()) is True
            await pilot.press("w")
            await until(pilot, lambda: "now, 100" in shown(app) and "(+80.0) after 1 step" in shown(app))
            assert "Outer loss" not in shown(app)
            await pilot.press("w")
            await until(pilot, lambda: "Outer loss" in shown(app) and "now, 100" not in shown(app))
        else:
            assert screen.check_action("inner", ()) is None
        await pilot.press(*["minus"] * 5, "space")
        assert screen.playing and screen.head < screen.playback.length
        await pilot.press(*["plus"] * 5)
        await until(pilot, lambda: not screen.playing)
        assert screen.head == screen.playback.length
        await pilot.press("escape")
        assert app.runs

    in_screen(tmp_path, ReplayScreen(run, "accuracy"), act, size)


@pytest.mark.parametrize(
    "text", [None, "", "{half", '{"seq": 1, "time": 1e999, "kind": "train", "step": 1}\n']
)
def test_what_cannot_be_played_says_so(tmp_path: Path, text: str | None) -> None:
    run = make_run(tmp_path, state="failed")
    if text is not None:
        run.events_path.write_text(text)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        screen = app.screen
        assert isinstance(screen, ReplayScreen)
        await until(pilot, lambda: "nothing was recorded that could be played" in shown(app))
        assert screen.check_action("play", ()) is None
        await pilot.press("space", "left", "right", "plus", "minus", "0", "end")
        said = [each.message for each in app._notifications]
        assert said[0] == "Play or pause: nothing was recorded that could be played" and len(said) == 7
        await pilot.press("escape")
        assert app.runs and not app.query(Input).filter(".open")

    in_screen(tmp_path, ReplayScreen(run), act)
