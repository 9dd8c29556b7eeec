"""The curves under the table: the metric against inner steps, or validation against time or tasks seen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.runs.columns import History
from engine.runs.published import ends
from engine.statistics import mean_over_seeds
from tui.charts.series import Series
from tui.compare.view import Row, View
from tui.marks import Mark
from tui.output import plain

Axis = Literal["steps", "time", "tasks"]
Column = NDArray[np.float64]
LINEAR_STEPS = 20
"""Up to so many inner steps the axis is linear."""
X_LABELS: Mapping[Axis, str] = {"steps": "steps", "time": "min", "tasks": "thousand tasks"}


def step_series(view: View) -> tuple[list[Series], str]:
    """The metric at each recorded inner step with its 95 % interval, and what the x axis shows.

    Accuracy as a fraction. Rows without inner steps are one point. Beyond 20 steps x is log10(1 + step).
    """
    scale = 0.01 if view.table["metric"] == "accuracy" else 1.0
    rows = [row for row in view.rows if row["steps"]]
    longest = max((entry["step"] for row in rows for entry in row["steps"]), default=0)
    log = longest > LINEAR_STEPS
    label = "log10(1 + steps)" if log else X_LABELS["steps"]
    return [_steps(row, view.marks[row["label"]], scale, log) for row in rows], label


def _steps(row: Row, mark: Mark, scale: float, log: bool) -> Series:
    entries = row["steps"]
    steps = np.array([entry["step"] for entry in entries], dtype=np.float64)
    mean = _floats([entry["mean"] for entry in entries]) * scale
    half_width = _floats([entry["ci95"] for entry in entries]) * scale
    drawn = _series(row, mark, np.log10(1 + steps) if log else steps, mean, half_width, len(entries) == 1)
    if drawn.low is None:
        return drawn
    found = [ends(entry) or (None, None) for entry in entries]
    low, high = (_floats([each[side] for each in found]) * scale for side in (0, 1))
    return replace(drawn, low=low, high=high)


def validation_series(
    view: View, histories: Mapping[str, History], axis: Axis, each_seed: bool = False
) -> list[Series]:
    """Validation after adaptation against minutes of training or thousands of tasks seen.

    Of several seeds the mean and its 95 % interval over seeds, at the iterations that all have validated and
    at their mean time; with `each_seed` a line for each, whose name stands over the chart once. Of one seed
    the interval is over episodes. Accuracy as a fraction.
    """
    found: list[Series] = []
    for row in view.rows:
        seeds = _validated(row, histories)
        if each_seed and len(seeds) > 1:
            found += _seed_lines(view, row, seeds, axis)
        elif seeds and (line := _line(view, row, list(seeds.values()), axis)) is not None:
            found.append(line)
    return found


def _line(view: View, row: Row, seeds: Sequence[History], axis: Axis) -> Series | None:
    """The mean over seeds with its interval; None where an x is not known."""
    iterations, values, half_width = _over_seeds(seeds)
    x = _mean_minutes(seeds, iterations) if axis == "time" else _thousand_tasks(view, row, iterations)
    if x is None or not iterations.size:
        return None
    return _series(row, view.marks[row["label"]], x, values, half_width, False)


def _seed_lines(view: View, row: Row, seeds: Mapping[int, History], axis: Axis) -> list[Series]:
    """The row's seeds as lines that look alike, without bands; the first stands for all in the heading."""
    lines: list[Series] = []
    for seed, history in seeds.items():
        line = _line(view, row, [history], axis)
        if line is not None:
            name, label = f"{line.name}, seed {seed}", "" if lines else line.name
            lines.append(replace(line, name=name, label=label, low=None, high=None))
    return lines


def seeds_drawn(view: View, histories: Mapping[str, History]) -> str:
    """How many seeds the rows' validation curves are the means of: `3`, or `1 to 3`."""
    counts = {len(_validated(row, histories)) for row in view.rows} - {0} or {1}
    return f"{min(counts)} to {max(counts)}" if len(counts) > 1 else str(*counts)


def runs_of(view: View) -> list[str]:
    """The runs whose histories the validation curves are drawn from: every seed's."""
    return [run_id for row in view.rows for run_id in row["runs"]]


def has_seeds(view: View) -> bool:
    """Whether a row has several seeds."""
    return any(len(row["runs"]) > 1 for row in view.rows)


def _validated(row: Row, histories: Mapping[str, History]) -> dict[int, History]:
    """The histories of the row's seeds that have validated."""
    runs = zip(row["seeds"], row["runs"], strict=True)
    known = {seed: histories[run_id] for seed, run_id in runs if run_id in histories}
    return {seed: history for seed, history in known.items() if history.validation_step.size}


def _over_seeds(seeds: Sequence[History]) -> tuple[Column, Column, Column]:
    """Iterations that all seeds have, the mean over seeds, the half-width of its interval: `[n]` each."""
    if len(seeds) == 1:
        one = seeds[0]
        width = one.validation_ci95
        values = one.validation[:, -1]
        return (
            one.validation_step,
            values,
            width if width.shape == values.shape else np.full_like(values, np.nan),
        )
    shared = seeds[0].validation_step
    for each in seeds[1:]:
        shared = np.intersect1d(shared, each.validation_step)
    values = np.stack([each.validation[_rows_at(each, shared), -1] for each in seeds])
    intervals = [mean_over_seeds(column) for column in values.T]
    widths = [interval.ci95 for interval in intervals]
    return shared, _floats([interval.mean for interval in intervals]), _floats(widths)


def _rows_at(history: History, iterations: Column) -> NDArray[np.intp]:
    """The places of these iterations, all of which are there, among the history's validations."""
    order = np.argsort(history.validation_step, kind="stable")
    found: NDArray[np.intp] = order[np.searchsorted(history.validation_step, iterations, sorter=order)]
    return found


def _mean_minutes(seeds: Sequence[History], iterations: Column) -> Column | None:
    """Minutes of training at these iterations, the mean over seeds; None where a time is not known."""
    minutes = [_minutes(each) for each in seeds]
    known = [
        times[_rows_at(each, iterations)]
        for each, times in zip(seeds, minutes, strict=True)
        if times is not None
    ]
    return np.mean(known, axis=0) if len(known) == len(seeds) else None


def _minutes(history: History) -> Column | None:
    return history.validation_at / 60 if np.isfinite(history.validation_time).all() else None


def _thousand_tasks(view: View, row: Row, iterations: Column) -> Column | None:
    each = view.standing.tasks_each.get(row["label"])
    return iterations * each / 1000 if each else None


def _series(
    row: Row, mark: Mark, x: Column, y: Column, half_width: Column, point: bool
) -> Series:
    band = np.isfinite(half_width).any() and not point
    return Series(
        plain(row["label"]),
        x,
        y,
        mark.colour,
        mark.shape,
        mark.dashed,
        y - half_width if band else None,
        y + half_width if band else None,
        "points" if point else "line",
    )


def _floats(values: Sequence[float | None]) -> Column:
    """The values as an array; None is not a number."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
