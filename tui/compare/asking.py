"""What can be tested from here: rows without a result, or all on more episodes; and what never can be."""

from collections.abc import Collection, Sequence
from pathlib import Path

from engine.data import check_task_fits
from engine.errors import RequestError
from engine.presets import Spec, load_spec, resolve, training_key
from engine.runs.listing import Summary
from engine.runs.reports import RowRuns
from engine.runs.standing import Standing
from engine.runs.testing import Test, spec_of_test, tested_checkpoint

NEVER = "cannot be tested"


def obstacle(standing: Standing, row: RowRuns, summary: Summary) -> str | None:
    """Why a finished run can never have a result in this table; None where it can. Reads files."""
    if tested_checkpoint(summary.run, summary.status) is None:
        return f"{NEVER}: it has no checkpoint"
    try:
        _spec_of_test(standing, row, summary, None)
    except (RequestError, OSError) as fault:
        return f"{NEVER}: {str(fault).removeprefix(f'{row.label}: ')}"
    return None


def wanted_tests(
    standing: Standing, episodes: int | None, data_dir: Path, left_alone: Collection[str] = ()
) -> tuple[list[Test], dict[str, str]]:
    """The tests of every finished run without a result here, or of all on `episodes`; and why, by run id,
    others cannot be tested. Runs of `left_alone`, by id, are passed over.

    Reads specs: never on the event loop. Raises RequestError where the task's data are not here.
    """
    finished = [
        (row, run) for row in standing.rows for run in standing.runs[row.label] if run.state == "finished"
    ]
    tests: list[Test] = []
    refused: dict[str, str] = {}
    for row, summary in standing.untested() if episodes is None else finished:
        if summary.id in left_alone:
            continue
        try:
            spec = _spec_of_test(standing, row, summary, episodes)
        except RequestError as fault:
            refused[summary.id] = f"{NEVER}: {str(fault).removeprefix(f'{row.label}: ')}"
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
