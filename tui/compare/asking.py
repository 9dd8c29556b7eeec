"""What can be tested from here: rows without a result, or all rows on more episodes."""

from collections.abc import Sequence
from pathlib import Path

from engine.data import check_task_fits
from engine.errors import RequestError
from engine.presets import Spec, load_spec, resolve, training_key
from engine.runs.listing import Summary
from engine.runs.reports import RowRuns
from engine.runs.standing import Standing
from engine.runs.testing import Test, spec_of_test


def wanted_tests(standing: Standing, episodes: int | None, data_dir: Path) -> tuple[list[Test], list[str]]:
    """The tests of every finished run without one here, or of all on `episodes`; and what cannot be tested.

    Reads specs: never on the event loop. Raises RequestError where the task's data are not here.
    """
    tests: list[Test] = []
    refused: list[str] = []
    for row in standing.rows:
        pairs = zip(standing.runs[row.label], row.results, strict=True)
        for summary in (run for run, result in pairs if episodes is not None or result is None):
            if summary.state != "finished":
                continue
            try:
                spec = _spec_of_test(standing, row, summary, episodes)
            except RequestError as fault:
                refused.append(str(fault))
                continue
            check_task_fits(spec, data_dir)
            tests.append(Test(summary.run, spec, row.label))
    return tests, refused


def _spec_of_test(standing: Standing, row: RowRuns, summary: Summary, episodes: int | None) -> Spec:
    """The spec that tests a run on the table's episodes."""
    overrides = protocol_overrides(standing, episodes)
    trained = load_spec(summary.run.spec_path)
    if (row.algorithm, standing.task) == (trained.origin.algorithm, trained.origin.task):
        return spec_of_test(trained, load_spec(summary.run.spec_path, overrides=overrides), row.label)
    budget = trained.origin.budget
    own = resolve(trained.origin.task, row.algorithm, budget=budget, seed=trained.seed).spec
    if training_key(own) != training_key(trained):
        raise RequestError(f"{row.label}: how it was tested is not on disk; kshot compare tests it again")
    return spec_of_test(
        own, resolve(standing.task, row.algorithm, budget=budget, overrides=overrides).spec, row.label
    )


def protocol_overrides(standing: Standing, episodes: int | None) -> Sequence[str]:
    """The table's protocol as `path=value` texts; `episodes` where more are wanted."""
    stated = dict(standing.protocol) | ({} if episodes is None else {"episodes": episodes})
    names = {"episodes": "episodes", "evaluation_seed": "seed", "statistics": "statistics"}
    return [
        f"evaluation.{path}={stated[name]}" for name, path in names.items() if stated.get(name) is not None
    ]
