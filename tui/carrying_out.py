"""A planned comparison carried out in the foreground: trained, tested, its tables; narrated on the way."""

from pathlib import Path
from typing import Any

from engine.runs.comparison import Plan
from tui.output import emit, say


def carry_out(
    planned: Plan, runs_dir: Path, data_dir: Path, name: str | None, detach: bool
) -> tuple[list[dict[str, Any]] | None, int]:
    """The tables and the exit code; no tables where the runs were detached (their ids are printed) or the
    user interrupted."""
    from engine.runs.execution import prepared
    from tui.following import follow_execution, interrupted, tell_actions, tell_left
    from tui.preparing import prepare_images

    tested = [spec for row in planned.rows for specs in row.tests.values() for spec in specs]
    prepare_images([*(training.spec for training in planned.trainings), *tested], data_dir)
    for note in planned.notes:
        say(note)
    execution = prepared(planned, runs_dir, data_dir, name)
    try:
        execution.trainings.begin()
        tell_actions(planned.trainings, name)
        if detach:
            emit("\n".join(item.run.id for item in execution.trainings.followed))
            return None, 0
        follow_execution(execution)
    except KeyboardInterrupt:
        execution.tests.cancel()
        return None, interrupted(execution.trainings)
    tell_left(execution.trainings)
    return execution.tables(), 1 if execution.failed() else 0
