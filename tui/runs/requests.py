"""What can be asked of runs, several at once, off the loop: a sentence comes back, or RequestError."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import RequestError
from engine.runs import Run, Summary, ask, fork_run, read_status, remove, resume_run, undo_remove
from engine.runs.processes import stop_paused
from tui.output import plain

Request = Callable[[Run], str]
LONGEST_NAME = 80
UNSAID = ("adaptation", "training", "task")
"""Sections that a fork's name leaves out: `steps 5`, but `outer learning rate 0.003`."""


def for_each(runs: Sequence[Run], request: Request, done: str) -> str:
    """Asks every run; one that refuses does not keep the others from it.

    Returns what `request` said of a single run, or how many were `done`. Raises RequestError with what was
    refused.
    """
    said, refused = [], []
    for run in runs:
        try:
            said.append(request(run))
        except (RequestError, OSError) as fault:
            refused.append(str(fault))
    if refused:
        others = f"; {len(said)} others {done}" if said else ""
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise RequestError(f"{refused[0]}{more}{others}")
    return said[0] if len(said) == 1 else f"{len(said)} runs {done}"


def stop(runs: Sequence[Run]) -> str:
    """Asks runs to write a checkpoint and end; one that is paused is stopped from then on."""
    return for_each(runs, _stopped, "asked to stop")


def pause(runs: Sequence[Run]) -> str:
    """Asks runs to write a checkpoint and wait for `resume`."""
    return for_each(runs, lambda run: _asked(run, "pause"), "asked to pause")


def resume(runs: Sequence[Run], data_dir: Path) -> str:
    """Starts workers on paused, stopped, crashed or failed runs."""

    def one(run: Run) -> str:
        resume_run(run, data_dir)
        return f"{run.id} goes on"

    return for_each(runs, one, "go on")


def move_to_trash(runs: Sequence[Run], removed: Callable[[str], object]) -> str:
    """Moves runs to the trash; calls `removed` with each one's id."""

    def one(run: Run) -> str:
        remove(run)
        removed(run.id)
        return f"{run.id} is in the trash; u puts it back"

    return for_each(runs, one, "are in the trash; u puts them back")


def put_back(runs_dir: Path, run_ids: Sequence[str]) -> str:
    """Takes these runs out of the trash again, or the last removed one where none are named."""
    if not run_ids:
        return f"{undo_remove(runs_dir).id} is back"
    runs = [Run(runs_dir / run_id) for run_id in run_ids]
    return for_each(runs, lambda run: f"{undo_remove(runs_dir, run.id).id} is back", "are back")


def fork(run: Run, overrides: Sequence[str], runs_dir: Path, data_dir: Path, name: str | None) -> str:
    """Trains a new run of that name from another one's spec with `path=value` texts."""
    forked, _ = fork_run(run, overrides, runs_dir, data_dir, name)
    return f"{name or forked.id} begins"


def derived_name(run: Summary, overrides: Sequence[str]) -> str:
    """`maml, steps 5, seed 1`: the run's name or its algorithm, and a fork's `path=value` texts."""
    changed = [part.partition("=") for part in overrides]
    words = [f"{_leaf(path)} {value}" for path, equals, value in changed if equals]
    return plain(", ".join([run.name or run.algorithm, *(words or ["again"])]))[:LONGEST_NAME]


def _leaf(path: str) -> str:
    section, _, rest = path.strip().rpartition(".")
    words = rest.replace("_", " ")
    return words if section.partition(".")[0] in ("", *UNSAID) else f"{section.rpartition('.')[2]} {words}"


def changes_of(run: Run, overrides: Sequence[str]) -> list[tuple[str, str, str]]:
    """(path, value before, value after) of what the overrides change in a run's spec.

    Raises RequestError in the schema's own words.
    """
    from engine.presets import load_spec, spec_to_dict

    for text in overrides:
        path, equals, _ = text.partition("=")
        if not equals or not path.strip():
            raise RequestError(f"{text}: write path.to.key=value")
    before = _leaves(spec_to_dict(load_spec(run.spec_path)))
    after = _leaves(spec_to_dict(load_spec(run.spec_path, overrides=overrides)))
    paths = [*after, *(path for path in before if path not in after)]
    changed = [path for path in paths if before.get(path) != after.get(path)]
    return [
        (path, _shown(before.get(path)), _shown(after.get(path)))
        for path in changed
        if not path.startswith("origin.")
    ]


def overrides_in(text: str) -> list[str]:
    """The `path=value` texts of a line, parted by spaces as a shell does. Raises RequestError."""
    try:
        return shlex.split(text)
    except ValueError as fault:
        raise RequestError(f"a quotation mark is not closed: {text}") from fault


def what_changes(run: Run, text: str, data_dir: Path) -> str:
    """What forking with these texts would change, a line each. Raises RequestError for what is wrong, as
    `fork_run` would."""
    from engine.data import check_task_fits
    from engine.devices import check_device
    from engine.presets import load_spec

    overrides = overrides_in(text)
    changed = changes_of(run, overrides)
    spec = load_spec(run.spec_path, overrides=overrides)
    check_device(spec.device, spec.training.precision)
    check_task_fits(spec, data_dir)
    if not changed:
        return "nothing is changed: the same training once more"
    return "\n".join(f"{path}  {before} → {after}" for path, before, after in changed)


def _stopped(run: Run) -> str:
    if read_status(run).state != "paused":
        return _asked(run, "stop")
    stop_paused(run)
    return f"{run.id}: stopped"


def _asked(run: Run, word: str) -> str:
    ask(run, word)
    return f"{run.id}: asked to {word} after a checkpoint"


def _leaves(tree: object, path: str = "") -> dict[str, object]:
    if not isinstance(tree, dict) or not tree:
        return {path: tree}
    leaves: dict[str, object] = {}
    for key, value in tree.items():
        leaves |= _leaves(value, f"{path}.{key}" if path else str(key))
    return leaves


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
