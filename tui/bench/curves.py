"""The two charts of the bench: validation after adaptation of several runs, the outer loss of one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.runs import Summary
from engine.runs.columns import History
from tui.bench.shown import row_marks, row_names
from tui.charts.series import Series
from tui.marks import Mark
from tui.numbers import interval
from tui.output import plain
from tui.snapshot import Snapshot, state_word

Column = NDArray[np.float64]


def validation_curves(
    snapshot: Snapshot, runs: Sequence[Summary], by_time: bool = False
) -> tuple[list[Series], str]:
    """Each run's metric after adaptation with its 95 % band, against iterations or minutes of training; and a
    note on the runs that have none yet."""
    names, marks, curves, waiting = row_names(runs), row_marks(runs), [], []
    for summary in runs:
        history = snapshot.histories.get(summary.id)
        label = plain(names[summary.id])
        if history is None or not history.validation_step.size:
            waiting.append(f"{label} {plain(state_word(summary.status))}")
            continue
        value, width = after(history)
        mark = marks[summary.id]
        scale = 100.0 if summary.metric == "accuracy" else 1.0
        last = {"mean": _finite(value[-1] * scale), "ci95": _finite(width[-1] * scale)}
        curves.append(
            Series(
                f"{label} {interval(last, summary.metric)}",
                history.validation_at / 60 if by_time else history.validation_step,
                value,
                mark.colour,
                mark.shape,
                mark.dashed,
                value - width,
                value + width,
            )
        )
    return curves, ", ".join(waiting)


def after(history: History) -> tuple[Column, Column]:
    """The metric after adaptation and its half-width `[n]`; accuracy as a fraction."""
    value, widths = _table(history.validation)[:, -1], _table(history.validation_ci95)
    fits = widths.size > 0 and len(widths) == len(value)
    return value, np.nan_to_num(widths[:, -1]) if fits else np.zeros_like(value)


def _table(column: Column) -> Column:
    return column if column.ndim == 2 else column.reshape(-1, 1)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def loss_curves(history: History, mark: Mark, by_time: bool = False) -> list[Series]:
    """One run's outer loss in training, as recorded, against iterations or minutes of training."""
    if not history.train_step.size:
        return []
    x = history.train_at / 60 if by_time else history.train_step
    return [Series("training", x, history.outer_loss, mark.colour, mark.shape)]
