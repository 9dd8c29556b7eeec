"""A finished run's history played back: what of it was recorded up to a time of training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from engine.runs.columns import History
from tui.bench.inner import fan_of, gain_of
from tui.bench.waves import fit_curves
from tui.charts.series import Series
from tui.marks import mark_of

Column = NDArray[np.float64]
SPEEDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
WISHED_SECONDS = 20.0
"""The speed at first is the least that plays the whole run within this time."""


@dataclass(frozen=True, eq=False)
class Playback:
    """What was recorded and when: elapsed training time in seconds, pauses left out."""

    history: History

    @property
    def length(self) -> float:
        """Seconds of training from the first record to the last."""
        return self.history.seconds

    def first_speed(self) -> int:
        """How many times faster than it was the run is played at first."""
        fitting = (speed for speed in SPEEDS if self.length / speed <= WISHED_SECONDS)
        return next(fitting, SPEEDS[-1])

    def trained(self, head: float) -> int:
        """How many training records lie up to that time."""
        return int(np.searchsorted(self.history.train_at, head, side="right"))

    def validated(self, head: float) -> int:
        """How many validations lie up to that time."""
        return int(np.searchsorted(self.history.validation_at, head, side="right"))

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

    def inner_loops(self, algorithm: str, head: float) -> list[Series]:
        """Support loss against inner steps up to that time, as Bench shows it; none without inner steps."""
        n = self.trained(head)
        return fan_of(self.history.support_loss[:n], self.history.train_step[:n], algorithm)

    def fit(self, algorithm: str, head: float) -> list[Series]:
        """The fit of one sine task recorded last by then, as Bench shows it; none where none was."""
        last, mark = self.iteration(head), mark_of(algorithm)
        fits = [fit for fit in self.history.fits if fit["step"] <= last]
        return fit_curves(fits[-1], mark.colour, mark.shape) if fits else []

    def gain(self, metric: str, head: float, width: int) -> Text | None:
        """The meta-gain of the last validation by that time, as Bench shows it; None without inner steps."""
        table = self.history.validation[: self.validated(head)]
        return gain_of(self.history.validation_steps, table, metric, width)

    def values(self, head: float) -> tuple[float | None, float | None, float | None]:
        """(outer loss, validation before, validation after adaptation) last recorded by then."""
        table, n = self.history.validation, self.validated(head)
        row = table[n - 1] if table.ndim == 2 and n and table.shape[1] else np.empty(0)
        loss = self.history.outer_loss[: self.trained(head)][-1:]
        before = _number(row[:1]) if row.size > 1 else None
        return _number(loss), before, _number(row[-1:])


def _number(value: Column) -> float | None:
    return float(value[0]) if value.size and np.isfinite(value[0]) else None
