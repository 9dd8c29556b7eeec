"""The two charts of the bench: validation after adaptation of several runs, the outer loss of one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.runs import Summary
from engine.runs.columns import History
from tui.bench.inner import fainter
from tui.bench.shown import row_marks, row_names
from tui.charts.series import Series
from tui.marks import Mark
from tui.numbers import interval
from tui.output import plain
from tui.snapshot import Snapshot, state_word

Column = NDArray[np.float64]
FAINTER = 0.55
"""How strong the curve of training is beside that of validation."""


def validation_curves(
    snapshot: Snapshot, runs: Sequence[Summary], by_time: bool = False
) -> tuple[list[Series], str]:
    """Each run's metric after adaptation with its 95 % band, against iterations or minutes of training; and a
    note on the runs that have none yet. Of a run alone its training metric too."""
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
    if len(runs) == 1 and curves:
        training = training_curve(snapshot.histories[runs[0].id], marks[runs[0].id], by_time)
        curves += [training] if training is not None else []
    return curves, ", ".join(waiting)


def training_curve(history: History, mark: Mark, by_time: bool = False) -> Series | None:
    """One run's metric on training tasks after adaptation: the mean of what was recorded between two
    validations, at each of them. None where nothing was recorded. For one run alone: tasks and classes of
    training differ from one algorithm to another."""
    table = history.metric
    if table.ndim != 2 or not table.size or not history.validation_step.size:
        return None
    ends = np.searchsorted(history.train_step, history.validation_step, side="right")
    values = table[: ends[-1], -1].astype(np.float64)
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])[ends]
    counts = np.concatenate([[0], np.cumsum(known)])[ends]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.diff(sums, prepend=0.0) / np.diff(counts, prepend=0)
    if not np.isfinite(means).any():
        return None
    joint = not history.query_loss.size  # joint training tells one class from all others, not from N
    x = history.validation_at / 60 if by_time else history.validation_step
    return Series(
        "training, all classes" if joint else "training", x, means, fainter(mark.colour, FAINTER), "·"
    )


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
