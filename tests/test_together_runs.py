"""Real runs of several seeds in one process: each is what it is alone, and each may end by itself."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from real_runs import wait, worker_of

from engine.fused.library import why_not
from engine.presets import Spec, resolve
from engine.runs import Run, ask, create_run, read_events, read_status, resume_run, start_worker
from engine.runs.checkpoints import list_checkpoints, write_checkpoint
from engine.runs.processes import reopened, start_together
from engine.runs.together import alone

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no kernels: {why_not()}")

SMALL = [
    "training.iterations=300",
    "training.record_every=20",
    "training.checkpoint_every=60",
    "training.validation.every=150",
    "training.validation.episodes=5",
    "model.hidden=[8, 8]",
]
ENDLESS = [*SMALL, "training.iterations=100000000", "training.checkpoint_every=200"]
TIMES = ("time", "seconds", "iterations_per_second", "memory_bytes")


def spec_of(seed: int, changes: list[str] = SMALL, algorithm: str = "maml") -> Spec:
    return resolve("sine-10shot", algorithm, overrides=changes, seed=seed, device="cpu").spec


def together(folder: Path, specs: list[Spec]) -> list[Run]:
    """Runs of these specs, in one process."""
    made = [create_run(folder, spec) for spec in specs]
    start_together(made, folder / "no-data")
    return [run for run, _ in made]


def events(run: Run) -> list[dict[str, Any]]:
    """What happened, without times."""
    return [{k: v for k, v in event.items() if k not in TIMES} for event in read_events(run.events_path)[0]]


def last_file(run: Run) -> str:
    """Its name holds the digest of its bytes."""
    return list_checkpoints(run)[-1].path.name


def test_each_leaves_what_a_run_by_itself_leaves(kshot, tmp_path: Path) -> None:
    """`kshot train --seeds 3`: events in the same order, checkpoints of the same bytes."""
    settings = [word for text in SMALL for word in ("--set", text)]
    folder = tmp_path / "runs"
    words = ["train", "sine-10shot", "maml", *settings, "--device", "cpu", "--runs-dir", str(folder)]
    code, out, err = kshot(*words, "--seeds", "3")
    assert code == 0, err
    runs = [Run(folder / line.split()[0]) for line in out.splitlines() if " finished " in line]
    statuses = [read_status(run) for run in runs]
    assert [status.summary["seed"] for status in statuses] == [0, 1, 2]
    assert {status.more["together"] for status in statuses} == {"with 2 other seeds in one process"}
    assert len({status.pid for status in statuses}) == 1
    code, out, _ = kshot("runs", "show", runs[1].id, "--runs-dir", str(folder))
    assert code == 0 and "with 2 other seeds in one process" in out
    plain, lock = create_run(tmp_path / "alone", spec_of(1))
    start_worker(plain, lock, tmp_path / "no-data")
    wait(plain, "finished")
    assert events(runs[1]) == events(plain)
    assert last_file(runs[1]) == last_file(plain)
    # Shares of the process's time, which add up to it.
    assert len({status.more["seconds"] for status in statuses}) == 1


def test_each_may_end_by_itself_and_goes_on_alone_to_the_same_bytes(tmp_path: Path) -> None:
    first, second, third = together(tmp_path, [spec_of(seed, ENDLESS) for seed in range(3)])
    for run in (first, second, third):
        wait(run, "running", step=50)
    ask(first, "pause")
    wait(first, "paused")
    wait(second, "running", step=max(read_status(second).step + 50, 260))
    assert read_status(second).more["together"] == "with 1 other seed in one process"
    # The paused one is free to be resumed while the others go on.
    resume_run(first)
    os.kill(worker_of(second), signal.SIGKILL)
    wait(second, "crashed")
    wait(third, "crashed")
    resume_run(third)
    wait(first, "running", step=list_checkpoints(first)[-1].step + 1)
    ask(first, "stop")
    wait(first, "stopped")
    wait(third, "running", step=list_checkpoints(third)[-1].step + 400)
    ask(third, "stop")
    wait(third, "stopped")
    assert read_status(third).more["together"] is None
    step = next(each.step for each in list_checkpoints(third) if each.step % 200 == 0)
    same_bytes_by_itself(third, step)


def same_bytes_by_itself(run: Run, step: int) -> None:
    """A checkpoint of this step holds what a trainer by itself comes to."""
    import torch

    from engine.checkpoint import unpack
    from engine.learner import Learner
    from engine.presets import load_spec
    from engine.tasks import build_tasks
    from engine.training import Trainer

    cpu = torch.device("cpu")
    spec = load_spec(run.spec_path)
    trainer = Trainer(Learner(spec, build_tasks(spec, Path("/nowhere"), cpu), cpu))
    while trainer.iteration < step:
        trainer.step()
    file = next(each.path for each in list_checkpoints(run) if each.step == step)
    saved = unpack(file.read_bytes(), cpu, file.name)["meta_parameters"]
    assert all(torch.equal(saved[name], own) for name, own in trainer.learner.meta_parameters.items())


def test_one_that_diverges_fails_and_the_others_go_on(tmp_path: Path) -> None:
    """Both are resumed together where a signal stopped both, the second with what is no number."""
    runs = together(tmp_path, [spec_of(seed, ENDLESS) for seed in (0, 1)])
    for run in runs:
        wait(run, "running", step=20)
    os.kill(worker_of(runs[0]), signal.SIGTERM)
    for run in runs:
        wait(run, "stopped")
    assert len({list_checkpoints(run)[-1].step for run in runs}) == 1
    spoil(runs[1])
    start_together([(run, reopened(run)) for run in runs])
    wait(runs[1], "failed")
    status = read_status(runs[1])
    assert "is not finite" in (status.error or "")
    assert status.more["together"] == "with 1 other seed in one process"
    wait(runs[0], "running", step=status.step + 50)
    assert read_status(runs[0]).more["together"] == "the last one left of several in one process"
    ask(runs[0], "stop")
    wait(runs[0], "stopped")


def spoil(run: Run) -> None:
    """Its last checkpoint, with a parameter that is no number."""
    import torch

    from engine.checkpoint import pack, unpack

    last = list_checkpoints(run)[-1]
    state = unpack(last.path.read_bytes(), torch.device("cpu"), last.path.name)
    state["meta_parameters"]["linear2.weight"][0, 0] = float("nan")
    last.path.unlink()
    write_checkpoint(run, last.step, pack(state))


@pytest.mark.parametrize(
    ("changes", "algorithm", "reason"),
    [
        (["training.time_limit=5"], "maml", "time limit"),
        ([], "pretrain", "joint"),
        (["model.norm=batch"], "maml", "normalised layers"),
    ],
)
def test_what_trains_apart_says_why(changes: list[str], algorithm: str, reason: str) -> None:
    assert alone(spec_of(0)) is None
    assert reason in (alone(spec_of(0, [*SMALL, *changes], algorithm)) or "")
    assert "2 processes" in (alone(spec_of(0), 2) or "")
    assert "images" in (alone(resolve("glyphs-5way-1shot", "maml").spec) or "")


def test_where_the_kernels_cannot_serve_each_goes_on_in_its_own_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on a machine without a compiler, which the worker alone finds out."""
    monkeypatch.setenv("KSHOT_KERNELS", "0")
    runs = together(tmp_path, [spec_of(seed) for seed in (0, 1)])
    for run in runs:
        wait(run, "finished")
    first, second = (read_status(run) for run in runs)
    assert first.pid != second.pid
    assert first.more["together"] == second.more["together"] == "in a process of its own: KSHOT_KERNELS is 0"
    assert not any(event["kind"] == "resumed" for event in events(runs[0]))
