"""The runs screen: the table, the panel, every key, hostile folders, the card after an absence."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run, make_spec, use_fake_worker, wait_until
from runs_app import RunsApp, in_app, shown, snapshot_of, until
from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Input

from engine.errors import RequestError
from engine.runs import Run, StatusWriter, asked, create_run, list_runs, read_status, write_checkpoint
from tui.bench.run_facts import run_facts
from tui.run_list import RunList
from tui.runs.detail import sentence
from tui.runs.families import nested
from tui.runs.requests import changes_of
from tui.runs.rows import COLUMNS, filtered, layout, ordered, row_cells
from tui.screens.log import LogScreen
from tui.screens.questions import AskText
from tui.screens.replay import ReplayScreen
from tui.snapshot import Snapshot

SIZES = ((80, 24), (120, 36), (200, 60))


@pytest.fixture
def live() -> Iterator[Callable[..., Run]]:
    """Makes runs whose lock is held, as if a worker were at them."""
    held: list[int] = []

    def make(runs_dir: Path, seed: int = 0, name: str | None = None, **changes: Any) -> Run:
        run, descriptor = create_run(runs_dir, make_spec(seed), name)
        held.append(descriptor)
        StatusWriter(run, **{"state": "running", "phase": "training", **changes}).close()
        return run

    yield make
    for descriptor in held:
        os.close(descriptor)


def select(app: RunsApp, name: str) -> None:
    """Puts the cursor on the run of that name."""
    app.runs.table.go_to([run.name for run in app.runs.table.rows].index(name))


def enabled(app: RunsApp, *actions: str) -> list[str]:
    """Those of the actions that are not greyed."""
    return [action for action in actions if app.runs.check_action(action, ()) is True]


@pytest.mark.parametrize("size", SIZES)
def test_every_run_has_its_row_and_the_selected_one_is_told(
    tmp_path: Path, live: Callable[..., Run], size: tuple[int, int]
) -> None:
    make_run(tmp_path, name="done", state="finished", step=40, best={"step": 40, "value": 0.123, "file": "x"})
    make_run(tmp_path, seed=1, name="broken", state="running", step=15)
    live(tmp_path, 2, "busy", step=10, iterations_per_second=2.0)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        select(app, "busy")
        sentence = "training at 10 of 40, 15 s left; enter opens it, p pauses, x stops"
        await until(pilot, lambda: sentence in " ".join(shown(app).split()))
        screen = shown(app)
        for text in ("done", "broken", "busy", "◆ maml", "sine-10shot", "✔", "✖", "●", "0.123", "25 %"):
            assert text in screen, text
        assert "crashed" in screen and "finished" in screen
        assert max(len(line) for line in screen.splitlines()) <= size[0]
        select(app, "broken")
        await until(pilot, lambda: "crashed at 15 of 40: its process ended" in shown(app))
        await until(pilot, lambda: "no checkpoint yet" in " ".join(shown(app).split()))

    in_app(tmp_path, act, size)


@pytest.mark.parametrize("width", (40, 80, 92, 104, 120, 200, 400))
def test_columns_fill_the_width_and_never_pass_it(width: int) -> None:
    widths = layout(width)
    total = sum(size for _, size in widths) + len(widths) - 1
    assert total <= max(width, 64)
    assert all(column.least <= size <= column.most for column, size in widths)
    assert len(layout(200)) == len(COLUMNS)


def test_a_phase_that_does_not_fit_gives_way_to_the_state(tmp_path: Path, live: Callable[..., Run]) -> None:
    live(tmp_path, state="starting", phase="importing torch")
    (run,) = snapshot_of(tmp_path).runs
    state = next(index for index, (column, _) in enumerate(layout(120)) if column.name == "state")
    assert row_cells(run, (), layout(120), 0.0)[state].strip() == "starting"
    assert row_cells(run, (), layout(200), 0.0)[state].strip() == "importing torch"


def test_a_resumed_run_that_waits_says_where_it_goes_on(
    tmp_path: Path, live: Callable[..., Run]
) -> None:
    run = live(tmp_path, state="queued", phase="queued", step=33)
    write_checkpoint(run, 30, b"whole")
    (seen,) = RunList(tmp_path).look()
    texts = " ".join(row_cells(seen, (), layout(120), 0.0))
    assert " 75 %" in texts and "━" in texts
    facts = run_facts(Snapshot(1.0, (seen,)), seen, None).plain
    assert "queued, next\ngoes on from 30 of 40 iterations" in facts
    told = sentence(seen, (), None, 0, "", 0.0)
    assert told == "queued: it goes on from 30 of 40 when the device is free; x takes it out"


def test_what_is_impossible_is_greyed(tmp_path: Path, live: Callable[..., Run]) -> None:
    make_run(tmp_path, name="a", state="finished", step=40)
    make_run(tmp_path, seed=1, name="b", state="paused")
    live(tmp_path, 2, "c")
    actions = ("pause", "stop", "resume", "remove", "fork", "log", "replay", "open")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        app.runs.order = "name"
        app.runs.refresh_picture()
        await pilot.press("home")
        assert enabled(app, *actions) == ["remove", "fork", "log", "replay", "open"]
        await pilot.press("down")
        assert enabled(app, *actions) == ["stop", "resume", "remove", "fork", "log", "open"]
        await pilot.press("down")
        assert enabled(app, *actions) == ["pause", "stop", "fork", "log", "open"]

    in_app(tmp_path, act)


def test_nothing_is_possible_without_runs(tmp_path: Path) -> None:
    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        assert enabled(app, "pause", "stop", "resume", "remove", "fork", "log", "replay", "open") == []
        await pilot.press("p", "x", "r", "f", "delete", "L", "R", "enter", "space", "o", "down", "end")
        assert "no runs in" in shown(app)

    in_app(tmp_path / "none", act)


def test_stop_and_pause_reach_the_worker_and_are_told(tmp_path: Path, live: Callable[..., Run]) -> None:
    run = live(tmp_path)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: asked(run) == {"pause"})
        app.picture()
        await until(pilot, lambda: "pausing" in shown(app))
        assert enabled(app, "pause", "stop") == ["stop"]
        await pilot.press("x")
        await until(pilot, lambda: asked(run) == {"pause", "stop"})
        assert app.told[-1] == f"{run.id}: asked to stop after a checkpoint"

    in_app(tmp_path, act)


def test_a_paused_run_can_be_stopped(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="paused", step=10)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("x")
        await until(pilot, lambda: read_status(run).state == "stopped")
        await until(pilot, lambda: app.told == [f"{run.id}: stopped"])

    in_app(tmp_path, act)


def test_resume_starts_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, 3, 0.0)
    run = make_run(tmp_path, state="paused", step=1)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: read_status(run).state == "finished")
        assert app.told == [f"{run.id} goes on"]

    in_app(tmp_path, act)


def test_several_are_marked_removed_and_put_back(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, seed=seed, state="stopped") for seed in range(4)]

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("home", "space", "space")
        assert "2 marked" in shown(app) and shown(app).count("*■") == 2
        await pilot.press("delete")
        await until(pilot, lambda: len(list_runs(tmp_path)) == 2)
        app.picture()
        await pilot.pause()
        third = app.runs.current.id if app.runs.current else ""
        await pilot.press("d")
        await until(pilot, lambda: len(list_runs(tmp_path)) == 1)
        await until(pilot, lambda: len(app.told) == 2)
        await pilot.press("u")
        await until(pilot, lambda: len(list_runs(tmp_path)) == 2)
        app.picture()
        await until(pilot, lambda: len(app.runs.table.rows) == 2)
        # The one that was put back is where the cursor goes.
        assert app.runs.current is not None and app.runs.current.id == third
        await pilot.press("u")
        await until(pilot, lambda: len(list_runs(tmp_path)) == 4)
        await until(pilot, lambda: len(app.told) == 4)
        assert app.told[0] == "2 runs are in the trash; u puts them back"
        assert app.told[-1] == "2 runs are back"
        await pilot.press("u")
        await until(pilot, lambda: "is empty" in app.told[-1])

    in_app(tmp_path, act)
    assert {run.id for run in runs} == {summary.id for summary in list_runs(tmp_path)}


def test_a_fork_is_checked_while_one_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, 3, 0.0)
    make_run(tmp_path, state="finished", step=40)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("f")
        question = app.screen
        assert isinstance(question, AskText)
        question.query_one("#answer", Input).value = "adaptation.stepz=5"
        await until(pilot, lambda: "✖" in shown(app) and "steps" in shown(app))
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert app.screen is question, "a wrong setting must not begin anything"
        more = "training.iterations=50 training.tasks_per_batch=3 training.record_every=1 seed=3"
        more += " training.checkpoint_every=7 outer.learning_rate=0.002 evaluation.episodes=20"
        more += " training.validation.every=5 training.validation.episodes=9 evaluation.seed=3"
        question.query_one("#answer", Input).value = f"adaptation.steps=5 {more}"
        await until(pilot, lambda: question.query_one(VerticalScroll).max_scroll_y > 0)
        await pilot.press("pagedown")
        await until(pilot, lambda: question.query_one(VerticalScroll).scroll_y > 0)
        question.query_one("#answer", Input).value = "adaptation.steps=5 seed=3"
        await until(pilot, lambda: question.query_one("#name", Input).value == "maml, steps 5, seed 3")
        assert "adaptation.steps  1 → 5" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: len(list_runs(tmp_path)) == 2)
        await until(pilot, lambda: bool(app.told))
        assert app.told[-1] == "maml, steps 5, seed 3 begins"

    in_app(tmp_path, act, (80, 24))
    parent, fork = sorted(list_runs(tmp_path), key=lambda run: run.seed or 0)
    wait_until(lambda: read_status(fork.run).state == "finished")
    assert (fork.seed, fork.name, fork.parent) == (3, "maml, steps 5, seed 3", parent.id)


def test_a_fork_s_name_follows_the_settings_until_it_is_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_worker(monkeypatch, 3, 0.0)
    make_run(tmp_path, name="first", state="finished", step=40)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("f")
        question = app.screen
        name = question.query_one("#name", Input)
        assert name.value == "first, again"
        question.query_one("#answer", Input).value = "outer.learning_rate=0.003"
        await until(pilot, lambda: name.value == "first, outer learning rate 0.003")
        await pilot.press("tab")
        assert app.focused is name
        name.value = "slower"
        question.query_one("#answer", Input).value = "outer.learning_rate=0.004"
        await until(pilot, lambda: "0.001 → 0.004" in shown(app))
        assert name.value == "slower"
        await pilot.press("enter")
        await until(pilot, lambda: app.told == ["slower begins"])

    in_app(tmp_path, act)
    wait_until(lambda: all(run.state == "finished" for run in list_runs(tmp_path)))
    assert sorted(run.name or "" for run in list_runs(tmp_path)) == ["first", "slower"]


def test_forks_stand_under_what_they_were_forked_from(tmp_path: Path) -> None:
    old = make_run(tmp_path, name="old", state="finished", step=40)
    make_run(tmp_path, seed=1, name="between", state="finished", step=40)
    summaries = {run.name: run for run in snapshot_of(tmp_path).runs}
    fork = replace(summaries["between"], run=Run(tmp_path / "99-fork"), name="maml, fork", parent=old.id)
    deeper = replace(fork, run=Run(tmp_path / "99-fork-2"), name="deeper", parent="99-fork")
    newest_first = (deeper, fork, summaries["between"], summaries["old"])

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        app.show(Snapshot(time.time(), newest_first))
        await until(pilot, lambda: len(app.runs.table.rows) == 4)
        assert [run.name for run in app.runs.table.rows] == ["old", "maml, fork", "deeper", "between"]
        assert "✔ old " in shown(app) and "✔ └ fork " in shown(app) and "✔   └ deeper " in shown(app)
        select(app, "maml, fork")
        await until(pilot, lambda: f"fork of    {old.id}" in shown(app))
        app.runs.order = "best"
        app.runs.refresh_picture()
        await pilot.pause()
        assert "└" not in shown(app)

    in_app(tmp_path, act)
    circle = [replace(fork, parent=deeper.id), deeper]
    assert {run.id for run in nested(circle)[0]} == {fork.id, deeper.id}
    alone = replace(fork, parent="gone")
    assert nested([alone]) == ([alone], {})


def test_escape_leaves_the_question(tmp_path: Path) -> None:
    make_run(tmp_path, state="finished")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("f", "escape")
        assert app.runs and not app.told

    in_app(tmp_path, act)


def test_changes_name_both_values(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert changes_of(run, ["adaptation.learning_rate=0.5"]) == [("adaptation.learning_rate", "0.01", "0.5")]
    assert changes_of(run, []) == []
    with pytest.raises(RequestError, match=r"write path\.to\.key=value"):
        changes_of(run, ["five"])


def test_the_filter_finds_words_and_escape_drops_it(tmp_path: Path) -> None:
    make_run(tmp_path, name="apple", state="finished", step=40)
    make_run(tmp_path, seed=1, name="pear", state="paused")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("slash", *"pe")
        assert [run.name for run in app.runs.table.rows] == ["pear"]
        assert "1 of 2 runs" in shown(app)
        await pilot.press("enter")
        assert app.focused is app.runs.table and "filter: pe" in shown(app)
        await pilot.press("escape")
        assert len(app.runs.table.rows) == 2
        await pilot.press("slash", *"zzz")
        assert "no run has the words zzz" in shown(app)

    in_app(tmp_path, act)


def test_filter_and_orders(tmp_path: Path) -> None:
    make_run(tmp_path, name="b", state="finished", step=40, best={"value": 0.5})
    make_run(tmp_path, seed=1, name="a", state="failed", error="no", best={"value": 0.2})
    make_run(tmp_path, seed=2, name="c", state="paused", best={"value": "high"})
    picture = snapshot_of(tmp_path)
    by_name = {run.name: run for run in picture.runs}
    assert {run.name for run in filtered(picture, "MAML sine")} == {"a", "b", "c"}
    assert [run.name for run in filtered(picture, "sine failed")] == ["a"]
    names = {
        order: [run.name for run in ordered(by_name.values(), order)] for order in ("state", "best", "name")
    }
    assert names == {"state": ["a", "c", "b"], "best": ["a", "b", "c"], "name": ["a", "b", "c"]}


def test_the_order_changes_and_the_cursor_stays_on_its_run(tmp_path: Path) -> None:
    for seed, state in enumerate(("finished", "paused", "failed", "stopped")):
        make_run(tmp_path, seed=seed, name=f"run {seed}", state=state)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await pilot.press("end")
        before = app.runs.current
        assert before is not None
        seen = set()
        for _ in range(6):
            seen.add(app.runs.order)
            assert f"order: {app.runs.order}" in shown(app)
            await pilot.press("o")
            assert app.runs.current is not None and app.runs.current.id == before.id
        assert len(seen) == 6 and app.runs.order == "newest"

    in_app(tmp_path, act)


def test_thousands_of_runs_scroll_and_only_changed_cells_are_drawn_again(tmp_path: Path) -> None:
    make_run(tmp_path, name="one", state="paused", step=10)
    one = snapshot_of(tmp_path).runs[0]
    many = tuple(replace(one, run=Run(tmp_path / f"run-{index:05}")) for index in range(5000))

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        app.show(Snapshot(time.time(), many))
        await pilot.pause()
        await pilot.press("end")
        assert app.runs.current is not None and app.runs.current.id == "run-04999"
        await pilot.press("pageup", "k", "j", "home", "pagedown")
        await pilot.pause()
        table = app.runs.table
        regions: list[Region] = []
        top = table.scroll_offset.y
        moved = replace(many[top], status=replace(one.status, step=20))
        table.refresh = lambda *parts, **_: regions.extend(parts)  # type: ignore[method-assign,assignment]
        table.show((*many[:top], moved, *many[top + 1 :]), {}, ())
        assert {region.y for region in regions} == {1}
        assert all(region.width < 25 for region in regions) and regions

    in_app(tmp_path, act)


def test_a_hostile_folder_is_shown_as_it_is(tmp_path: Path) -> None:
    make_run(
        tmp_path, name="[red]x[/red]\x1b[2J", state="failed", error="[bold]no[/] \x1b]0;t\x07 such thing"
    )
    half = make_run(tmp_path, seed=1, name="half")
    half.status_path.write_text('{"state": "runn')
    bare = make_run(tmp_path, seed=2)
    bare.spec_path.unlink()
    wild = make_run(tmp_path, seed=3, name="wild", state="finished")
    status = json.loads(wild.status_path.read_text())
    status |= {"best": {"value": True, "step": "x"}, "seconds": 1e308, "memory_bytes": -1, "steps": 10**400}
    wild.status_path.write_text(json.dumps(status).replace("1e+308", "1e999"))
    (wild.results / "x.json").write_text('{"kind": "evaluation", "steps": 3, "values": "no"}')
    (tmp_path / "20261121-empty").mkdir()
    (tmp_path / "20261121-empty" / "status.json").mkdir()

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        for _ in app.snapshot.runs:
            await pilot.pause(0.15)
            await pilot.press("L")
            await pilot.pause(0.1)
            assert isinstance(app.screen, LogScreen)
            await pilot.press("escape")
            await pilot.press("down")
        screen = shown(app)
        assert "[red]x[/red]" in screen and "\x1b" not in screen
        select(app, "[red]x[/red][2J")
        await until(pilot, lambda: "failed at 0 of 40: [bold]no[/]" in " ".join(shown(app).split()))

    in_app(tmp_path, act, (80, 24))


def test_a_failed_run_says_why_and_where_its_log_ends(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="failed", step=15, error="the loss is not finite at iteration 15")
    run.log_path.write_text("Traceback\nValueError: [not] finite\n")
    write_checkpoint(run, 10, b"x")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "ValueError: [not] finite" in shown(app))
        words = " ".join(shown(app).split())
        assert "failed at 15 of 40: the loss is not finite at iteration 15" in words
        assert "L shows its log, r resumes from 10" in words

    in_app(tmp_path, act)


def test_keys_open_the_other_screens(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="finished", step=40)
    opened: list[str] = []

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        app.open_run = lambda run_id, mode="bench": opened.append(run_id)  # type: ignore[method-assign]
        await pilot.press("enter")
        assert opened == [run.id]
        await pilot.press("L")
        assert isinstance(app.screen, LogScreen)
        await pilot.press("escape", "R")
        assert isinstance(app.screen, ReplayScreen)
        await pilot.press("escape")
        copied: list[str] = []
        app.copy_to_clipboard = copied.append
        await pilot.press("y")
        assert copied == [f"kshot train {run.spec_path}"]
        run.spec_path.unlink()
        app.runs.panel._looked_at = None
        app.picture()
        await until(pilot, lambda: app.runs.text_to_copy() == f"kshot runs show {run.id}")

    in_app(tmp_path, act)


def test_marked_runs_are_laid_over_each_other_on_bench(tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path, seed=seed, state="finished", step=40)
    other = make_run(tmp_path, seed=3, state="finished", step=40)
    content = json.loads(other.status_path.read_text())
    content["summary"]["task"] = "sine-20shot"
    other.status_path.write_text(json.dumps(content))

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        seeds = [run.seed for run in app.runs.table.rows]
        assert "made       just now, 20" in shown(app)
        for wanted in (3, 0, 2):
            app.runs.table.go_to(seeds.index(wanted))
            await pilot.press("space")
        app.runs.table.go_to(seeds.index(0))
        await pilot.press("enter")
        await until(pilot, lambda: "maml, seed 0" in shown(app) and "run 1 of 2" in shown(app))
        assert app.current_mode == "bench"
        assert app.told == ["1 of another task left out: their episodes are others"]
        await pilot.press("o")
        await until(pilot, lambda: "maml, seed 2" in shown(app) and "run 2 of 2" in shown(app))
        await pilot.press("2", "escape")
        app.runs.table.go_to(seeds.index(1))
        await pilot.press("enter")
        await until(pilot, lambda: "maml, seed 1" in shown(app) and "of 2" not in shown(app))

    in_app(tmp_path, act)


@pytest.mark.parametrize(
    ("columns", "keys"),
    [(50, "Open Pause Stop Help Leave"), (80, "Open Pause Stop Resume Log Fork Filter Help Leave")],
)
def test_few_columns_keep_the_keys_that_matter_most_and_the_help(
    tmp_path: Path, columns: int, keys: str
) -> None:
    make_run(tmp_path, state="finished")

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        line = shown(app).splitlines()[-1]
        found = [word for word in line.split() if len(word) > 1 and word[0].isupper()]
        assert found == keys.split()

    in_app(tmp_path, act, (columns, 24))
