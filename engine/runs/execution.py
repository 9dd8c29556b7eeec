"""Carrying a plan out: trainings begun at once, then all tested by one worker, all of it in other processes.

What is here looks and asks; it prints nothing. Call `poll` every few tenths of a second until `done`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.presets import ImageTask
from engine.runs.comparison import Plan, PlannedRow
from engine.runs.reports import RowRuns, Trained, table
from engine.runs.spec_facts import normalises, tasks_seen
from engine.runs.store import metric_of
from engine.runs.testing import Test, Tests
from engine.runs.trainings import Trainings


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
