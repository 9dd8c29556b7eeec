"""Carrying a plan out: trainings begun at once, then all tested by one worker, all of it in other processes.

The classes here look and ask; they print nothing. Call `poll` every few tenths of a second until `done`.
"""

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.data import split_hash
from engine.errors import RequestError
from engine.presets import Spec, spec_to_dict
from engine.presets.schema import ImageTask
from engine.runs.comparison import Plan, PlannedRow, Training
from engine.runs.control import ask
from engine.runs.processes import resume_run, spawn, start_worker
from engine.runs.reports import RowRuns, table
from engine.runs.results import evaluation_id, pending_requests, read_result, withdraw_request, write_request
from engine.runs.status import Status, read_status
from engine.runs.store import Run, create_run

ACTIVE = ("queued", "starting", "running")


@dataclass
class Followed:
    """A training under way: its run, the last status read, and why it will not finish, if it will not."""

    training: Training
    run: Run
    own: bool
    status: Status
    error: str | None = None

    @property
    def done(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self.status.state not in ACTIVE


class Trainings:
    """The trainings of a plan, as processes: begun, resumed or only waited for."""

    def __init__(
        self, planned: Sequence[Training], runs_dir: Path, data_dir: Path, name: str | None = None
    ) -> None:
        """Starts all of them; they queue for the device in this order.

        Raises RequestError where the runs folder cannot be written.
        """
        several = len({label for training in planned for label in training.labels}) > 1
        self.followed = [
            # Rows under one name are told apart by their labels.
            self._begin(each, runs_dir, data_dir, f"{name} {each.labels[0]}" if name and several else name)
            for each in planned
        ]

    def _begin(self, training: Training, runs_dir: Path, data_dir: Path, name: str | None) -> Followed:
        own = training.action in ("train", "retrain", "resume")
        if training.action == "resume" and training.run is not None:
            resume_run(training.run, data_dir)
        elif own:
            training.run, lock = create_run(runs_dir, training.spec, name)
            start_worker(training.run, lock, data_dir)
        assert training.run is not None
        return Followed(training, training.run, own, read_status(training.run))

    def poll(self) -> None:
        """Reads the status of every training that is not over."""
        for item in self.followed:
            if not item.done:
                item.status = read_status(item.run)

    @property
    def done(self) -> bool:
        """Whether every training is over, well or not."""
        return all(item.done for item in self.followed)

    def stop(self) -> list[Followed]:
        """Asks the trainings begun here to stop at a checkpoint; those waited for are not ours and go on."""
        asked = [item for item in self.followed if item.own and not item.done]
        for item in asked:
            ask(item.run, "stop")
        return asked


@dataclass
class Test:
    """One evaluation wanted: of a run, under a spec. Its id is known once its checkpoint is."""

    run: Run
    spec: Spec
    label: str
    id: str | None = None
    checkpoint: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    handed_over: bool = False

    @property
    def done(self) -> bool:
        """Whether it is answered, well or not."""
        return self.result is not None or self.error is not None

    def progress(self) -> tuple[str, int, int] | None:
        """The phase, and how much of how much is done (0 of 0 before a worker is at it); None when over."""
        if self.id is None or self.done:
            return None
        try:
            value = json.loads((self.run.results / f".{self.id}.progress").read_text())
            return str(value["phase"]), int(value["done"]), int(value["total"])
        except (OSError, ValueError, KeyError, TypeError):
            return "waiting to be tested", 0, 0


class Tests:
    """Evaluations asked by request files of one background worker at a time, and their answers."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.tests: list[Test] = []
        self.worker: subprocess.Popen[bytes] | None = None

    def request(self, tests: Iterable[Test]) -> None:
        """Takes up these tests: what is answered already is read, the rest is asked."""
        for test in tests:
            self.tests.append(test)
            test.checkpoint = tested_checkpoint(test.run, read_status(test.run))
            if test.checkpoint is None:
                test.error = "there is no checkpoint to test"
                continue
            digest = test.checkpoint.removesuffix(".pt").rpartition("-")[2]
            test.id = evaluation_id(test.spec, digest, _split_hash(test.spec, self.data_dir))
            test.result = read_result(test.run, test.id)
            if test.result is None:
                _error_path(test).unlink(missing_ok=True)
                request = {"kind": "evaluate", "id": test.id, "spec": spec_to_dict(test.spec)}
                write_request(test.run, test.id, request | {"checkpoint": test.checkpoint})

    def poll(self) -> None:
        """Looks for answers, and starts a worker where there are questions and none is at them.

        A test that was there when a worker began, and is unanswered when that ends, has an error.
        """
        # Asked before answers are looked for: a worker that ends just after its last answer is no error.
        ended = self.worker.poll() if self.worker is not None else None
        for test in self.tests:
            if not test.done and test.id is not None:
                test.result = read_result(test.run, test.id)
                error = _error_path(test)
                if test.result is None and error.exists():
                    test.error = error.read_text(errors="replace").strip() or "the test failed"
        if ended is not None:
            for test in self.tests:
                if not test.done and test.handed_over:
                    test.error = f"the test's process ended with code {ended}; see {test.run.log_path}"
            self.worker = None
        waiting = [test for test in self.tests if not test.done]
        if waiting and self.worker is None:
            self.worker = start_evaluation([test.run for test in waiting], self.data_dir)
            for test in waiting:
                test.handed_over = True

    @property
    def done(self) -> bool:
        """Whether every test taken up is answered."""
        return all(test.done for test in self.tests)

    def cancel(self) -> None:
        """Ends the worker; unanswered requests are withdrawn."""
        if self.worker is not None and self.worker.poll() is None:
            self.worker.terminate()
        for test in self.tests:
            if not test.done and test.id is not None:
                withdraw_request(test.run, test.id)


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
        images = isinstance(spec.task, ImageTask)
        protocol: dict[str, Any] = {
            "episodes": spec.evaluation.episodes,
            "statistics": spec.evaluation.statistics,
            "budget": self.plan.options.budget,
            "seeds": list(self.plan.seeds),
        }
        if spec.training.time_limit is not None:
            protocol["time_limit"] = spec.training.time_limit
        if len({row.tests[task][0].evaluation.statistics for row in rows}) > 1:
            del protocol["statistics"]
        return table(
            task,
            [self._row(row, task) for row in rows],
            baseline.label if baseline else None,
            protocol,
            "accuracy" if images else "mse",
            images,
        )

    def _row(self, row: PlannedRow, task: str) -> RowRuns:
        tests = [
            self.wanted.get((f"{row.label}\0{row.trained_on}", index, task))
            for index in range(len(row.trainings))
        ]
        results = tuple(test.result if test else None for test in tests)
        spec = row.tests[task][0]
        published = spec.origin.published if row.trained_on == task else None
        iterations = next((result.get("train_iterations") for result in results if result), None)
        return RowRuns(
            label=row.label,
            algorithm=row.algorithm,
            trained_on=row.trained_on,
            seeds=tuple(training.seed for training in row.trainings),
            runs=tuple(training.run.path.name if training.run else None for training in row.trainings),
            results=results,
            set=row.set,
            published=published.model_dump() if published else None,
            tasks_seen=tasks_seen(spec, iterations),
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


def start(plan: Plan, runs_dir: Path, data_dir: Path, name: str | None = None) -> Execution:
    """Begins everything that the plan has to train; RequestError where the runs folder cannot be written."""
    return Execution(plan, Trainings(plan.trainings, runs_dir, data_dir, name), Tests(data_dir))


def tested_checkpoint(run: Run, status: Status) -> str | None:
    """The file name of the checkpoint that tests use: best on validation, else the last; None without any."""
    best = (status.best or {}).get("file")
    if best and (run.checkpoints / best).exists():
        return str(best)
    names = [path.name for path in run.checkpoints.glob("[0-9]*-*.pt")]
    return max(names, key=lambda name: int(name.partition("-")[0]), default=None)


def start_evaluation(runs: Sequence[Run], data_dir: Path) -> "subprocess.Popen[bytes]":
    """One detached worker that answers these runs' pending requests; what it says goes to the first's log."""
    folders = list(dict.fromkeys(str(run.path) for run in runs if pending_requests(run)))
    try:
        return spawn(["evaluate", *folders], runs[0].log_path, data_dir)
    except OSError as error:
        raise RequestError(
            f"cannot start a worker to test {runs[0].id}: {error.strerror or error}"
        ) from error


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


def _split_hash(spec: Spec, data_dir: Path) -> str:
    return split_hash(spec.task, data_dir) if isinstance(spec.task, ImageTask) else ""


def _error_path(test: Test) -> Path:
    return test.run.results / f".{test.id}.error"
