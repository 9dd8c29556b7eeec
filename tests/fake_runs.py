"""Runs for the tests of engine.runs: specs from the schema, workers that only count."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import PATIENCE

from engine.presets import Spec
from engine.runs import Run, create_run, processes, start_worker

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


def make_spec(seed: int = 0, iterations: int = 40, algorithm: str = "maml", rate: float = 0.01) -> Spec:
    """A small spec of sine waves."""
    return Spec.model_validate(
        {
            "origin": {"task": "sine-10shot", "algorithm": algorithm},
            "task": {"dataset": "sine"},
            "model": {"name": "mlp", "norm": "none"},
            "adaptation": {"learning_rate": rate},
            "training": {"iterations": iterations},
            "seed": seed,
        }
    )


def make_run(runs_dir: Path, *, seed: int = 0, name: str | None = None, **changes: object) -> Run:
    """A run whose launcher went away before it started a worker, its status changed as asked."""
    from engine.runs import StatusWriter

    run, descriptor = create_run(runs_dir, make_spec(seed), name)
    if changes:
        StatusWriter(run, **changes).close()
    os.close(descriptor)
    return run


def use_fake_worker(monkeypatch: pytest.MonkeyPatch, iterations: int, seconds: float, *extra: str) -> None:
    """Let every worker started from here on be the fake one."""
    given = (str(iterations), str(seconds), *extra)
    monkeypatch.setattr(
        processes, "worker_command", lambda *asked: [sys.executable, "-P", str(FAKE_WORKER), *asked, *given]
    )


def launch(runs_dir: Path, **changes: int) -> tuple[Run, int]:
    """A run with its worker; returns the worker's pid."""
    run, descriptor = create_run(runs_dir, make_spec(**changes))
    return run, start_worker(run, descriptor)


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for something that another process does; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def kill(pid: int) -> None:
    """kill -9, tolerant of a process that is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
