"""The card that says what ended while the app was closed."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_run
from runs_app import RunsApp, in_app, shown, until
from tested_runs import accuracies, add_result, finished_run
from textual.pilot import Pilot

from engine.runs import list_runs
from engine.runs.status import Status
from tui.runs import away
from tui.runs.away import AwayCard, read_closed, while_away, write_closed


def test_the_card_says_what_ended_meanwhile_and_any_key_puts_it_away(tmp_path: Path) -> None:
    write_closed(tmp_path, time.time() - 3600)
    make_run(tmp_path, name="a", state="finished", step=40, best={"value": 0.5})
    make_run(tmp_path, seed=1, name="b", state="finished", step=40, best={"value": 0.25})
    make_run(tmp_path, seed=2, name="c", state="running")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(app.screen, AwayCard))
        await until(pilot, lambda: "While you were away (1 h 00 min): 2 finished, 1 crashed." in shown(app))
        assert "Best: maml 0.250 on sine-10shot" in shown(app)
        await pilot.press("x")
        assert app.runs
        app.picture()
        await pilot.pause(0.1)
        assert app.runs, "the card comes once"

    in_app(tmp_path, act, (80, 24))
    closed = read_closed(tmp_path)
    assert closed is not None and time.time() - closed < 60


def test_the_time_is_written_while_the_app_is_open_but_not_while_the_card_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(away, "SEEN_SECONDS", 0.05)
    before = time.time() - 3600
    write_closed(tmp_path, before)
    make_run(tmp_path, name="a", state="finished", step=40, best={"value": 0.5})

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(app.screen, AwayCard))
        await pilot.pause(0.2)
        assert read_closed(tmp_path) == before, "a card that nobody has put away comes again"
        await pilot.press("x")
        await until(pilot, lambda: read_closed(tmp_path) != before)
        once = read_closed(tmp_path)
        await until(pilot, lambda: read_closed(tmp_path) not in (None, once))

    in_app(tmp_path, act)


def test_what_won_is_told_with_its_paired_difference_and_what_is_not_tested(tmp_path: Path) -> None:
    shift = 0.08
    base = accuracies(0.7)
    add_result(finished_run(tmp_path, "pretrain"), base)
    add_result(finished_run(tmp_path, "maml"), [[value + shift for value in each] for each in base])
    finished_run(tmp_path, "reptile")
    write_closed(tmp_path, time.time() - 3600)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        def text() -> str:
            return " ".join(shown(app).replace("│", " ").split())

        await until(pilot, lambda: "(test)" in text() and "what is missing. any key goes on" in text())
        # Every episode of one is as much above the other's: the paired interval has no width.
        mean = 100 * float(np.mean([each[-1] + shift for each in base]))
        assert f"Best: maml {mean:.1f} ±" in text()
        assert "on glyphs-5way-1shot, better than pretrain by 8.0 ± 0.0 (test)." in text()
        assert "Not all are tested yet: 3, then e tests what is missing." in text()

    in_app(tmp_path, act, (120, 36))


def test_no_card_where_nothing_ended(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="paused")
    summaries = list_runs(tmp_path)
    now = time.time()
    assert while_away(summaries, now - 10, now) == ()
    done = [replace(summary, status=Status("finished", updated=now - 5)) for summary in summaries]
    assert while_away(done, None, now) == () == while_away(done, now - 1, now)
    assert len(while_away(done, now - 10, now)) == 1
    (tmp_path / ".seen").write_text('{"closed": "x')
    assert read_closed(tmp_path) is None and run.path.is_dir()
    write_closed(tmp_path / "none", now)
    assert not (tmp_path / "none").exists()
