"""Keys that come faster than the threads that carry them out: nothing is lost, and all goes in order."""

import threading
from pathlib import Path

import pytest
from fake_runs import make_run
from runs_app import RunsApp, in_app, shown, until
from textual.pilot import Pilot

from engine.runs import Run, list_runs, remove, undo_remove
from tui.runs import requests
from tui.runs.tail import LogTail, Tail
from tui.screens.log import LogScreen


def test_reading_earlier_while_the_log_is_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, state="finished")
    run.log_path.write_text("".join(f"line {index}\n" for index in range(2000)))
    held, hold = threading.Event(), threading.Event()
    read = LogTail.read

    def slowly(tail: LogTail) -> Tail:
        if hold.is_set():
            held.set()
            hold.clear()
            released.wait(10)
        return read(tail)

    released = threading.Event()
    monkeypatch.setattr(LogTail, "read", slowly)
    monkeypatch.setattr("tui.screens.log.FIRST_BYTES", 4096)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        screen = LogScreen(run)
        screen._log = LogTail(run, 4096)
        await app.push_screen(screen)
        await until(pilot, lambda: len(screen.lines.lines) > 1)
        few = len(screen.lines.lines)
        hold.set()
        screen._read()
        await until(pilot, held.is_set)
        await pilot.press("b")
        released.set()
        await until(pilot, lambda: len(screen.lines.lines) > few + 300, 3.0)

    in_app(tmp_path, act)


def test_a_log_that_grows_is_followed_without_a_change_of_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="finished")
    run.log_path.write_text("one\n")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        app.push_screen(LogScreen(run))
        await until(pilot, lambda: "one" in shown(app))
        run.log_path.write_text("one\ntwo\n")
        await until(pilot, lambda: "two" in shown(app), 4.0)

    in_app(tmp_path, act)


def test_undo_before_the_removal_is_done_puts_back_what_it_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = (make_run(tmp_path, seed=seed, state="finished") for seed in range(2))
    remove(older)
    put_back = threading.Event()

    def slowly(run: Run) -> Path:
        put_back.wait(0.5)  # long enough for an undo that does not wait
        return remove(run)

    def noted(runs_dir: Path, run_id: str | None = None) -> Run:
        put_back.set()
        return undo_remove(runs_dir, run_id)

    monkeypatch.setattr(requests, "remove", slowly)
    monkeypatch.setattr(requests, "undo_remove", noted)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("d", "u")
        await until(pilot, lambda: len(app.told) == 2)
        assert app.told[0].startswith(newer.id) and app.told[1] == f"{newer.id} is back"
        assert [summary.id for summary in list_runs(tmp_path)] == [newer.id]
        await pilot.press("u")
        await until(pilot, lambda: app.told[-1] == f"{older.id} is back")

    in_app(tmp_path, act)
