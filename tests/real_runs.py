"""Real workers on real run directories, for tests that train."""

import os
import time
from pathlib import Path

from engine.presets import resolve
from engine.runs import Run, create_run, read_status, start_worker

SINE = [
    "training.iterations=3000",
    "training.record_every=50",
    "training.checkpoint_every=100",
    "training.validation.every=500",
    "training.validation.episodes=20",
]


def begin(folder: Path, task: str, algorithm: str, overrides: list[str]) -> Run:
    """A run and its worker."""
    run, lock = create_run(folder, resolve(task, algorithm, overrides=overrides).spec)
    start_worker(run, lock, Path(os.environ.get("KSHOT_DATA", folder / "no-data")))
    return run


def wait(run: Run, *states: str, step: int = 0, phase: str = "", seconds: float = 120.0) -> None:
    """Waits until the run is in one of these states, at this step or later, and in this phase if one is
    given."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = read_status(run)
        if status.state in states and status.step >= step and phase in ("", status.phase):
            return
        if status.state in ("failed", "crashed") and status.state not in states:
            break
        time.sleep(0.02)
    raise AssertionError(f"{read_status(run)}\n{run.log_path.read_text()}")


def finish(run: Run, seconds: float = 120.0) -> None:
    """Waits until the run is finished, however long it takes; in vain only once it has made no step for so
    many seconds. For a training of bounded length, on a machine of any speed."""
    status = read_status(run)
    while status.state != "finished":
        before, until = (status.state, status.step), time.monotonic() + seconds
        while (status.state, status.step) == before:
            assert status.alive and time.monotonic() < until, f"{status}\n{run.log_path.read_text()}"
            time.sleep(0.02)
            status = read_status(run)


def worker_of(run: Run) -> int:
    """The worker's process."""
    pid = read_status(run).pid
    assert pid is not None
    return pid
