"""A meta-batch shared by processes: the same numbers as one, and real runs stopped, broken and resumed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as distributed
from real_runs import finish, wait
from sharded import CASES, PATIENCE, Trained, all_trained, disagreement, merged, trained, trainer_of
from test_worker import last_parameters

from engine.checkpoint import unpack
from engine.errors import RequestError
from engine.learner import Learner
from engine.presets import resolve
from engine.ranks.alone import OVER
from engine.ranks.group import Group, joined
from engine.ranks.refusals import check_processes, devices_of, processes_of
from engine.runs import Run, ask, create_run, read_status, resume_run, start_worker

CPU = torch.device("cpu")
RUN = [
    "training.iterations=6000",
    "training.record_every=50",
    "training.checkpoint_every=50",
    "training.validation.every=3000",
    "training.validation.episodes=5",
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Trained]]:
    """Every case as this process has it that shares its batches with another."""
    store = tmp_path_factory.mktemp("ranks") / "store"
    other = subprocess.Popen([sys.executable, str(Path(__file__).with_name("sharded.py")), str(store)])
    try:
        group = joined(0, 2, store, patience=PATIENCE)
        slopes, loss = merged(group)
        assert (slopes, loss, group.words()) == (
            [pytest.approx(0.6)],
            pytest.approx(6.0),
            {"checkpoint", OVER},
        )
        assert disagreement(group).startswith("after iteration 8 process 1 has other numbers than process 0")
        group.asks = frozenset
        results = all_trained(group)
        assert other.wait(60) == 0
        yield results
    finally:
        other.kill()
        if distributed.is_initialized():
            distributed.destroy_process_group()


def numbers(record: Any) -> list[float]:
    """All numbers of a record, in order."""
    if isinstance(record, dict):
        return [number for value in record.values() for number in numbers(value)]
    if isinstance(record, list):
        return [number for value in record for number in numbers(value)]
    return [float(record)] if record is not None else []


def same(found: Learner, wanted: Learner, tolerance: float) -> None:
    """Meta-parameters, and what is kept besides."""
    for one, other in ((found.meta_parameters, wanted.meta_parameters), (found.kept, wanted.kept)):
        assert one.keys() == other.keys()
        for name, tensor in other.items():
            torch.testing.assert_close(one[name], tensor, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_numbers_of_one(shared: dict[str, Trained], name: str) -> None:
    """Parameters, what is kept besides, records and validation; equal to 1e-9 in float64 after 20 iterations,
    to 1e-4 in float32 after 5."""
    two, one = shared[name], trained(CASES[name])
    tolerance = 1e-9 if CASES[name][3] is torch.float64 else 1e-4
    assert (two.trainer.ranks.count, one.trainer.ranks.count) == (2, 1)
    same(two.trainer.learner, one.trainer.learner, tolerance)
    assert [record.keys() for record in two.records] == [record.keys() for record in one.records]
    for ours, plain in zip(two.records, one.records, strict=True):
        # Distances are recorded to four digits, of which the last may turn.
        moved = [numbers(record.pop("moved", [])) for record in (ours, plain)]
        assert moved[0] == pytest.approx(moved[1], rel=2e-3)
        assert numbers(ours) == pytest.approx(numbers(plain), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("name", ["reptile", "maml++"])
def test_one_process_goes_on_where_two_left_off(shared: dict[str, Trained], name: str) -> None:
    alone = trainer_of(CASES[name])
    alone.load(unpack(shared[name].half, CPU, "the state half-way"))
    while alone.iteration < alone.iterations:
        alone.step()
    same(alone.learner, shared[name].trainer.learner, 1e-9)


# Shares, and what cannot be shared


@pytest.mark.parametrize(("size", "count"), [(5, 2), (4, 4), (25, 4), (7, 3)])
def test_every_task_is_one_rank_s(size: int, count: int) -> None:
    shares = [Group(rank, count).own(size) for rank in range(count)]
    assert [task for begin, end in shares for task in range(begin, end)] == list(range(size))
    assert {end - begin for begin, end in shares} <= {size // count, size // count + 1}


@pytest.mark.parametrize(
    ("task", "algorithm", "processes", "reason"),
    [
        ("sine-10shot", "maml", 26, "a meta-batch has 25 tasks"),
        ("sine-10shot", "random-init", 2, "trains nothing"),
        ("glyphs-5way-1shot", "pretrain", 2, "normalises the whole batch together"),
    ],
)
def test_what_cannot_be_shared_is_refused(task: str, algorithm: str, processes: int, reason: str) -> None:
    spec = resolve(task, algorithm, device="cpu").spec
    check_processes(spec, 1)
    with pytest.raises(RequestError, match=reason):
        check_processes(spec, processes)


def test_processes_take_devices_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices_of("cpu", 3) == ["cpu"] * 3
    assert devices_of("cuda:2", 2) == ["cuda:2", "cuda:3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    spec = resolve("sine-10shot", "maml", device="cuda").spec
    check_processes(spec, 2)
    with pytest.raises(RequestError, match="from cuda:0 on there are 2"):
        check_processes(spec, 3)


def test_the_command_refuses_before_anything_is_written(kshot, tmp_path: Path) -> None:
    code, out, err = kshot(
        "train", "glyphs-5way-1shot", "maml", "--processes", "99", "--runs-dir", str(tmp_path / "runs")
    )
    assert (code, out) == (2, "")
    assert "99 processes cannot share this training: a meta-batch has" in err
    assert not (tmp_path / "runs").exists()


# Real runs


def companions(run: Run) -> list[int]:
    """The processes that the run's writer has begun to compute with it."""
    pid = read_status(run).pid
    said = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split(maxsplit=2) for line in said.splitlines()]
    return [int(own) for own, parent, words in lines if int(parent) == pid and " follow " in words]


def gone(pids: list[int]) -> bool:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


def begun(folder: Path) -> Run:
    run, lock = create_run(folder, resolve("sine-10shot", "maml", overrides=RUN, device="cpu").spec)
    start_worker(run, lock, folder / "no-data", processes=2)
    wait(run, "running", step=60)
    return run


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_process_that_dies_fails_the_run_and_another_number_goes_on(tmp_path: Path) -> None:
    run = begun(tmp_path)
    (other,) = companions(run)
    os.kill(other, signal.SIGKILL)
    wait(run, "failed")
    status = read_status(run)
    assert status.more["processes"] == 2
    assert (status.error or "").startswith("process 1 (of 0 to 1) was killed by signal 9; log.txt")
    ended = status.step
    resume_run(run, processes=1)
    wait(run, "running", step=ended + 60)
    assert read_status(run).more["processes"] == 1
    assert companions(run) == []
    ask(run, "stop")
    wait(run, "stopped")


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_all_processes_pause_resume_and_end_together(tmp_path: Path) -> None:
    run = begun(tmp_path)
    first = companions(run)
    ask(run, "pause")
    wait(run, "paused")
    assert gone(first)
    resume_run(run)
    wait(run, "running", step=read_status(run).step + 60)
    second = companions(run)
    # A signal to any of them stops all, at a checkpoint.
    os.kill(second[0], signal.SIGTERM)
    wait(run, "stopped")
    assert gone(second)
    resume_run(run)
    wait(run, "running", step=read_status(run).step + 60)
    third, writer = companions(run), read_status(run).pid
    assert writer is not None
    os.kill(writer, signal.SIGKILL)
    wait(run, "crashed")
    assert gone(third)
    assert processes_of(read_status(run)) == 2
    resume_run(run)
    finish(run)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two GPUs here")
def test_two_gpus_have_the_numbers_of_one(tmp_path: Path) -> None:
    changes = ["training.iterations=20", "training.validation.episodes=20", "model.filters=8"]
    spec = resolve("glyphs-5way-1shot", "maml", overrides=changes, device="cuda").spec
    found = []
    for processes in (1, 2):
        run, lock = create_run(tmp_path, spec)
        start_worker(run, lock, tmp_path / "no-data", processes)
        wait(run, "finished")
        found.append(last_parameters(run)["meta_parameters"])
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=1e-2, atol=1e-3)


@pytest.mark.long
def test_torchrun_begins_a_run_and_goes_on_with_it(tmp_path: Path) -> None:
    launcher = Path(sys.executable).with_name("torchrun")
    words = ["--nproc-per-node", "2", "--standalone", "-m", "engine.worker", "ranks"]
    folders = ["--runs-dir", str(tmp_path), "--data-dir", str(tmp_path / "no-data")]
    settings = [word for text in [*RUN, "training.time_limit=1"] for word in ("--set", text)]
    command = [str(launcher), *words, "sine-10shot", "maml", *settings, "--device", "cpu", *folders]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=root)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / done.stdout.split()[0])
    status = read_status(run)
    assert (status.state, status.more["processes"]) == ("finished", 2)
    assert status.step > 0
    assert processes_of(status) == 1  # who resumes it without torchrun begins one
