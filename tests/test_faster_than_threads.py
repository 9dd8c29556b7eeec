"""Keys that come faster than the threads that carry them out: nothing is lost, and all goes in order."""

import asyncio
import gc
import threading
import time
from pathlib import Path

import pytest
from fake_runs import kill, launch, make_run, use_fake_worker, wait_until
from runs_app import RunsApp, in_app, shown, until
from textual.pilot import Pilot

from engine.runs import Run, list_runs, remove, undo_remove
from tui import app as app_module
from tui.app import Workbench
from tui.bench.selection import Selection
from tui.runs import requests
from tui.runs.tail import LogTail, Tail
from tui.screens.bench import BenchScreen
from tui.screens.log import LogScreen
from tui.threads import LEAVING_SECONDS


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


def test_leaving_waits_for_trainings_that_are_being_started_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_fake_worker(monkeypatch, 1000, 0.02)
    pids: list[int] = []

    class Slow:
        """A session whose trainings take longer to begin than other calls are waited for."""

        def __init__(self, *given: object) -> None:
            return

        def begin(self) -> None:
            for seed in range(2):
                time.sleep(0.7 * LEAVING_SECONDS)
                pids.append(launch(tmp_path, seed=seed)[1])
            wait_until(lambda: all(run.status.alive for run in list_runs(tmp_path)))

    async def leave(pilot: Pilot[int]) -> None:
        assert isinstance(pilot.app, Workbench)
        await until(pilot, lambda: isinstance(pilot.app.screen, BenchScreen))
        pilot.app.begin(["sine-10shot", "maml"], Selection().options)
        await pilot.press("q")

    def run_headless(app: Workbench) -> None:
        asyncio.run(app.run_async(headless=True, auto_pilot=leave))

    monkeypatch.setattr("tui.session.Session", Slow)
    monkeypatch.setattr(app_module, "prepare", lambda: None)
    monkeypatch.setattr(Workbench, "run", run_headless)
    try:
        assert app_module.run_workbench(tmp_path, tmp_path) == 0
        assert len(pids) == 2
        said = capsys.readouterr().err
        assert "the trainings are being started" in said and "2 trainings go on" in said
    finally:
        gc.enable()
        for pid in pids:
            kill(pid)
