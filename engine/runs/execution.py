"""Carrying a plan out: trainings begun at once, then all tested by one worker, all of it in other processes.

The classes here look and ask; they print nothing. Call `poll` every few tenths of a second until `done`.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.presets import ImageTask, Spec
from engine.runs.comparison import ACTIONS, Plan, PlannedRow, Training
from engine.runs.control import ask, asked
from engine.runs.processes import reopened, resume_run, say, start_together, start_worker
from engine.runs.reports import RowRuns, Trained, table
from engine.runs.status import Status, StatusWatcher, read_status
from engine.runs.store import Run, create_run, metric_of
from engine.runs.testing import Test, Tests
from engine.runs.together import alone, alone_text, but_for_seed


@dataclass
class Followed:
    """A training under way: its run, whether it was begun here, and the last status read."""

    training: Training
    run: Run
    own: bool
    status: Status = field(init=False)
    ending: bool = False
    """Whether it had been asked to end before we came to wait for it: it is resumed once it has."""

    def __post_init__(self) -> None:
        self._watcher = StatusWatcher(self.run)
        self.look()

    def look(self) -> None:
        """Reads the status."""
        self.status = self._watcher.read()

    @property
    def done(self) -> bool:
        """Whether nothing more is to be waited for."""
        return not self.status.alive


class Trainings:
    """The trainings of a plan, as processes: begun, resumed or only waited for."""

    def __init__(
        self,
        planned: Sequence[Training],
        runs_dir: Path,
        data_dir: Path,
        name: str | None = None,
        processes: int | None = None,
    ) -> None:
        self.planned, self.runs_dir, self.data_dir, self.name = planned, runs_dir, data_dir, name
        self.processes = processes
        """How many share each batch of trainings begun or resumed here; none: as before, or one."""
        self.followed: list[Followed] = []

    def begin(self) -> None:
        """Starts all of them; they queue for the device in this order.

        Raises RequestError where one cannot be started, as in a runs folder that cannot be written; what was
        begun before it is asked to stop then.
        """
        several = len({label for training in self.planned for label in training.labels}) > 1
        try:
            for group in self._groups():
                why = alone(group[0].spec, self.processes) if len(group) > 1 else None
                together = len(group) > 1 and why is None
                for each in self._begin_together(group, several) if together else group:
                    self._begin(each, self._name(each, several), why)
            places = {id(training): place for place, training in enumerate(self.planned)}
            self.followed.sort(key=lambda item: places[id(item.training)])
        except (RequestError, OSError):
            self.poll()
            self.stop()
            raise

    def _name(self, training: Training, several: bool) -> str | None:
        """Rows under one name are told apart by their labels."""
        return f"{self.name} {training.labels[0]}" if self.name and several else self.name

    def _groups(self) -> list[list[Training]]:
        """The trainings that are planned, those together that one process may train: seeds of one spec."""
        groups: dict[str, list[Training]] = {}
        for at, training in enumerate(self.planned):
            own = training.action in ("train", "retrain", "resume")
            groups.setdefault(but_for_seed(training.spec) if own else str(at), []).append(training)
        return [*groups.values()]

    def _begin_together(self, group: Sequence[Training], several: bool) -> Sequence[Training]:
        """Begins or resumes them in one process; returns those that are to be begun each by itself."""
        opened: list[tuple[Run, int]] = []
        apart: list[Training] = []
        try:
            for training in group:
                lock = self._opened(training, self._name(training, several))
                if lock is None:
                    apart.append(training)
                elif training.run is not None:
                    opened.append((training.run, lock))
                    self.followed.append(Followed(training, training.run, True))
        finally:
            if opened:
                start_together(opened, self.data_dir)
        return apart

    def _opened(self, training: Training, name: str | None) -> int | None:
        """The descriptor of the lock of a run made for it, or made queued again; None where somebody else has
        taken it since the plan was made."""
        if training.action != "resume" or training.run is None:
            training.run, lock = create_run(self.runs_dir, training.spec, name)
            return lock
        if read_status(training.run).more.get("processes", 1) != 1:
            return None
        try:
            return reopened(training.run)
        except RequestError:
            return None

    def _begin(self, training: Training, name: str | None, apart: str | None) -> None:
        """Begins one, or waits for it; `apart` is why it does not train together with other seeds begun."""
        own = training.action in ("train", "retrain", "resume")
        if training.action == "resume" and training.run is not None:
            own = self._resume(training, training.run)
        elif own:
            training.run, lock = create_run(self.runs_dir, training.spec, name)
            if apart is not None:
                say(training.run, together=alone_text(apart))
            start_worker(training.run, lock, self.data_dir, self.processes)
        assert training.run is not None
        followed = Followed(training, training.run, own)
        followed.ending = training.action == "wait" and bool(asked(training.run) & {"stop", "pause"})
        self.followed.append(followed)

    def _resume(self, training: Training, run: Run) -> bool:
        """Resumes the run; False where somebody else has done so since the plan was made."""
        try:
            resume_run(run, self.data_dir, training.data_dir, self.processes)
        except RequestError:
            state = read_status(run).state
            if state not in ACTIONS or ACTIONS[state] not in ("wait", "reuse"):
                raise
            training.action = ACTIONS[state]
            return False
        return True

    def poll(self) -> None:
        """Reads the status of every training that is not over."""
        for item in self.followed:
            if not item.done:
                item.look()
            if item.ending and item.status.state in ("stopped", "paused"):
                item.ending = False
                item.own = self._resume(item.training, item.run)
                item.look()

    @property
    def done(self) -> bool:
        """Whether every training is over, well or not."""
        return all(item.done for item in self.followed)

    def stop(self) -> list[Followed]:
        """Asks the trainings begun here to stop at a checkpoint; those waited for are not ours and go on."""
        ours = [item for item in self.followed if item.own and not item.done]
        for item in ours:
            # One that has ended since the last look needs no word.
            with contextlib.suppress(RequestError):
                ask(item.run, "stop")
        return ours


@dataclass
class Execution:
    """A whole comparison under way: trainings, the tests that follow them, and the tables at the end."""

    plan: Plan
    trainings: Trainings
    tests: Tests
    wanted: dict[tuple[str, int, str], Test] = field(default_factory=dict)

    def poll(self) -> None:
        """One look at everything; once no training is under way, one worker is asked for all tests.

        Before that it would only wait for the device, behind trainings that stand in line already.
        """
        self.trainings.poll()
        if self.trainings.done:
            ready = self._ready()
            self.wanted.update(ready)
            self.tests.request(ready.values())
        self.tests.poll()

    @property
    def done(self) -> bool:
        """Whether all that can be known is known."""
        return self.trainings.done and self.tests.done and not self._ready()

    def failed(self) -> bool:
        """Whether any training or test did not come to its end."""
        return any(item.status.state != "finished" for item in self.trainings.followed) or any(
            test.error is not None for test in self.tests.tests
        )

    def tables(self) -> list[dict[str, Any]]:
        """One table for each task tested on, as contracts §4 has it."""
        return [self._table(task) for task in self.plan.tasks]

    def _ready(self) -> dict[tuple[str, int, str], Test]:
        """The tests whose training has finished and that nobody has asked for yet."""
        finished = {id(item.training) for item in self.trainings.followed if item.status.state == "finished"}
        ready: dict[tuple[str, int, str], Test] = {}
        for row in self.plan.rows:
            for task, specs in row.tests.items():
                for index, (training, spec) in enumerate(zip(row.trainings, specs, strict=True)):
                    key = (f"{row.label}\0{row.trained_on}", index, task)
                    if id(training) in finished and key not in self.wanted and training.run is not None:
                        ready[key] = Test(training.run, spec, row.label)
        return ready

    def _table(self, task: str) -> dict[str, Any]:
        rows = [row for row in self.plan.rows if task in row.tests]
        baselines = [row for row in rows if row.is_baseline]
        baseline = next(
            (row for row in baselines if row.trained_on == task), baselines[0] if baselines else None
        )
        spec = rows[0].tests[task][0]
        protocol: dict[str, Any] = {
            "episodes": spec.evaluation.episodes,
            "statistics": spec.evaluation.statistics,
            "budget": self.plan.options.budget,
            "seeds": list(self.plan.seeds),
        }
        if len({row.tests[task][0].evaluation.statistics for row in rows}) > 1:
            del protocol["statistics"]
        return table(
            task,
            [self._row(row, task) for row in rows],
            baseline.label if baseline else None,
            protocol,
            metric_of(spec),
            isinstance(spec.task, ImageTask),
        )

    def _row(self, row: PlannedRow, task: str) -> RowRuns:
        by_training = {id(item.training): item for item in self.trainings.followed}
        tests = [
            self.wanted.get((f"{row.label}\0{row.trained_on}", index, task))
            for index in range(len(row.trainings))
        ]
        results = tuple(test.result if test else None for test in tests)
        spec = row.tests[task][0]
        published = spec.origin.published
        statuses = [by_training[id(training)].status for training in row.trainings]
        iterations = next(
            (status.step for status, result in zip(statuses, results, strict=True) if result), None
        )
        return RowRuns(
            label=row.label,
            algorithm=row.algorithm,
            trained_on=row.trained_on,
            seeds=tuple(training.seed for training in row.trainings),
            runs=tuple(training.run.path.name if training.run else None for training in row.trainings),
            results=results,
            set=row.set,
            published=published.figure(task, row.trained_on) if published else None,
            trained=tuple(Trained(s.step, s.steps, s.more.get("seconds")) for s in statuses),
            time_limit=spec.training.time_limit,
            tasks_seen=_over_seeds(tasks_seen(spec, iterations), sum(each is not None for each in results)),
            normalised=normalises(spec),
            error=self._error(row, tests),
        )

    def _error(self, row: PlannedRow, tests: Sequence[Test | None]) -> str | None:
        by_training = {id(item.training): item for item in self.trainings.followed}
        messages = []
        for training, test in zip(row.trainings, tests, strict=True):
            item = by_training[id(training)]
            message = test.error if test else None
            if item.done and item.status.state != "finished":
                message = f"{item.status.state} at step {item.status.step}"
                if item.status.error:
                    message = f"{item.status.state}: {item.status.error}"
            if message:
                messages.append(f"seed {training.seed}: {message}" if len(row.trainings) > 1 else message)
        return "; ".join(messages) or None


def prepared(plan: Plan, runs_dir: Path, data_dir: Path, name: str | None = None) -> Execution:
    """Everything that the plan has to train and to test, nothing of it begun: `trainings.begin()` does."""
    return Execution(plan, Trainings(plan.trainings, runs_dir, data_dir, name), Tests(data_dir))


def _over_seeds(seen: int | None, seeds: int) -> int | None:
    """Tasks of all seeds together, as seconds of training are."""
    return None if seen is None else seen * seeds


def normalises(spec: Spec) -> bool:
    """Whether the model has layers that need batch statistics."""
    return spec.model.norm == "batch" and spec.model.name != "pixels"


def tasks_seen(spec: Spec, iterations: int | None) -> int | None:
    """Training tasks, or for joint training as many tasks as its examples would make; 0 without training."""
    if iterations is None:
        return None
    training = spec.training
    if spec.outer.rule != "joint" or training.examples_per_batch is None:
        return iterations * training.tasks_per_batch
    ways = (training.ways or spec.task.ways) if isinstance(spec.task, ImageTask) else 1
    shots, queries = training.shots or spec.task.shots, training.queries or spec.task.queries
    return round(iterations * training.examples_per_batch / (ways * (shots + queries)))
