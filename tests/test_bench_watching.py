"""Watching costs little: the fan moves seldom, and a text of the same shape lays nothing out anew."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_run
from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import Static

from engine.runs import Summary, summarise
from engine.runs.columns import History
from tui.bench.curves import validation_curves
from tui.bench.inner import FAN, fan_rows, gain_of
from tui.bench.live import Curves
from tui.bench.panel import Panel
from tui.bench.run_facts import run_facts
from tui.marks import mark_of
from tui.snapshot import Snapshot
from tui.widgets.chart import Chart


def test_few_records_are_all_in_the_fan() -> None:
    assert fan_rows(1) == [0]
    assert fan_rows(4) == [0, 1, 2, 3]
    assert fan_rows(20) == [14, 15, 16, 17, 18, 19]


def test_of_many_records_only_the_last_curve_moves_with_each() -> None:
    moved = 0
    for count in range(600, 700):
        before, after = fan_rows(count), fan_rows(count + 1)
        assert len(after) == FAN and after[-1] == count and sorted(set(after)) == after
        moved += before[:-1] != after[:-1]
    # A record in sixteen joins the others.
    assert moved <= 7


@pytest.mark.parametrize(
    ("text", "laid_out"),
    [
        ("  1 ███▏ 0.92\n  2 ██   0.5", False),
        ("  1 ███▏ 0.92\n  2 ██   0.5\n  3 █", True),
        ("  1 ███▏ 0.92\n  2 ██   0.5 and so much more that it needs another line", True),
    ],
)
def test_a_panel_is_laid_out_anew_only_where_its_height_may_change(
    text: str, laid_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    update = Static.update

    def note_update(self: Static, content: Text, *, layout: bool = True) -> None:
        asked.append(layout)
        update(self, content, layout=layout)

    class One(App[None]):
        def compose(self) -> ComposeResult:
            yield Panel("Meta-gradient norm by step", id="norms")

    async def run() -> None:
        app = One()
        async with app.run_test(size=(40, 12)) as pilot:
            panel = app.query_one(Panel)
            panel.put(Text("  1 ███  0.91\n  2 ██   0.5"))
            await pilot.pause()
            monkeypatch.setattr(Static, "update", note_update)
            panel.put(Text(text))
            await pilot.pause()
            # Four columns are frame or padding here; whatever stands in it is there whole.
            lines = [panel.render_line(row).text for row in range(panel.size.height)]
            assert text.split()[-1] in " ".join(lines)

    asyncio.run(run())
    assert asked == [laid_out]


@pytest.mark.parametrize(
    ("metric", "before", "after", "said"),
    [
        ("accuracy", 0.2, 0.9, "adaptation helps"),
        ("accuracy", 0.9, 0.2, "adaptation does not help"),
        ("accuracy", 0.905, 0.92, "adaptation changes little"),
        ("mse", 4.18, 1.0, "adaptation helps"),
        ("mse", 4.18, 4.14, "adaptation changes little"),
        ("mse", 0.1, 0.5, "adaptation does not help"),
        ("mse", 0.0, 0.0, "adaptation changes little"),
    ],
)
def test_the_gain_in_a_word(metric: str, before: float, after: float, said: str) -> None:
    text = gain_of((0, 5), np.array([[9.0, 9.0], [before, after]]), metric, 20)
    assert text is not None and text.plain.endswith(f"\n{said}")


def test_curves_stand_against_iterations_or_minutes_of_training(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", steps=1000, step=40)
    # 120 s apart but for a pause of a day.
    at = np.array([0.0, 120.0, 240.0, 86_400.0, 86_520.0])
    history = History(
        train_step=np.arange(20.0, 120, 20),
        train_time=1.7e9 + at,
        outer_loss=np.linspace(1.6, 0.3, 5),
        validation_step=np.array([40.0, 100.0]),
        validation_time=1.7e9 + at[[1, 4]],
        validation=np.array([[0.9, 0.8], [0.9, 0.3]]),
        validation_steps=(0, 1),
    )
    summary = summarise(run)
    snapshot = Snapshot(1.0, (summary,), histories={run.id: history})

    class One(App[None]):
        def compose(self) -> ComposeResult:
            yield Curves()

    async def go() -> None:
        app = One()
        async with app.run_test(size=(100, 36)) as pilot:
            curves = app.query_one(Curves)

            def drawn() -> list[list[float]]:
                curves.draw(snapshot, [summary], summary, None, "")
                charts = [app.query_one(name, Chart) for name in ("#error", "#loss")]
                return [chart._curves[0].whole.x.tolist() for chart in charts]

            assert drawn() == [[40, 100], [20, 40, 60, 80, 100]]
            app.query_one("#loss", Chart).focus()
            await pilot.press("t")
            assert curves.check_action("axis", ("time",)) is None
            validated, trained = drawn()
            assert trained[:3] == [0, 2, 4] and 4 < trained[3] < 10 and trained[4] == trained[3] + 2
            assert validated == [trained[1], trained[4]]
            assert app.query_one("#loss", Chart).x_label == "min of training"
            await pilot.press("i")
            assert drawn() == [[40, 100], [20, 40, 60, 80, 100]]

    asyncio.run(go())


def test_time_of_training_leaves_out_pauses_and_believes_the_worker(tmp_path: Path) -> None:
    at = np.array([0.0, 20.0, 40.0, 86_400.0])
    history = History(train_step=np.arange(1.0, 5), train_time=1.7e9 + at, outer_loss=np.ones(4))
    stopped = summarise(make_run(tmp_path, seed=1, state="stopped", step=4))
    assert "trained for 1 min 00 s\n" in run_facts(Snapshot(), stopped, history).plain
    counted = summarise(make_run(tmp_path, seed=2, state="stopped", step=4, seconds=214.0))
    assert "trained for 3 min 34 s\n" in run_facts(Snapshot(), counted, history).plain


def test_a_queued_run_waits_for_those_of_its_machine_and_device(tmp_path: Path) -> None:
    def queued(seed: int, state: str = "queued", **status: str) -> Summary:
        run = summarise(make_run(tmp_path, seed=seed))
        return replace(run, status=replace(run.status, **({"state": state, "device": "cpu"} | status)))

    one, elsewhere, other, two, behind = (
        queued(1, "running"),
        queued(2, host="far"),
        queued(3, device="cuda:0"),
        queued(4),
        queued(5, device="cuda:0"),
    )
    snapshot = Snapshot(1.0, (behind, two, other, elsewhere, one))
    assert [snapshot.ahead_of(run) for run in snapshot.runs] == [1, 1, 0, 0, 0]
    assert "queued behind 1" in run_facts(snapshot, two, None).plain
    assert "queued, next" in run_facts(snapshot, other, None).plain


def test_one_run_alone_has_its_training_accuracy_beside_validation(tmp_path: Path) -> None:
    """The mean since the validation before, by a loop; several runs are compared by validation alone."""
    runs = [summarise(make_run(tmp_path, seed=seed, state="running")) for seed in (0, 1)]
    at, validated = np.arange(1.0, 11), np.array([2.0, 5.0, 9.0])
    table = np.column_stack([np.full(10, 0.2), np.linspace(0.3, 0.9, 10)]).astype(np.float32)
    table[3, 1] = np.nan
    history = History(
        train_step=at, train_time=at * 60, metric=table, query_loss=1 - table,
        validation_step=validated, validation_time=validated * 60, validation=np.full((3, 2), 0.5),
    )  # fmt: skip
    snapshot = Snapshot(1.0, tuple(runs), histories={run.id: history for run in runs})
    (_, training), _ = validation_curves(snapshot, runs[:1])
    expected = [table[:2, 1].mean(), np.nanmean(table[2:5, 1]), table[5:9, 1].mean()]
    assert training.name == "training" and training.y == pytest.approx(expected)
    assert training.x.tolist() == [2, 5, 9] and training.colour != mark_of(runs[0].algorithm).colour
    assert validation_curves(snapshot, runs[:1], by_time=True)[0][1].x.tolist() == [1, 4, 8]
    assert len(validation_curves(snapshot, runs)[0]) == 2
    joint = replace(history, metric=table[:, :1], query_loss=np.empty((10, 0)))
    assert validation_curves(replace(snapshot, histories={runs[0].id: joint}), runs[:1])[0][1].name == (
        "training, all classes"
    )
