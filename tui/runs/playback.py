"""A finished run's history on one clock, so that it can be played back: training time without the pauses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.runs.columns import History
from tui.charts.series import Series
from tui.marks import mark_of

Column = NDArray[np.float64]
SPEEDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
WISHED_SECONDS = 20.0
"""The speed at first is the least that plays the whole run within this time."""
GAP_SECONDS = 60.0
"""Longer than this, and 20 times the usual distance of two records, the run was not training."""


@dataclass(frozen=True, eq=False)
class Playback:
    """What was recorded and when: elapsed training time in seconds, `[n]` for training records, `[m]` for
    validations, both rising."""

    history: History
    train_at: Column
    validation_at: Column

    @property
    def length(self) -> float:
        """Seconds of training from the first record to the last."""
        return float(max(self.train_at[-1:].sum(), self.validation_at[-1:].sum()))

    def first_speed(self) -> int:
        """How many times faster than it was the run is played at first."""
        fitting = (speed for speed in SPEEDS if self.length / speed <= WISHED_SECONDS)
        return next(fitting, SPEEDS[-1])

    def trained(self, head: float) -> int:
        """How many training records lie up to that time."""
        return int(np.searchsorted(self.train_at, head, side="right"))

    def validated(self, head: float) -> int:
        """How many validations lie up to that time."""
        return int(np.searchsorted(self.validation_at, head, side="right"))

    def iteration(self, head: float) -> int:
        """The last iteration recorded by then."""
        at = self.history.train_step[: self.trained(head)][-1:].tolist()
        at += self.history.validation_step[: self.validated(head)][-1:].tolist()
        return int(max(at, default=0))

    def validation_series(self, algorithm: str, head: float) -> list[Series]:
        """Validation after adaptation up to that time."""
        table, mark = self.history.validation, mark_of(algorithm)
        n = self.validated(head)
        if table.ndim != 2 or not table.shape[1]:
            return []
        after = table[:n, -1]
        wide = self.history.validation_ci95
        half = wide[:n, -1] if wide.shape == table.shape else np.full(n, np.nan)
        steps = self.history.validation_step[:n]
        return [
            Series(algorithm, steps, after, mark.colour, mark.shape, mark.dashed, after - half, after + half)
        ]

    def loss_series(self, algorithm: str, head: float) -> list[Series]:
        """Outer loss up to that time."""
        n, mark = self.trained(head), mark_of(algorithm)
        return [
            Series(
                algorithm, self.history.train_step[:n], self.history.outer_loss[:n], mark.colour, mark.shape
            )
        ]

    def values(self, head: float) -> tuple[float | None, float | None, float | None]:
        """(outer loss, validation before, validation after adaptation) last recorded by then."""
        table, n = self.history.validation, self.validated(head)
        row = table[n - 1] if table.ndim == 2 and n and table.shape[1] else np.empty(0)
        loss = self.history.outer_loss[: self.trained(head)][-1:]
        before = _number(row[:1]) if row.size > 1 else None
        return _number(loss), before, _number(row[-1:])


def playback_of(history: History) -> Playback:
    """The history on a clock that stands still while the run was paused, stopped or gone."""
    times = np.concatenate([history.train_time, history.validation_time])
    order = np.argsort(times, kind="stable")
    rising = np.nan_to_num(times[order])
    if not rising.size:
        return Playback(history, np.empty(0), np.empty(0))
    distances = np.clip(np.diff(rising, prepend=rising[0]), 0, None)
    usual = float(np.median(distances[1:])) if distances.size > 1 else 0.0
    distances[distances > max(GAP_SECONDS, 20 * usual)] = usual
    elapsed = np.empty_like(distances)
    elapsed[order] = np.cumsum(distances)
    n = history.train_time.size
    return Playback(history, np.maximum.accumulate(elapsed[:n]), np.maximum.accumulate(elapsed[n:]))


def _number(value: Column) -> float | None:
    return float(value[0]) if value.size and np.isfinite(value[0]) else None
