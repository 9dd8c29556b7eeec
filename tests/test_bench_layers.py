"""The inner loop by layer on the bench: learned rates and movement, only where a run records any."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_bench_screen import App, history, made, run_app, screen_text
from textual.pilot import Pilot

from engine.runs.columns import History
from tui.bench.layers import has_layers, layer_curves, move_rows, newest_rates, rate_rows
from tui.bench.panel import Panel
from tui.snapshot import Snapshot
from tui.widgets.chart import Chart


def learned(steps: int = 2, iterations: int = 5) -> History:
    """A run of which one tensor's rate falls below zero while the other stays above; its head moves most."""
    falling = np.linspace(0.5, -0.25, iterations, dtype=np.float32)
    return replace(
        history(iterations, steps),
        rates={
            "conv1.weight": np.repeat(falling[:, None], steps, 1),
            "head.bias": np.repeat(1 + falling[:, None] ** 2, steps, 1),
        },
        moved={"conv1": np.full(iterations, 0.01), "head": np.full(iterations, 0.5)},
    )


def test_curves_are_of_tensors_or_of_the_mean_at_each_step() -> None:
    title, curves = layer_curves(learned(steps=1), "#00afff")
    assert title == "Learned rates" and [curve.name for curve in curves] == ["conv1.weight", "head.bias"]
    assert curves[0].y[-1] == -0.25 and curves[0].x.tolist() == [20, 40, 60, 80, 100]
    assert len({(curve.colour, curve.shape) for curve in curves}) == 2
    _, curves = layer_curves(learned(steps=3), "#00afff")
    assert [curve.name for curve in curves] == ["step 1", "step 2", "step 3"]
    assert curves[2].y[-1] == pytest.approx((-0.25 + 1.0625) / 2)
    title, curves = layer_curves(replace(learned(), rates={}), "#00afff")
    assert title == "How far layers move" and [curve.y[0] for curve in curves] == [0.01, 0.5]


def test_long_histories_are_thinned_to_their_last_record() -> None:
    _, curves = layer_curves(learned(steps=1, iterations=100_000), "#00afff")
    assert 256 <= len(curves[0].x) <= 1025 and curves[0].x[-1] == 2_000_000
    assert np.all(np.diff(curves[0].x) > 0)


def test_rows_carry_the_marks_of_their_curves() -> None:
    one = learned(steps=1)
    rows = rate_rows(one, 40, "#00afff")
    assert rows is not None
    for line, curve in zip(rows.plain.split("\n"), layer_curves(one, "#00afff")[1], strict=True):
        assert line.startswith(f"{curve.shape} {curve.name}")
    two = rate_rows(learned(), 40, "#00afff")
    assert two is not None and "◆1" in two.plain and "▲2" in two.plain and "−0.25" in two.plain
    moved = move_rows(learned(), 40)
    assert moved is not None and [line.split()[-2] for line in moved.plain.split("\n")] == ["1", "50"]


def test_what_is_not_known_is_not_shown() -> None:
    bare = history()
    assert not has_layers(None) and not has_layers(bare) and not has_layers(History())
    assert rate_rows(bare, 40, "#00afff") is None and move_rows(bare, 40) is None
    gone = replace(learned(), rates={"w": np.full((5, 3), np.nan)}, moved={"conv1": np.full(5, np.nan)})
    assert not has_layers(gone) and newest_rates(gone) == {} and move_rows(gone, 40) is None
    shorter = np.float32([[0.5, 0.25, np.nan]] * 5)
    assert newest_rates(replace(learned(), rates={"w": shorter})) == {"w": [0.5, 0.25]}


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_w_shows_the_inner_loop_by_layer_and_by_step_again(tmp_path: Path, size: tuple[int, int]) -> None:
    runs = made(tmp_path, "running")

    async def action(pilot: Pilot[int], app: App) -> None:
        await app.picture(pilot, Snapshot(1.0, runs, histories={runs[0].id: learned()}))
        assert app.screen.query_one("#fan", Chart).display and "Learned rates" not in screen_text(app)
        await pilot.press("w")
        await pilot.pause()
        await pilot.pause()
        text = screen_text(app)
        assert "step" in text and "conv1.weight" in text and "−" in text
        assert app.screen.query_one("#layers", Chart).display
        assert not app.screen.query_one("#fan", Chart).display
        shown = {name: app.screen.query_one(f"#{name}", Panel).shown for name in ("gain", "rates", "moved")}
        assert shown["gain"] is None and shown["rates"] is not None and shown["moved"] is not None
        # As wide as its column, though it was out of sight when it was first told.
        bars = max(line.count("█") for line in shown["moved"].plain.split("\n"))
        assert bars == (30 if size[0] == 80 else 14)
        await pilot.press("w")
        await pilot.pause()
        assert app.screen.query_one("#fan", Chart).display
        assert app.screen.query_one("#rates", Panel).shown is None

    run_app(tmp_path, size, action)


def test_by_layer_is_greyed_and_absent_for_a_run_without(tmp_path: Path) -> None:
    runs = made(tmp_path, "running", "finished")
    with_rates = {runs[1].id: learned(), runs[0].id: history()}

    async def action(pilot: Pilot[int], app: App) -> None:
        await app.picture(pilot, Snapshot(1.0, runs, histories={run.id: history() for run in runs}))
        assert app.screen.check_action("layers", ()) is None
        await pilot.press("w")
        assert app.screen.query_one("#fan", Chart).display
        await app.picture(pilot, Snapshot(2.0, runs[1:], histories=with_rates))
        assert app.screen.check_action("layers", ()) is True
        await pilot.press("w")
        assert app.screen.query_one("#layers", Chart).display
        # Another run, which says nothing by layer: by step, until one does again.
        await app.picture(pilot, Snapshot(3.0, runs[:1], histories=with_rates))
        assert app.screen.query_one("#fan", Chart).display
        assert not app.screen.query_one("#layers", Chart).display
        await app.picture(pilot, Snapshot(4.0, runs[1:], histories=with_rates))
        assert app.screen.query_one("#layers", Chart).display

    run_app(tmp_path, (120, 36), action)
