"""The comparison that the workbench began: trainings, then tests, polled by the reader's thread."""

from collections.abc import Sequence
from pathlib import Path

from engine.errors import RequestError
from engine.runs.comparison import Plan, plan, requested_comparison
from engine.runs.execution import Execution, prepared
from engine.runs.rows import Options
from tui.snapshot import SessionNow, TestNow


def planned(what: Sequence[str], options: Options, runs_dir: Path, data_dir: Path) -> Plan:
    """What starting these algorithms on that task would do; the baseline is added. Raises RequestError."""
    return plan(requested_comparison(what, None), options, runs_dir, data_dir)


class Session:
    """A plan being carried out. `begin` and `poll` read and write files: never on the event loop."""

    def __init__(self, plan: Plan, runs_dir: Path, data_dir: Path) -> None:
        self.plan = plan
        self.execution: Execution = prepared(plan, runs_dir, data_dir, None)
        self.error: str | None = None

    def begin(self) -> None:
        """Starts or resumes the trainings. Raises RequestError."""
        self.execution.trainings.begin()

    def poll(self) -> None:
        """One look; a fault ends the session with its sentence, never the app."""
        if self.error is None and not self.execution.done:
            try:
                self.execution.poll()
            except (RequestError, OSError) as fault:
                self.error = str(fault)

    def now(self) -> SessionNow:
        """The present state as a value."""
        runs = {
            row.label: tuple(training.run.id for training in row.trainings if training.run is not None)
            for row in self.plan.rows
        }
        tests = []
        for test in self.execution.tests.tests:
            found = test.progress()
            if found is not None:
                tests.append(TestNow(test.label, *found))
        done = self.error is not None or self.execution.done
        tables = tuple(self.execution.tables()) if done and self.error is None else ()
        return SessionNow(self.plan.tasks[0], runs, tuple(tests), tables, done, self.error)
