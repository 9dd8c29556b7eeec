"""Real workers on real run directories: learning, stopping, killing, resuming."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_runs import wait_until
from real_runs import SINE, begin, finish, wait, worker_of

from engine.presets import load_spec
from engine.runs import (
    Run,
    ask,
    is_held,
    latest,
    list_checkpoints,
    newest_good_checkpoint,
    read_events,
    read_status,
    read_verified,
    resume_run,
)

GLYPHS = [
    *SINE[1:],
    "training.iterations=60",
    "training.checkpoint_every=10",
    "training.validation.every=20",
    "training.validation.episodes=5",
    "model.filters=4",
    "training.tasks_per_batch=2",
    "training.queries=1",
]


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
    finish(whole)
    broken = begin(tmp_path / "broken", task, algorithm, overrides)
    total, every = read_status(whole).steps, load_spec(whole.spec_path).training.checkpoint_every
    wait(broken, "running", step=random.randrange(every + every // 10, total // 2))
    os.kill(worker_of(broken), signal.SIGKILL)
    wait(broken, "crashed")
    saved = newest_good_checkpoint(broken)
    assert saved is not None and saved.step % every == 0
    resume_run(broken, Path(os.environ.get("KSHOT_DATA", tmp_path)))
    finish(broken)
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


def test_signals_are_survived_warn_and_end(tmp_path: Path) -> None:
    """A hang-up changes nothing, a batch system's warning writes a checkpoint, its end ends at one."""
    rare = [f"training.{name}=100000" for name in ("iterations", "checkpoint_every", "validation.every")]
    run = begin(tmp_path, "sine-10shot", "maml", [*SINE, *rare])
    wait(run, "running", step=30)
    pid = worker_of(run)
    os.kill(pid, signal.SIGHUP)
    before = read_status(run).step
    wait(run, "running", step=before + 20)
    assert not list_checkpoints(run)
    os.kill(pid, signal.SIGUSR1)
    wait(run, "running", step=read_status(run).step + 20)
    warned = newest_good_checkpoint(run)
    assert warned is not None and warned.step >= before
    os.kill(pid, signal.SIGTERM)
    wait(run, "stopped")
    saved = newest_good_checkpoint(run)
    assert saved is not None and saved.step == read_status(run).step > warned.step


def test_a_long_validation_is_left_within_seconds_and_made_up_for(tmp_path: Path) -> None:
    long = ["training.validation.every=40", "training.validation.episodes=10000000"]
    run = begin(tmp_path, "sine-10shot", "maml", [*SINE, *long])
    wait(run, "running", phase="validating")
    os.kill(worker_of(run), signal.SIGINT)
    wait(run, "stopped", seconds=60)
    saved = newest_good_checkpoint(run)
    assert saved is not None and saved.step == read_status(run).step == 40
    assert "validation" not in {event["kind"] for event in read_events(run.events_path)[0]}
    resume_run(run, tmp_path)
    wait(run, "running", phase="validating")
    assert read_status(run).step == 40
    os.kill(worker_of(run), signal.SIGTERM)
    wait(run, "stopped", seconds=60)


def test_losses_that_are_not_finite_stop_the_run_and_the_step_is_done_again(
    tmp_path: Path, kshot: Callable[..., tuple[int, str, str]]
) -> None:
    """Steps of 1e30 make parameters so large that the second iteration's loss is infinite."""
    run = begin(tmp_path, "sine-10shot", "maml", [*SINE, "outer.learning_rate=1e30"])
    wait(run, "failed")
    error = read_status(run).error or ""
    assert "the loss of iteration 2 is not finite: task 0 of its batch (number 25)" in error
    assert f"checkpoint is of iteration 1; kshot runs replay-step {run.id}" in error
    assert "Traceback" not in run.log_path.read_text()
    assert [each.step for each in list_checkpoints(run)] == [1]
    wait_until(lambda: not is_held(run))
    before = sorted((path, path.stat().st_mtime_ns) for path in run.path.rglob("*"))
    code, told, _ = kshot("runs", "replay-step", run.id, "--runs-dir", str(tmp_path))
    assert code == 0 and "iteration 2: the loss is not finite" in told
    assert "layer linear" in error and error.split("layer ")[1].split(";")[0] in told
    code, told, _ = kshot("runs", "replay-step", run.id, "--step", "1", "--runs-dir", str(tmp_path))
    assert code == 0 and "iteration 1: all of it is finite" in told
    assert before == sorted((path, path.stat().st_mtime_ns) for path in run.path.rglob("*"))


def test_a_time_limit_ends_a_run_as_finished(tmp_path: Path) -> None:
    run = begin(
        tmp_path, "sine-10shot", "maml", [*SINE, "training.iterations=1000000", "training.time_limit=1"]
    )
    wait(run, "finished")
    status = read_status(run)
    assert 0 < status.step < 1000000
    kinds = [event["kind"] for event in read_events(run.events_path)[0]]
    assert kinds.index("validation") < len(kinds) and kinds[-1] == "checkpoint"
