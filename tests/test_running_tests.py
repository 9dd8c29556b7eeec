"""Runs that are being tested are told on every screen, whoever asked for it."""

import os
import time
from pathlib import Path

from fake_runs import make_run
from runs_app import RunsApp, in_app, shown, snapshot_of, until
from textual.pilot import Pilot

from engine.runs import Run, list_runs
from engine.runs.files import to_json
from engine.runs.results import withdraw_request, write_request
from tui.bench.run_facts import run_facts
from tui.reader import Looker
from tui.running_tests import RunningTests
from tui.snapshot import Snapshot, TestNow

ID = "0123456789abcdef"


def say(run: Run, phase: str, done: int, total: int, age: float = 0.0) -> None:
    """Writes what an evaluation worker says of its progress, some seconds ago."""
    path = run.results / f".{ID}.progress"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(to_json({"phase": phase, "done": done, "total": total}))
    os.utime(path, (time.time() - age,) * 2)


def test_a_test_is_seen_from_its_request_to_its_end(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="finished", step=40)
    write_request(run, "episode-1", {"kind": "episode"})
    tests, runs = RunningTests(), list_runs(tmp_path)
    assert tests.look(runs) == {}
    write_request(run, ID, {"kind": "evaluate"})
    assert tests.look(runs, all_anew=True)[run.id].share is None
    say(run, "loading data", 0, 1)
    assert tests.look(runs)[run.id].told == "testing: loading data"
    say(run, "testing", 340, 600)
    now = tests.look(runs)[run.id]
    assert (now.share, now.told) == (340 / 600, "testing: 340 of 600")
    say(run, "testing", 340, 600, age=120.0)
    assert tests.look(runs)[run.id].share is None, "its worker is silent"
    (run.results / f".{ID}.progress").write_text("[")
    assert tests.look(runs)[run.id].share is None
    withdraw_request(run, ID)
    assert tests.look(runs) == {}


def test_pictures_have_the_tests_and_come_faster_meanwhile(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="finished", step=40)
    looker = Looker(tmp_path)
    assert not looker.busy(looker.picture())
    write_request(run, ID, {"kind": "evaluate"})
    say(run, "testing", 1, 4)
    picture = looker.picture()
    assert picture.tests[run.id].share == 0.25 and looker.busy(picture)
    assert "finished; testing: 1 of 4" in run_facts(picture, picture.runs[0], None).plain


def test_the_runs_screen_tells_of_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="finished", step=40)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        before = snapshot_of(tmp_path)
        tests = {run.id: TestNow(run.id, "testing", 3, 4)}
        app.show(Snapshot(before.taken + 1, before.runs, tests=tests))
        await until(pilot, lambda: "testing: 3 of 4; finished after" in shown(app))
        lines = shown(app).splitlines()
        assert "1 testing" in lines[0]
        assert any(" testing " in line and " 75 %" in line and line.strip().startswith("●") for line in lines)
        app.runs.words = "finished testing"
        app.runs.refresh_picture()
        assert [row.id for row in app.runs.table.rows] == [run.id]
        app.show(before)
        await until(pilot, lambda: "testing" not in shown(app).replace("finished testing", ""))

    in_app(tmp_path, act, (120, 36))
