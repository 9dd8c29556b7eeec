"""Real workers on real run directories: learning, stopping, killing, resuming."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from engine.presets import resolve
from engine.runs import (
    Run,
    ask,
    create_run,
    latest,
    list_checkpoints,
    newest_good_checkpoint,
    read_events,
    read_status,
    read_verified,
    resume_run,
    start_worker,
)

SINE = [
    "training.iterations=3000",
    "training.record_every=50",
    "training.checkpoint_every=100",
    "training.validation.every=500",
    "training.validation.episodes=20",
]
GLYPHS = [
    *SINE[1:],
    "training.iterations=300",
    "model.filters=4",
    "training.tasks_per_batch=2",
    "training.queries=1",
]


def begin(folder: Path, task: str, algorithm: str, overrides: list[str]) -> Run:
    run, lock = create_run(folder, resolve(task, algorithm, overrides=overrides).spec)
    start_worker(run, lock, Path(os.environ.get("KSHOT_DATA", folder / "no-data")))
    return run


def wait(run: Run, *states: str, step: int = 0, seconds: float = 120.0) -> None:
    """Waits until the run is in one of these states at this step or later."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = read_status(run)
        if status.state in states and status.step >= step:
            return
        if status.state in ("failed", "crashed") and status.state not in states:
            break
        time.sleep(0.02)
    raise AssertionError(f"{read_status(run)}\n{run.log_path.read_text()}")


def last_parameters(run: Run) -> dict:
    import torch

    from engine.checkpoint import unpack

    checkpoint = list_checkpoints(run)[-1]
    return unpack(read_verified(checkpoint.path), torch.device("cpu"), "the checkpoint")


def same(first: dict, second: dict) -> bool:
    import torch

    one, other = first["meta_parameters"], second["meta_parameters"]
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize(
    ("task", "algorithm", "overrides"),
    [("sine-10shot", "maml", SINE), ("sine-10shot", "pretrain", SINE), ("glyphs-5way-1shot", "maml", GLYPHS)],
)
def test_kill_and_resume_end_with_the_same_bytes(
    tmp_path: Path, task: str, algorithm: str, overrides: list[str]
) -> None:
    whole = begin(tmp_path / "whole", task, algorithm, overrides)
    wait(whole, "finished")
    broken = begin(tmp_path / "broken", task, algorithm, overrides)
    total = read_status(whole).steps
    wait(broken, "running", step=random.randrange(110, total // 2))
    pid = read_status(broken).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait(broken, "crashed")
    saved = newest_good_checkpoint(broken)
    assert saved is not None and saved.step % 100 == 0
    resume_run(broken, Path(os.environ.get("KSHOT_DATA", tmp_path)))
    wait(broken, "finished")
    assert same(last_parameters(whole), last_parameters(broken))
    numbers = [e for e in latest(read_events(whole.events_path)[0]) if e["kind"] in ("train", "validation")]
    again = [e for e in latest(read_events(broken.events_path)[0]) if e["kind"] in ("train", "validation")]
    strip = [{k: v for k, v in e.items() if k not in ("seq", "time")} for e in numbers]
    assert strip == [{k: v for k, v in e.items() if k not in ("seq", "time")} for e in again]
    assert "resumed" in {e["kind"] for e in read_events(broken.events_path)[0]}
    assert read_status(broken).best == read_status(whole).best
    assert [c.digest for c in list_checkpoints(whole)] == [c.digest for c in list_checkpoints(broken)]


@pytest.mark.parametrize("word", ["pause", "stop"])
def test_a_word_ends_a_run_at_a_checkpoint(tmp_path: Path, word: str) -> None:
    run = begin(tmp_path, "sine-10shot", "maml", [*SINE, "training.iterations=100000"])
    wait(run, "running", step=30)
    ask(run, word)
    wait(run, "paused" if word == "pause" else "stopped")
    status = read_status(run)
    saved = newest_good_checkpoint(run)
    assert saved is not None and saved.step == status.step
    assert not any(run.control.iterdir())


def test_a_signal_ends_a_run_at_a_checkpoint(tmp_path: Path) -> None:
    run = begin(tmp_path, "sine-10shot", "maml", [*SINE, "training.iterations=100000"])
    wait(run, "running", step=30)
    pid = read_status(run).pid
    assert pid is not None
    os.kill(pid, signal.SIGHUP)
    before = read_status(run).step
    wait(run, "running", step=before + 20)
    os.kill(pid, signal.SIGTERM)
    wait(run, "stopped")
    saved = newest_good_checkpoint(run)
    assert saved is not None and saved.step == read_status(run).step


def test_losses_that_are_not_finite_stop_the_run_and_name_the_iteration(tmp_path: Path) -> None:
    run = begin(tmp_path, "sine-10shot", "maml", [*SINE, "adaptation.learning_rate=1e30"])
    wait(run, "failed")
    error = read_status(run).error or ""
    assert "iteration 1" in error and "not finite" in error
    assert "Traceback" not in run.log_path.read_text()


def test_a_time_limit_ends_a_run_as_finished(tmp_path: Path) -> None:
    run = begin(
        tmp_path, "sine-10shot", "maml", [*SINE, "training.iterations=1000000", "training.time_limit=1"]
    )
    wait(run, "finished")
    status = read_status(run)
    assert 0 < status.step < 1000000
    kinds = [event["kind"] for event in read_events(run.events_path)[0]]
    assert kinds.index("validation") < len(kinds) and kinds[-1] == "checkpoint"
