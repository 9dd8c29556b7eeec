"""Removing runs: to RUNS/.trash and back, and for good once they have lain there."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RequestError
from engine.runs.files import plain
from engine.runs.listing import Summary, list_runs
from engine.runs.locks import probe
from engine.runs.status import read_status
from engine.runs.store import TEMPORARY, TRASH, Run, acquire, sync_folder

DAY = 86400.0
MARK = ".removed"
ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True)
class Pruned:
    """What pruning did, or would do, with one folder: `action` is `removed` (to the trash) or `deleted`."""

    id: str
    action: str
    why: str


def remove(run: Run) -> Path:
    """Move a run to the trash; returns where it lies now. Raises RequestError while it is being written."""
    status = read_status(run)
    if status.alive:
        raise RequestError(f"run {run.id} is {status.state}; stop it first: kshot runs stop {run.id}")
    descriptor = acquire(run, wait=0.5)
    trash = run.path.parent / TRASH
    target = trash / run.id
    try:
        trash.mkdir(exist_ok=True)
        (run.path / MARK).write_bytes(b"")
        run.path.rename(target)
        sync_folder(trash)
    except OSError as error:
        raise RequestError(f"cannot move run {run.id} to {trash}: {error.strerror or error}") from error
    finally:
        os.close(descriptor)
    return target


def undo_remove(runs_dir: Path, run_id: str | None = None) -> Run:
    """Put back a removed run, named by its ID or a part of it, else the last one. Raises RequestError."""
    removed = dict(_trashed(runs_dir))
    if not removed:
        raise RequestError(f"the trash of {runs_dir} is empty")
    if run_id is None:
        run_id = max(removed, key=lambda each: removed[each])
    elif run_id not in removed:
        parts = [each for each in removed if run_id and run_id in each]
        if len(parts) != 1:
            raise RequestError(f"{plain(run_id)!r} fits {len(parts) or 'no'} runs in the trash of {runs_dir}")
        run_id = parts[0]
    target = runs_dir / run_id
    if os.path.lexists(target):
        raise RequestError(f"run {run_id} is back already: {target}")
    try:
        (runs_dir / TRASH / run_id).rename(target)
        with contextlib.suppress(OSError):
            (target / MARK).unlink()
    except OSError as error:
        raise RequestError(f"cannot put run {run_id} back: {error.strerror or error}") from error
    return Run(target)


def _trashed(runs_dir: Path) -> Iterator[tuple[str, float]]:
    """(ID, when it was removed) of what lies in the trash."""
    with contextlib.suppress(OSError):
        for path in (runs_dir / TRASH).iterdir():
            with contextlib.suppress(OSError):
                mark = path / MARK
                yield path.name, (mark if mark.exists() else path).lstat().st_mtime


def prune(
    runs_dir: Path, days: float = 30, chosen: Callable[[Summary], bool] | None = None, dry_run: bool = False
) -> list[Pruned]:
    """Delete what was removed more than `days` days ago and what killed launchers left; says what.

    With `chosen`, the failed and crashed runs for which it is true are moved to the trash as well.
    """
    done: list[Pruned] = []
    now = time.time()
    for name, removed in sorted(_trashed(runs_dir)):
        if now - removed > days * DAY:
            done.append(Pruned(name, "deleted", f"removed {int((now - removed) / DAY)} days ago"))
            if not dry_run:
                _delete(runs_dir / TRASH / name)
    for path in sorted(runs_dir.glob(f"{TEMPORARY}*")):
        with contextlib.suppress(OSError):
            if now - path.lstat().st_mtime > ABANDONED_SECONDS and probe(path / "lock") is not True:
                done.append(Pruned(path.name, "deleted", "never finished being made"))
                if not dry_run:
                    _delete(path)
    for summary in list_runs(runs_dir) if chosen is not None else ():
        if summary.state in ("failed", "crashed") and chosen is not None and chosen(summary):
            # One that is resumed at this moment is no longer ours to remove.
            with contextlib.suppress(RequestError):
                if not dry_run:
                    remove(summary.run)
                done.append(Pruned(summary.id, "removed", summary.state))
    return done


def _delete(path: Path) -> None:
    """Delete a folder, or the link to one and not what it points to."""
    if path.is_symlink() or not path.is_dir():
        with contextlib.suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
