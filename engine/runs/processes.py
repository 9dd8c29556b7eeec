"""Worker processes: detached from the terminal, handed the run's lock, started anew to resume."""

import contextlib
import os
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import engine
from engine.errors import RequestError
from engine.runs.control import clear
from engine.runs.files import from_json, read_small, to_json, write_whole
from engine.runs.listing import facts_of_spec
from engine.runs.status import Status, last_word, read_status, this_host
from engine.runs.store import Run, acquire, create_run

if TYPE_CHECKING:
    import subprocess

RESUMABLE = ("paused", "stopped", "crashed", "failed")

_children: "list[subprocess.Popen[bytes]]" = []


def worker_command(*arguments: str) -> list[str]:
    """The command of a worker; `-P` keeps a folder `engine` in the current one from shadowing ours."""
    return [sys.executable, "-P", "-m", "engine.worker", *arguments]


SETTINGS = {
    # Threads that wait for each other spin only briefly. Where others use the cores too, long spinning costs
    # ten times the work; on a quiet machine, not spinning at all costs a third.
    "GOMP_SPINCOUNT": "3000",
    # glibc keeps what large tensors let go of: giving it back at each step and having it zeroed again costs
    # up to three times the mathematics.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}


def worker_environment(data_dir: Path | None = None) -> dict[str, str]:
    """This process's environment with the data folder, and with this very engine on the worker's path."""
    environment = SETTINGS | os.environ
    if data_dir is not None:
        environment["KSHOT_DATA"] = str(data_dir)
    root = Path(engine.__file__).resolve().parent.parent
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    if root not in installed:
        given = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{root}{os.pathsep}{given}" if given else str(root)
    return environment


def spawn(
    arguments: Sequence[str], log: Path, data_dir: Path | None = None, descriptors: Sequence[int] = ()
) -> "subprocess.Popen[bytes]":
    """Start `engine.worker` with these arguments, detached; what it prints is appended to `log`.

    A session of its own: no Ctrl+C and no hang-up of this terminal reaches it. Raises OSError.
    """
    import subprocess

    _children[:] = [child for child in _children if child.poll() is None]
    with _open_log(log) as output:
        child = subprocess.Popen(
            worker_command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=worker_environment(data_dir),
            pass_fds=tuple(descriptors),
            start_new_session=True,
        )
    _children.append(child)  # kept, so that a worker that ends before us is reaped
    return child


def _open_log(path: Path) -> BinaryIO:
    """The log to append to. Raises OSError where it is no regular file: opening a pipe may wait for ever."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    if path.exists() and not path.is_file():
        raise OSError(f"{path.name} is no regular file")
    return open(path, "ab", opener=lambda name, _: os.open(name, flags, 0o644))


def start_worker(
    run: Run, lock_descriptor: int, data_dir: Path | None = None, processes: int | None = None
) -> int:
    """Start the run's worker with its lock, which this process lets go of; returns the worker's pid.

    The data folder is kept in the run's status, as `data_dir`, for whoever resumes it; so is the number of
    `processes` that are to share its batches (none: as it was, or one). Raises RequestError when no process
    can be started; the run is then `failed`.
    """
    return start_together([(run, lock_descriptor)], data_dir, processes)


def start_together(
    runs: Sequence[tuple[Run, int]], data_dir: Path | None = None, processes: int | None = None
) -> int:
    """Start one worker for runs that differ in their seeds alone, each given with the descriptor of its lock;
    as `start_worker`, which is this for one run."""
    words = [word for run, lock in runs for word in (str(run.path), str(lock))]
    locks = [lock for _, lock in runs]
    try:
        for run, _ in runs:
            if data_dir is not None:
                say(run, data_dir=str(data_dir.absolute()))
            if processes is not None:
                say(run, processes=processes, launched=None)
        child = spawn(["train", *words], runs[0][0].log_path, data_dir, locks)
    except OSError as error:
        reason = f"cannot start a worker for run {{}}: {error.strerror or error}"
        for run, _ in runs:
            say(run, state="failed", phase="", error=reason.format(run.id))
        raise RequestError(reason.format(runs[0][0].id)) from error
    finally:
        for lock in locks:
            os.close(lock)
    return child.pid


def data_folder_of(run: Run, otherwise: Path | None = None) -> Path | None:
    """The data folder that a run was begun with, where it is still there; else `otherwise`."""
    told = last_word(run).more.get("data_dir")
    with contextlib.suppress(OSError, ValueError):  # a file may name any folder
        if isinstance(told, str) and told.startswith("/") and Path(told).is_dir():
            return Path(told)
    return otherwise


def resume_run(
    run: Run, data_dir: Path | None = None, instead: Path | None = None, processes: int | None = None
) -> int:
    """Start a worker on a paused, stopped, crashed or failed run; returns the worker's pid.

    Its data lie where they lay when it began; in `data_dir` where nobody knows or that is gone; in `instead`
    where that is given. As many `processes` share its batches as before, where no other number is given.

    Raises RequestError for a run in another state, one that somebody else is writing, and one without a spec.
    """
    return start_worker(run, reopened(run), instead or data_folder_of(run, data_dir), processes)


def reopened(run: Run) -> int:
    """A paused, stopped, crashed or failed run made queued again; the descriptor that holds its lock.

    Raises RequestError as `resume_run` does.
    """
    _check_resumable(run, read_status(run))
    descriptor = acquire(run)
    try:
        # Somebody may have resumed it, and let it finish, while we waited for the lock.
        if last_word(run).state == "finished":
            raise RequestError(f"run {run.id} is finished; there is nothing to resume")
        clear(run)
        host, boot = this_host()
        before = dict.fromkeys(("pid", "error", "together", "seeds_together"))
        say(run, state="queued", phase="queued", host=host, boot=boot, **before)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def stop_paused(run: Run) -> None:
    """A paused run becomes a stopped one, without a worker. Raises RequestError where it is not paused."""
    descriptor = acquire(run)
    try:
        state = last_word(run).state
        if state != "paused":
            raise RequestError(f"run {run.id} is {state}, no longer paused")
        say(run, state="stopped")
    finally:
        os.close(descriptor)


def _check_resumable(run: Run, status: Status) -> None:
    if status.alive:
        where = f" on {status.host}" if (status.host, status.boot) != this_host() else ""
        raise RequestError(
            f"second writer: run {run.id} is {status.state}{where} (process {status.pid or '?'})"
        )
    if status.state not in RESUMABLE:
        raise RequestError(
            f"run {run.id} is {status.state}; there is nothing to resume (`kshot runs fork` repeats it)"
        )
    if not run.spec_path.is_file():
        raise RequestError(f"run {run.id} has no spec.yaml, so nobody knows how to go on with it")


def say(run: Run, **changes: object) -> None:
    """Change the status file as the holder of the lock, before a worker is there to do it."""
    try:
        content = from_json(read_small(run.status_path, 1 << 20))
    except (OSError, ValueError):
        content = {}
    known = content if isinstance(content, dict) else {}
    if not isinstance(known.get("summary"), dict):  # the file was lost: lists and reuse look there
        known = {"created": time.time(), **known, "summary": facts_of_spec(run)}
    try:
        write_whole(run.status_path, to_json({**known, **changes, "updated": time.time()}, indent=1))
    except OSError as error:
        raise RequestError(f"cannot write {run.status_path}: {error.strerror or error}") from error


def fork_run(
    run: Run, overrides: Sequence[str], runs_dir: Path, data_dir: Path | None = None, name: str | None = None
) -> tuple[Run, int]:
    """Train a new run from another one's spec with `--set` overrides; returns it and its worker's pid.

    Raises RequestError for an override that is wrong or a task whose data are missing, with nothing written.
    """
    from engine.data import check_task_fits, data_folder
    from engine.devices import check_device
    from engine.presets import load_spec

    spec = load_spec(run.spec_path, overrides=overrides)
    check_device(spec.device, spec.training.precision)
    check_task_fits(spec, data_folder(data_dir))
    forked, descriptor = create_run(runs_dir, spec, name, run.id)
    return forked, start_worker(forked, descriptor, data_dir)
