"""A run's events as columns: what charts draw, kept beside the run so that long histories open at once."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.runs.column_cache import load_columns, save_columns
from engine.runs.column_clock import training_seconds
from engine.runs.column_events import Gathered
from engine.runs.column_lines import Lines, Place
from engine.runs.store import Run

Column = NDArray[np.float64]
Table = NDArray[Any]

WORTH_KEEPING = 20_000


def _none() -> Column:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class History:
    """What a run recorded, by step; arrays are read-only.

    Times are seconds since 1970. Table columns are `[n, k + 1]` (before and after each of k inner steps) or
    `[n, k]`; what an event did not say, or was not finite, is NaN. Accuracy is a fraction. Steps rise: what a
    resumed run repeats counts once. Tables of training are float32, and `[n, 0]` where no event has them.
    """

    train_step: Column = field(default_factory=_none)
    train_time: Column = field(default_factory=_none)
    outer_loss: Column = field(default_factory=_none)
    support_loss: Table = field(default_factory=_none)
    query_loss: Table = field(default_factory=_none)
    metric: Table = field(default_factory=_none)
    """Accuracy or error of training queries before and after each inner step `[n, k + 1]`."""
    norms: Table = field(default_factory=_none)
    """The meta-gradient's norm at each inner step `[n, k]`."""
    rates: Mapping[str, Table] = field(default_factory=dict)
    """Learned inner rates by parameter tensor `[n, k]` after each training record; one column where they do
    not differ by inner step. At most 64 tensors, and none where there are too many numbers to keep."""
    moved: Mapping[str, Column] = field(default_factory=dict)
    """How far the inner loop moved each layer, |θ_k − θ_0| / |θ_0| `[n]`; bounded alike."""
    validation_step: Column = field(default_factory=_none)
    validation_time: Column = field(default_factory=_none)
    validation_steps: tuple[int, ...] = ()
    """The inner steps that the columns of `validation` belong to."""
    validation: Column = field(default_factory=_none)
    validation_ci95: Column = field(default_factory=_none)
    memory_bytes: float | None = None
    fit: Mapping[str, Any] | None = None
    """The last `fit` event of a sine run: one validation task's curve, points and predictions by step."""
    fits: tuple[Mapping[str, Any], ...] = ()
    """Some `fit` events by rising step, at most 64, evenly spaced over the run."""
    progress: float = 1.0
    """How much of the file was read, while a long one is read for the first time."""

    train_at: Column = field(init=False)
    """Seconds of training since the first record, pauses left out, at each training record."""
    validation_at: Column = field(init=False)
    """The same at each validation."""

    def __post_init__(self) -> None:
        # Here, and so on the thread that reads: a long history takes tens of milliseconds.
        train_at, validation_at = training_seconds(
            self.train_step, self.train_time, self.validation_step, self.validation_time
        )
        object.__setattr__(self, "train_at", train_at)
        object.__setattr__(self, "validation_at", validation_at)

    @property
    def seconds(self) -> float:
        """Seconds of training from the first record to the last."""
        return float(max(self.train_at[-1:].sum(), self.validation_at[-1:].sum()))


class HistoryReader:
    """Reads a run's events as they are appended; a long history goes on where the last call left it.

    Raises nothing for whatever the run's folder holds. For one thread at a time.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._begun = False
        self._size, self._kept = -1, 0
        self._place, self._gathered, self._history = Place(), Gathered(), History()

    def read(self, patience: float = 0.2) -> History:
        """Reads on for about `patience` seconds; the same object as before where nothing was added."""
        until = time.monotonic() + patience
        if not self._begun:
            self._begun = True
            self._take_kept()
        try:
            lines = Lines(self.run.events_path, self._place)
        except OSError:
            return self._history
        try:
            self._read_on(lines, until)
        except OSError:
            pass  # A file server that is away for a moment: what was read before still holds.
        finally:
            lines.close()
        return self._history

    def _read_on(self, lines: Lines, until: float) -> None:
        if lines.size == self._size and lines.inode == self._place.inode and self._history.progress == 1:
            return
        if not lines.continues():
            self._forget()
            lines.place = self._place
        offset, ended = self._place.offset, False
        while not ended and (self._place.offset == offset or time.monotonic() < until):
            found = lines.block()
            ended = found is None
            if found:
                self._gathered.add(found)
        self._size = lines.size
        progress = 1.0 if ended else min(self._place.offset / max(lines.size, 1), 0.999)
        if self._place.offset != offset or progress != self._history.progress:
            self._history = History(**self._gathered.fields(), progress=progress)
        if ended:
            self._keep()

    def _forget(self) -> None:
        self._place, self._gathered, self._history = Place(), Gathered(), History()
        self._size, self._kept = -1, 0

    def _take_kept(self) -> None:
        kept = load_columns(self.run)
        if kept is not None:
            self._place, self._gathered = kept
            self._kept = self._gathered.events
            self._history = History(**self._gathered.fields())

    def _keep(self) -> None:
        """Keeps the columns once enough was added; of long histories seldom, since they are written whole."""
        new = self._gathered.events - self._kept
        if new > max(WORTH_KEEPING, self._kept // 10) and not self._place.overlong:
            save_columns(self.run, self._place, self._gathered)
            self._kept = self._gathered.events
