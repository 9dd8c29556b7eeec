"""What the app asks of runs is done although one leaves; faults of the looking are told wherever one is."""

import asyncio
import gc
import threading
import time
from pathlib import Path

import pytest
from fake_runs import kill, launch, make_run, use_fake_worker, wait_until
from runs_app import RunsApp, in_app, until
from textual.pilot import Pilot

from engine.errors import RequestError
from engine.runs import list_runs
from tui import app as app_module
from tui.app import Workbench
from tui.faults_told import AGAIN_SECONDS, FaultsTold
from tui.screens.log import LogScreen
from tui.snapshot import SessionNow, Snapshot


def test_a_fault_is_told_once_while_it_stands_or_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told = FaultsTold()
    seen = ("a", "a", None, "a", "b", None, "b")
    assert [told.is_news(fault) for fault in seen] == [True, False, False, False, True, False, False]
    now[0] += AGAIN_SECONDS
    assert [told.is_news(fault) for fault in ("b", None, "b")] == [False, False, True]


def test_faults_of_one_picture_are_told_on_every_screen_and_a_key_leads_back_to_the_place(
    tmp_path: Path,
) -> None:
    make_run(tmp_path, state="finished", step=40)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        runs = app.snapshot.runs
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, LogScreen))
        failed = SessionNow("sine-10shot", {}, (), (), True, "no device")
        app.show(Snapshot(2.0, runs, error="the disk is gone"))  # another picture comes at once
        app.show(Snapshot(3.0, runs))
        app.show(Snapshot(4.0, runs, session=failed))
        await until(pilot, lambda: app.snapshot.taken == 4.0)
        assert app.told == ["the disk is gone", "no device"]
        await pilot.press("2")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.runs.is_current

    in_app(tmp_path, act)


def test_leaving_waits_for_what_was_asked_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = threading.Event()
    done: list[str] = []

    def refused_late() -> str:
        left.wait(20)
        done.append("asked")
        raise RequestError("1121-maml has no checkpoint")

    async def leave(pilot: Pilot[int]) -> None:
        assert isinstance(pilot.app, Workbench)
        pilot.app.ask_off_loop(refused_late)
        await pilot.press("ctrl+q")

    def run_headless(app: Workbench) -> None:
        asyncio.run(app.run_async(headless=True, auto_pilot=leave))
        threading.Timer(0.05, left.set).start()

    monkeypatch.setattr(app_module, "prepare", lambda: None)
    monkeypatch.setattr(Workbench, "run", run_headless)
    monkeypatch.setattr(Workbench, "DEFAULT_MODE", "runs")
    try:
        assert app_module.run_workbench(tmp_path, tmp_path) == 0
    finally:
        gc.enable()
    said = capsys.readouterr().err
    assert done == ["asked"]
    assert "what was asked of runs is being done" in said and "1121-maml has no checkpoint" in said


def test_trainings_are_counted_where_no_picture_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_worker(monkeypatch, 1000, 0.02)
    pid = launch(tmp_path)[1]
    try:
        wait_until(lambda: all(run.status.alive for run in list_runs(tmp_path)))
        app = Workbench(tmp_path, tmp_path)
        assert app.trainings_under_way() == 1
        app.snapshot = Snapshot(1.0)
        assert app.trainings_under_way() == 0, "a picture that nothing was asked after holds"

        def unreadable(folder: Path) -> None:
            raise OSError(f"cannot read {folder}")

        app.snapshot = Snapshot()
        monkeypatch.setattr("engine.runs.list_runs", unreadable)
        assert app.trainings_under_way() == 0
    finally:
        kill(pid)
