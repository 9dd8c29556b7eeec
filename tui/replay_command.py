"""`kshot runs replay-step`: the iteration that went bad, done again and looked at."""

import json as reader
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tui import options as given
from tui.output import columns, emit, emit_json, say


def replay_step(
    run: given.RunName,
    step: Annotated[
        int | None, typer.Option("--step", min=1, help="The iteration; without it, the one that went bad.")
    ] = None,
    json: given.Json = False,
    runs_dir: given.RunsDir = None,
    data_dir: given.DataDir = None,
) -> int:
    """Do one iteration again and look at it.

    It starts from the newest checkpoint before it and prints each task's losses and
    which parameters are not finite. The run stays as it is."""
    from engine.errors import RequestError
    from engine.runs import find_run, read_status
    from engine.runs.processes import data_folder_of

    folder, data_folder = given.folders(runs_dir, data_dir)
    found = find_run(folder, run)
    if step is None:
        told = read_status(found).more.get("diverged")
        number = told.get("iteration") if isinstance(told, dict) else None
        if not isinstance(number, int) or number < 1:
            raise RequestError(
                f"run {found.id} was not stopped by such numbers; name an iteration with --step"
            )
        step = number
    where = data_folder if data_dir is not None else data_folder_of(found, data_folder)
    lines, code = _replayed(found.path, step, where)
    for line in lines:
        report = reader.loads(line)
        if "note" in report:
            say(report["note"])
        elif json:
            emit_json(report)
        else:
            emit(report_text(report))
    return code


def _replayed(run: Path, step: int, data_folder: Path | None) -> tuple[list[str], int]:
    """What a worker prints of the step, and the exit code, whose reason is said."""
    from engine.runs.processes import worker_command, worker_environment

    child = subprocess.Popen(
        worker_command("replay", str(run), str(step)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=worker_environment(data_folder),
    )
    try:
        output, complaint = child.communicate()
    except KeyboardInterrupt:
        child.terminate()
        raise
    if child.returncode == 0:
        return output.splitlines(), 0
    last = complaint.strip().splitlines()
    say(last[-1] if last else f"kshot: the replay ended with code {child.returncode}")
    return [], 2 if child.returncode == 2 else 1


def report_text(report: Mapping[str, Any]) -> str:
    """A report of the worker: what the step came to, where it went bad, and a line a task."""
    what = f"the {report['what']} is not finite" if report["what"] else "all of it is finite"
    if report["what"] == "parameters":
        what = "after it, parameters are not finite"
    lines = [
        f"iteration {report['iteration']:,}: {what}",
        f"loss {_number(report['loss'])}, norm of the gradient {_number(report['gradient_norm'])}",
    ]
    if report["what"] and report["words"]:
        lines.append(f"it begins at {report['words']}")
    if report["gradient"]:
        lines.append(f"gradients that are not finite: {_names(report['gradient'])}")
    if report["tasks"]:
        rows = [
            [
                str(task["task"]),
                f"{task['index']:,}",
                _number(task["support_loss"][0]) if task["support_loss"] else "",
                _number(task["support_loss"][-1]) if task["support_loss"] else "",
                _number(task["query_loss"]),
                _names(task["bad"]),
            ]
            for task in report["tasks"]
        ]
        headings = ["task", "number", "support loss, first", "last", "query loss", "not finite"]
        lines += ["", columns(headings, rows, right=(0, 1, 2, 3, 4))]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    """A loss; what is not finite comes as null."""
    return "not finite" if value is None else f"{value:.6g}"


def _names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
