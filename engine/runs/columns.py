"""A run's events as columns: what charts draw, kept beside the run so that long histories open at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]


def _none() -> Column:
    return np.empty(0)


@dataclass(frozen=True)
class History:
    """What a run recorded, by step; arrays are read-only.

    Times are seconds since 1970. Table columns are `[n, k + 1]` (before and after each of k inner steps) or
    `[n, k]`; what an event did not say, or was not finite, is NaN. Accuracy is a fraction.
    """

    train_step: Column = field(default_factory=_none)
    train_time: Column = field(default_factory=_none)
    outer_loss: Column = field(default_factory=_none)
    gradient_norm: Column = field(default_factory=_none)
    outer_rate: Column = field(default_factory=_none)
    support_loss: Column = field(default_factory=_none)
    query_loss: Column = field(default_factory=_none)
    metric: Column = field(default_factory=_none)
    """Accuracy or error of training queries before and after each inner step `[n, k + 1]`."""
    norms: Column = field(default_factory=_none)
    """The meta-gradient's norm at each inner step `[n, k]`."""
    validation_step: Column = field(default_factory=_none)
    validation_time: Column = field(default_factory=_none)
    validation_steps: tuple[int, ...] = ()
    """The inner steps that the columns of `validation` belong to."""
    validation: Column = field(default_factory=_none)
    validation_ci95: Column = field(default_factory=_none)
    speed_step: Column = field(default_factory=_none)
    speed: Column = field(default_factory=_none)
    memory_bytes: float | None = None
    phases: tuple[tuple[float, str], ...] = ()
    """(time, name) of each starting phase and what followed, oldest first; the last 200."""
    notes: tuple[tuple[float, str], ...] = ()
    fit: Mapping[str, Any] | None = None
    """The last `fit` event of a sine run: one validation task's curve, points and predictions by step."""
    progress: float = 1.0
    """How much of the file was read, while a long one is read for the first time."""
