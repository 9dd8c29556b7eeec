"""Run directories: where they are, what is in one, how one is made and found again."""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from engine.folders import at_home, user_folder
from engine.runs.files import plain, sync_folder, to_json, write_whole
from engine.runs.locks import lock_within, probe, same_file

if TYPE_CHECKING:
    from engine.presets import Spec

FOLDERS = ("checkpoints", "results", "requests", "control")
TEMPORARY = ".new-"
TRASH = ".trash"
LONGEST_SLUG = 80


@dataclass(frozen=True)
class Run:
    """One run directory; nothing is read until asked."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def spec_path(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def status_path(self) -> Path:
        return self.path / "status.json"

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def results(self) -> Path:
        return self.path / "results"

    @property
    def requests(self) -> Path:
        return self.path / "requests"

    @property
    def control(self) -> Path:
        return self.path / "control"

    @property
    def lock_path(self) -> Path:
        return self.path / "lock"

    @property
    def log_path(self) -> Path:
        return self.path / "log.txt"


def runs_folder(override: Path | None = None) -> Path:
    """The runs folder: `--runs-dir`, else KSHOT_RUNS, else the user's data folder. It need not exist yet."""
    if override is not None:
        return at_home(override).absolute()
    if given := os.environ.get("KSHOT_RUNS"):
        return at_home(given).absolute()
    return user_folder("XDG_DATA_HOME", ".local/share") / "kshot" / "runs"


def create_run(
    runs_dir: Path, spec: "Spec", name: str | None = None, parent: str | None = None
) -> tuple[Run, int]:
    """Make a run's directory, queued and locked; returns it with the descriptor that holds its lock.

    `parent` is the id of the run that it was forked from.

    It is built under a dot-name, locked there and renamed into place, so no reader ever sees it unfinished or
    unlocked. Raises RequestError when the runs folder cannot be written to; nothing is left then.
    """
    run_id = new_id(spec, name)
    temporary = runs_dir / f"{TEMPORARY}{run_id}"
    descriptor: int | None = None
    ours = False
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        ours = True
        for folder in FOLDERS:
            (temporary / folder).mkdir()
        descriptor = lock_within(temporary / "lock", 0)
        if descriptor is None:
            raise OSError("its lock is taken")
        _write_first_files(temporary, spec, name, parent)
        final = runs_dir / run_id
        temporary.rename(final)
        sync_folder(runs_dir)
    except BaseException as error:
        if descriptor is not None:
            os.close(descriptor)
        if ours:
            shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise RequestError(
                f"cannot make a run in {runs_dir}: {error.strerror or error}; "
                "name a folder that can be written to with --runs-dir or KSHOT_RUNS"
            ) from error
        raise
    return Run(final), descriptor


def _write_first_files(folder: Path, spec: "Spec", name: str | None, parent: str | None) -> None:
    from engine.presets import NUMERICS_VERSION, spec_to_dict, training_key
    from engine.runs.status import first_status

    key = training_key(spec)
    content: dict[str, Any] = {**spec_to_dict(spec), "key": key}
    write_whole(folder / "spec.yaml", yaml_text(content).encode())
    summary = {
        "name": name,
        "parent": parent,
        "kind": spec.kind,
        "task": spec.origin.task,
        "algorithm": spec.origin.algorithm,
        "budget": spec.origin.budget,
        "seed": spec.seed,
        "metric": metric_of(spec),
        "key": key,
        "numerics": NUMERICS_VERSION,
    }
    iterations = 0 if spec.outer.rule == "none" else spec.training.iterations
    status = first_status(steps=iterations, device=spec.device, summary=summary)
    write_whole(folder / "status.json", to_json(status, indent=1))


def check_unchanged(run: Run, spec: "Spec", summary: Mapping[str, Any]) -> None:
    """Refuses to go on by a spec that is not the one which the run was begun with, as `summary` (of its
    status) tells: a flipped bit would train something else, silently.

    Nothing is told by the status of another version of kshot, nor by one that was lost. Raises RequestError.
    """
    from engine.presets import NUMERICS_VERSION, training_key

    if summary.get("numerics") != NUMERICS_VERSION:
        return
    if (summary.get("key"), summary.get("seed")) != (training_key(spec), spec.seed):
        raise RequestError(
            f"{run.spec_path} is not what the run was begun with; "
            f"kshot train {run.spec_path} begins a run with what it says now"
        )


def yaml_text(content: dict[str, Any]) -> str:
    """`content` as YAML, keys in their order."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(
        content, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )


def metric_of(spec: "Spec") -> str:
    """What a spec's tasks are measured by: `accuracy` or `mse`."""
    from engine.presets import ImageTask

    return "accuracy" if isinstance(spec.task, ImageTask) else "mse"


def new_id(spec: "Spec", name: str | None) -> str:
    """A run ID that sorts by time (UTC) and reads well: 20261121-091502-maml-omniglot-5way-1shot-s0-7f3a."""
    words = name or f"{spec.origin.algorithm}-{spec.origin.task}"
    slug = re.sub(r"[^A-Za-z0-9+_]+", "-", words).strip("-")[:LONGEST_SLUG].strip("-") or "run"
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"{moment}-{slug}-s{spec.seed}-{secrets.token_hex(2)}"


def acquire(run: Run, wait: float = 2.0) -> int:
    """The writer's lock of `run`: the descriptor that holds it.

    Raises RequestError when another writer holds it for all of `wait` seconds, or the run is gone.
    """
    if not run.path.is_dir():
        raise RequestError(f"there is no run {run.id} in {run.path.parent}")
    try:
        descriptor = lock_within(run.lock_path, wait)
    except OSError as error:
        raise RequestError(f"cannot lock {run.lock_path}: {error.strerror or error}") from error
    if descriptor is None:
        from engine.runs.status import read_status

        pid = read_status(run).pid
        who = f"process {pid}" if pid else "another process"
        raise RequestError(f"second writer: run {run.id} is being written by {who}; pause or stop it first")
    if not same_file(descriptor, run.lock_path):  # moved or removed while we waited
        os.close(descriptor)
        raise RequestError(f"run {run.id} was removed from {run.path.parent}")
    return descriptor


def is_held(run: Run) -> bool:
    """Whether a writer on this machine holds the run's lock."""
    return probe(run.lock_path) is True


def all_runs(runs_dir: Path) -> Iterator[Run]:
    """The run directories in `runs_dir`, oldest first: whatever holds a spec or a status.

    None where there is no folder. Raises RequestError for one that cannot be read.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(runs_dir) if not entry.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise RequestError(f"cannot read the runs folder {runs_dir}: {error.strerror or error}") from error
    for name in names:
        run = Run(runs_dir / name)
        if os.path.lexists(run.status_path) or os.path.lexists(run.spec_path):
            yield run


def _is_short_for(text: str, run_id: str) -> bool:
    """Whether `text` is a month and day, a dash and the end of that ID."""
    day, dash, end = text.partition("-")
    return bool(dash and end) and run_id[4:8] == day and run_id.endswith(f"-{end}")


def find_run(runs_dir: Path, text: str) -> Run:
    """The run that `text` means: an ID, a path, a run's name, or a part of an ID that only one run has (also
    its month and day with its end, `1121-a8d7`, as the workbench shortens it).

    Of several runs of one name the newest is meant. Raises RequestError, naming candidates or the nearest ID.
    """
    for path in (runs_dir / text, at_home(text)) if text else ():
        run = Run(path.absolute())
        # A name too long, or a folder closed to us, is no run's.
        with contextlib.suppress(OSError):
            if not path.name.startswith(".") and (run.spec_path.is_file() or run.status_path.is_file()):
                return run
    runs = {run.id: run for run in all_runs(runs_dir)}
    from engine.runs.listing import list_runs

    named = [summary.run for summary in list_runs(runs_dir) if text and summary.name == text]
    if named:
        return named[-1]
    parts = [run_id for run_id in runs if text and (text in run_id or _is_short_for(text, run_id))]
    if len(parts) == 1:
        return runs[parts[0]]
    if parts:
        shown = ", ".join(parts[:4]) + (", ..." if len(parts) > 4 else "")
        raise RequestError(f"{plain(text)!r} fits {len(parts)} runs: {shown}; give more of the ID")
    from engine.nearest import nearest  # imports difflib, which no list of runs needs

    near = nearest(text, runs)
    hint = f" (nearest: {near})" if near else ""
    raise RequestError(f"no run {plain(text)!r} in {runs_dir}{hint}; kshot runs list shows them all")
