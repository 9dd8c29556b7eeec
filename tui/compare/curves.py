"""The curves under the table: the metric against inner steps, or validation against time or tasks seen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.runs.columns import History
from tui.charts.series import Series
from tui.compare.view import Row, View
from tui.marks import mark_of
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
    return _told_apart([(row, _steps(row, scale, log)) for row in rows]), label


def _steps(row: Row, scale: float, log: bool) -> Series:
    entries = row["steps"]
    steps = np.array([entry["step"] for entry in entries], dtype=np.float64)
    mean = _floats([entry["mean"] for entry in entries]) * scale
    half_width = _floats([entry["ci95"] for entry in entries]) * scale
    return _series(row, np.log10(1 + steps) if log else steps, mean, half_width, len(entries) == 1)


def validation_series(view: View, histories: Mapping[str, History], axis: Axis) -> list[Series]:
    """Validation after adaptation against minutes of training or thousands of tasks seen.

    The first seed of each row; accuracy as a fraction.
    """
    found: list[tuple[Row, Series]] = []
    for row in view.rows:
        history = histories.get(row["runs"][0]) if row["runs"] else None
        if history is None or history.validation_step.size == 0:
            continue
        x = _minutes(history) if axis == "time" else _thousand_tasks(view, row["label"], history)
        if x is not None:
            values = history.validation[:, -1]
            found.append((row, _series(row, x, values, history.validation_ci95, False)))
    return _told_apart(found)


def runs_of(view: View) -> list[str]:
    """The runs whose histories the validation curves are drawn from."""
    return [row["runs"][0] for row in view.rows if row["runs"]]


def training_seconds(times: Column, at: Column) -> Column:
    """Seconds of training at the moments `at [m]`, from the moments of all events `times [n]` (rising).

    What lies between two events far longer than usual is a pause, and counts as one usual interval.
    """
    moments = np.sort(np.concatenate([times, at]))
    between = np.diff(moments)
    usual = float(np.median(between[between > 0])) if (between > 0).any() else 0.0
    spent = np.where(between > max(60.0, 20 * usual), usual, between)
    elapsed = np.concatenate([[0.0], np.cumsum(spent)])
    return elapsed[np.searchsorted(moments, at)]


def _told_apart(found: Sequence[tuple[Row, Series]]) -> list[Series]:
    """The curves; a second row of an algorithm, which has its colour and shape, is dashed."""
    seen: set[str] = set()
    series = []
    for row, one in found:
        series.append(replace(one, dashed=one.dashed or row["algorithm"] in seen))
        seen.add(row["algorithm"])
    return series


def _minutes(history: History) -> Column | None:
    known = np.isfinite(history.train_time)
    at = history.validation_time
    if not np.isfinite(at).all():
        return None
    return training_seconds(history.train_time[known], at) / 60


def _thousand_tasks(view: View, label: str, history: History) -> Column | None:
    each = view.standing.tasks_each.get(label)
    return history.validation_step * each / 1000 if each else None


def _series(row: Row, x: Column, y: Column, half_width: Column, point: bool) -> Series:
    mark = mark_of(row["algorithm"])
    width = half_width if half_width.shape == y.shape else np.full_like(y, np.nan)
    band = np.isfinite(width).any() and not point
    return Series(
        plain(row["label"]),
        x,
        y,
        mark.colour,
        mark.shape,
        mark.dashed,
        y - width if band else None,
        y + width if band else None,
        "points" if point else "line",
    )


def _floats(values: list[float | None]) -> Column:
    """The values as an array; None is not a number."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
