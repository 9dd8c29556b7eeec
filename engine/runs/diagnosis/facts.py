"""All that a diagnosis judges by, read from a run's folder: whatever is missing or broken is absent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import RequestError
from engine.runs.columns import History, HistoryReader
from engine.runs.diagnosis.finding import Measure
from engine.runs.events import LONGEST_LINE
from engine.runs.files import from_json, open_regular
from engine.runs.results import read_evaluations
from engine.runs.sound_results import number, sound
from engine.runs.status import Status, read_status
from engine.runs.store import Run

if TYPE_CHECKING:
    from engine.presets import Spec

Column = NDArray[np.float64]

EARLY = 0.1
"""The first tenth of a training is not judged: an untrained model's inner loop gains nothing, its gradients
are large and its learned rates still on their way."""
RECENT = 1 / 3
"""What a training does now: its last third. Long enough for a median of noisy meta-batches, short enough
to leave out what it has grown out of."""
FEWEST = 5
"""Records that a median stands on: of fewer, two odd ones decide."""
_STEP = re.compile(rb'"step":\s*(\d{1,15})\b')
_NORM = re.compile(rb'"gradient_norm":\s*([-+0-9.eE]{1,30})')


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers by iteration, rising."""

    step: Column
    value: Column

    def between(self, begin: float, end: float) -> Column:
        """The values known of the iterations after `begin`, up to `end`."""
        values = self.value[(self.step > begin) & (self.step <= end)]
        return values[np.isfinite(values)]


@dataclass(frozen=True, eq=False)
class Facts:
    """One run as its files tell it; `spec` is None where spec.yaml cannot be read."""

    run: Run
    status: Status
    spec: "Spec | None"
    spec_fault: str
    """Why there is no spec."""
    history: History
    gradient: Series
    """The norm of the whole meta-gradient of each recorded iteration, before it is clipped."""
    speed: Series
    """Iterations a second."""
    evaluations: tuple[Mapping[str, Any], ...] = field(default=())

    @cached_property
    def done(self) -> int:
        """Iterations done, as far as events tell."""
        history = self.history
        ends = [float(steps[-1]) for steps in (history.train_step, history.validation_step) if len(steps)]
        return int(max(ends, default=0.0))

    @cached_property
    def planned(self) -> int:
        """Iterations asked for; those done of a run that its time limit ended."""
        if self.status.state == "finished":
            return self.done
        asked = self.spec.training.iterations if self.spec is not None else self.status.steps
        return max(asked, self.done)

    @property
    def ended(self) -> bool:
        """Whether the training has come to its end."""
        return self.status.state == "finished" or self.done >= self.planned > 0

    @property
    def early(self) -> bool:
        """Whether the training is too young to be judged."""
        return self.is_early(self.done)

    def is_early(self, step: float) -> bool:
        """Whether what was told of that iteration is of a training too young to be judged."""
        return step <= EARLY * self.planned

    @cached_property
    def measure(self) -> Measure:
        """How the metric is told."""
        sine = self.spec is not None and self.spec.task.dataset == "sine"
        return Measure("mse" if sine or self.status.summary.get("metric") == "mse" else "accuracy")

    @cached_property
    def begin(self) -> float:
        """The iteration after which records are recent."""
        return max(EARLY * self.planned, (1 - RECENT) * self.done)

    def recent(self, table: NDArray[Any]) -> NDArray[np.float64]:
        """The recent rows of a table `[n, ...]` of training records; none where it has no columns."""
        if table.ndim == 2 and not table.shape[1]:
            return np.empty((0, 0))
        if len(table) != len(self.history.train_step):
            return np.empty((0,) * table.ndim)
        rows: NDArray[np.float64] = table[self.history.train_step > self.begin].astype(np.float64)
        return rows

    @cached_property
    def validations(self) -> tuple[Column, Column, Column]:
        """Iterations `[m]`, the metric after adaptation and its half-width, of finite ones; accuracy is a
        fraction."""
        history = self.history
        if not history.validation.size or history.validation.ndim != 2:
            return np.empty(0), np.empty(0), np.empty(0)
        value, width = history.validation[:, -1], history.validation_ci95[:, -1]
        known = np.isfinite(value) & np.isfinite(width)
        return history.validation_step[known], value[known], width[known]


def gather(run: Run) -> Facts:
    """Reads the run's folder. Raises nothing for whatever it holds."""
    spec, fault = _spec(run)
    reader = HistoryReader(run)
    history = reader.read(1.0)
    while history.progress < 1:
        history = reader.read(1.0)
    gradient, speed = _series(run.events_path)
    evaluations = (sound(each) for each in read_evaluations(run))
    known = tuple(each for each in evaluations if each is not None)
    return Facts(run, read_status(run), spec, fault, history, gradient, speed, known)


def _spec(run: Run) -> "tuple[Spec | None, str]":
    from engine.presets import load_spec

    try:
        return load_spec(run.spec_path), ""
    except (RequestError, OSError, ValueError, RecursionError) as error:
        return None, str(error)


def _series(path: Path) -> tuple[Series, Series]:
    """The meta-gradient's norms and the speeds, which columns of charts leave out.

    Lines of training records, nearly all, are searched and not parsed: a million of them take seconds else.
    """
    norms: dict[int, float] = {}
    speeds: dict[int, float] = {}
    try:
        with open_regular(path) as file:
            while line := file.readline(LONGEST_LINE):
                if not line.endswith(b"\n"):
                    break
                if b'"train"' in line:
                    step, norm = _STEP.search(line), _NORM.search(line)
                    if step and norm:
                        norms[int(step[1])] = _float(norm[1])
                elif b'"resumed"' in line or b'"speed"' in line:
                    _take(line, norms, speeds)
    except OSError:
        pass  # A run that was never begun has no events.
    return _rising(norms), _rising(speeds)


def _take(line: bytes, norms: dict[int, float], speeds: dict[int, float]) -> None:
    try:
        event = from_json(line)
    except ValueError:
        return
    step = event.get("step") if isinstance(event, dict) else None
    if type(step) is not int or not 0 <= step < 10**15:
        return
    if event.get("kind") == "resumed":
        # What came after the checkpoint is done again.
        for kept in (norms, speeds):
            for later in [each for each in kept if each > step]:
                del kept[later]
    elif event.get("kind") == "speed":
        speed = number(event.get("iterations_per_second"))
        if speed is not None and speed > 0:
            speeds[step] = speed


def _float(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _rising(values: dict[int, float]) -> Series:
    steps = sorted(values)
    return Series(np.array(steps, np.float64), np.array([values[step] for step in steps], np.float64))
