"""How algorithms look: no two that are shipped alike, no two rows of one chart alike."""

from pathlib import Path

import numpy as np
from fake_runs import make_run
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from engine.runs import summarise
from engine.runs.columns import History
from tui.bench.curves import validation_curves
from tui.marks import KNOWN, OTHERS, SPARE, mark_of, marks_of
from tui.snapshot import Snapshot

SHIPPED = sorted(
    path.stem for path in (Path(__file__).parents[1] / "presets" / "algorithms").glob("*.yaml")
)


def test_every_shipped_algorithm_has_a_shape_of_its_own() -> None:
    assert set(SHIPPED) <= set(KNOWN)
    shapes = [mark_of(name).shape for name in KNOWN]
    others = {mark.shape for mark in OTHERS}
    assert len(set(shapes)) == len(KNOWN) and not others & set(shapes)
    assert not set(SPARE) & {*shapes, *others} and len(set(SPARE)) == len(SPARE)
    assert {cell_len(shape) for shape in (*shapes, *others, *SPARE)} == {1}


@given(st.lists(st.sampled_from(["maml", "anil", "pretrain", "mine", "yours"]), max_size=20))
def test_rows_of_one_algorithm_have_its_colour_and_a_shape_of_their_own(names: list[str]) -> None:
    marks = marks_of(names)
    assert len({(mark.colour, mark.shape) for mark in marks}) == len(names)
    for place, (name, mark) in enumerate(zip(names, marks, strict=True)):
        assert mark.colour == mark_of(name).colour
        assert (mark == mark_of(name)) == (name not in names[:place])


def test_seeds_and_forks_on_the_bench_are_told_apart(tmp_path: Path) -> None:
    runs = [summarise(make_run(tmp_path, seed=seed, state="running")) for seed in (0, 1, 1)]
    at = np.array([1.0, 2.0])
    history = History(validation_step=at, validation_time=at, validation=np.array([[0.2, 0.5]] * 2))
    snapshot = Snapshot(1.0, tuple(runs), histories={run.id: history for run in runs})
    curves, _ = validation_curves(snapshot, runs)
    assert len({(curve.colour, curve.shape) for curve in curves}) == 3
