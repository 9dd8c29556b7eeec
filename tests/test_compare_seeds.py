"""Validation on the compare screen with each seed as a line of its own."""

from pathlib import Path

import numpy as np
import pytest
from compare_app import shown, view
from patience import shown as on_screen
from patience import until
from tested_runs import run_with_result
from textual.pilot import Pilot

from engine.runs import EventWriter
from engine.runs.columns import History
from tui.app import Workbench
from tui.charts.series import Series
from tui.compare.curves import validation_series
from tui.screens.help import help_text
from tui.widgets.chart import Chart

ACCURACY = {0: (0.6, 0.7), 1: (0.7, 0.8), 2: (0.5, 0.9)}
"""By seed: validation accuracy at iterations 100 and 200."""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three seeds of maml and one of pretrain, with two validations each."""
    folder = tmp_path / "runs"
    made = {seed: run_with_result(folder, "maml", 0.9, seed=seed) for seed in ACCURACY}
    told = [(made[seed], values) for seed, values in ACCURACY.items()]
    told.append((run_with_result(folder, "pretrain", 0.7), (0.4, 0.5)))
    for run, values in told:
        with EventWriter(run.events_path) as events:
            for step, value in zip((100, 200), values, strict=True):
                events.append("validation", step=step, metric=[0.2, value], ci95=[0.01, 0.02])
    return folder


def history(values: tuple[float, ...], pace: float) -> History:
    """Validations at iterations 100, 200, ..., each `pace` minutes of training after the other."""
    at = 100.0 * np.arange(1, len(values) + 1)
    return History(
        train_step=np.concatenate([[0.0], at]),
        train_time=np.concatenate([[0.0], at]) * 0.6 * pace,
        validation_step=at,
        validation_time=at * 0.6 * pace,
        validation_steps=(0, 5),
        validation=np.array([[0.2, value] for value in values]),
        validation_ci95=np.full(len(values), 0.02),
    )


def test_each_seed_is_a_line_at_its_own_iterations_and_time(runs):
    made = view(runs)
    maml, pretrain = made.row("maml"), made.row("pretrain")
    values = {**ACCURACY, 2: (*ACCURACY[2], 0.95)}
    histories = {
        run_id: history(values[seed], pace=1.0 + seed)
        for seed, run_id in zip(maml["seeds"], maml["runs"], strict=True)
    }
    histories[pretrain["runs"][0]] = history((0.4, 0.5), 1.0)
    *seeds, baseline = validation_series(made, histories, "tasks", each_seed=True)
    assert [list(line.y) for line in seeds] == [list(each) for each in values.values()]
    each = made.standing.tasks_each["maml"] / 1000
    assert [line.x / each == pytest.approx([100, 200, 300][: len(line.y)]) for line in seeds] == [True] * 3
    assert len({(line.colour, line.shape, line.dashed) for line in seeds}) == 1
    assert [line.label for line in seeds] == ["maml", "", ""] and baseline.label is None
    assert [line.name for line in seeds] == [f"maml, seed {seed}" for seed in (0, 1, 2)]
    assert all(line.low is None for line in seeds) and baseline.low is not None
    timed = validation_series(made, histories, "time", each_seed=True)
    assert [list(line.x) for line in timed] == [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0, 9.0], [1.0, 2.0]]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_a_key_draws_each_seed_and_the_mean_again(runs, size):
    def lines(app: Workbench) -> list[Series]:
        return [curve.given for curve in app.screen.query_one(Chart)._curves]

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        await pilot.press("S")
        assert not app.screen.each_seed, "curves by inner steps are of all seeds"
        assert "each seed as a line" in help_text("compare", app.screen).plain
        await pilot.press("n")
        await until(pilot, lambda: len(lines(app)) == 2, "the means")
        await pilot.press("S")
        await until(pilot, lambda: len(lines(app)) == 4, "a line for each seed")
        found = {tuple(np.round(line.y, 3)) for line in lines(app)}
        assert found == {*ACCURACY.values(), (0.4, 0.5)}
        app.screen.query_one(Chart).focus()
        await pilot.pause()
        heading = next(line for line in on_screen(app).splitlines() if "each seed" in line)
        names = heading.partition("Difference")[0]  # which stands beside it on a wide terminal
        assert names.count("maml") == 1 and names.count("pretrain") == 1
        await pilot.press("S")
        await until(pilot, lambda: len(lines(app)) == 2, "the means again")

    shown(runs, look, size)
