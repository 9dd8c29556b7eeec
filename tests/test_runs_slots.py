"""Slots: one training a device, in order of creation, freed by kill -9, whatever happens to the folder."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from fake_runs import kill, launch, use_fake_worker, wait_until

from engine.errors import RequestError
from engine.runs import Run, ask, hold_slot, processes, read_status, slots


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.delenv("KSHOT_SLOTS", raising=False)
    monkeypatch.setattr(slots, "SETTLE_SECONDS", 0.0)
    yield folder
    for child in processes._children:
        kill(child.pid)
        child.wait()
    processes._children.clear()


def _state(run: Run) -> str:
    return read_status(run).state


def _waiting(runtime: Path, count: int) -> bool:
    return len(list(runtime.glob("kshot/*/ticket-*"))) == count


def test_waiting_workers_are_served_in_order_and_kill_9_frees_the_slot(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_worker(monkeypatch, 10_000, 0.02, "slot")
    holder, holder_pid = launch(tmp_path)
    wait_until(lambda: _state(holder) == "running")
    use_fake_worker(monkeypatch, 5, 0.02, "slot")
    waiting = [launch(tmp_path, seed=seed)[0] for seed in (1, 2, 3)]
    wait_until(lambda: _waiting(runtime, 3))
    assert [_state(run) for run in waiting] == ["queued"] * 3
    kill(holder_pid)
    wait_until(lambda: all(_state(run) == "finished" for run in waiting), 20)
    started = [read_status(run).started or 0.0 for run in waiting]
    assert started == sorted(started) and _state(holder) == "crashed"
    # One at a time: nobody started before the one before had ended.
    assert all(
        (read_status(after).started or 0.0) >= (read_status(before).updated or 0.0) - 0.05
        for before, after in pairwise(waiting)
    )


def test_the_dead_and_the_hung_hold_nobody_up(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "HUNG_SECONDS", 0.5)
    use_fake_worker(monkeypatch, 10_000, 0.02, "slot")
    _, holder_pid = launch(tmp_path)
    wait_until(lambda: bool(list(runtime.glob("kshot/cpu/slot-0"))) and _waiting(runtime, 0))
    _, dead_pid = launch(tmp_path, seed=1)
    wait_until(lambda: _waiting(runtime, 1))
    _, hung_pid = launch(tmp_path, seed=2)
    wait_until(lambda: _waiting(runtime, 2))
    kill(dead_pid)
    os.kill(hung_pid, signal.SIGSTOP)
    time.sleep(0.6)
    kill(holder_pid)
    with hold_slot("cpu", time.time(), lambda: False) as held:
        assert held
        assert _waiting(runtime, 1)  # the dead one's ticket is gone, the hung one keeps its place
    kill(hung_pid)


def test_a_waiting_worker_can_be_stopped(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_worker(monkeypatch, 10_000, 0.02, "slot")
    with hold_slot("cpu", 0.0, lambda: False):
        run, _ = launch(tmp_path)
        wait_until(lambda: _waiting(runtime, 1))
        ask(run, "stop")
        wait_until(lambda: _state(run) == "stopped")
        wait_until(lambda: _waiting(runtime, 0))


def test_devices_and_kshot_slots_make_room(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(device: str) -> bool:
        end = time.monotonic() + 0.3
        with hold_slot(device, 1.0, lambda: time.monotonic() > end) as held:
            return not held

    with hold_slot("cpu", 0.0, lambda: False), hold_slot("cuda:0", 0.0, lambda: False):
        assert refused("cpu") and not refused("cuda:1") and refused("cuda:0")
        monkeypatch.setenv("KSHOT_SLOTS", "2")
        with hold_slot("cpu", 0.0, lambda: False) as second:
            assert second and refused("cpu")
    assert not refused("cpu")


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_kshot_slots_is_a_whole_number(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KSHOT_SLOTS", text)
    with pytest.raises(RequestError, match="KSHOT_SLOTS"), hold_slot("cpu", 0.0, lambda: False):
        pass


def test_a_slot_whose_folder_vanishes_is_taken_again(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "GUARD_SECONDS", 0.05)
    with hold_slot("cpu", 0.0, lambda: False):
        shutil.rmtree(runtime / "kshot")
        wait_until(lambda: (runtime / "kshot" / "cpu" / "slot-0").exists())
        end = time.monotonic() + 0.3
        with hold_slot("cpu", 1.0, lambda: time.monotonic() > end) as second:
            assert not second


def test_those_who_wait_outlive_their_folder(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "GUARD_SECONDS", 0.05)
    use_fake_worker(monkeypatch, 3, 0.01, "slot")
    with hold_slot("cpu", 0.0, lambda: False):
        runs = [launch(tmp_path, seed=seed)[0] for seed in (1, 2)]
        wait_until(lambda: _waiting(runtime, 2))
        shutil.rmtree(runtime / "kshot")
        wait_until(lambda: _waiting(runtime, 2))
        assert [_state(run) for run in runs] == ["queued"] * 2
    wait_until(lambda: all(_state(run) == "finished" for run in runs))


def test_the_folder_is_private(tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = slots.slots_folder()
    assert folder == runtime / "kshot" and folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert slots.slots_folder().stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(slots.tempfile, "gettempdir", lambda: str(tmp_path))
    assert slots.slots_folder() == tmp_path / f"kshot-{os.getuid()}"
    monkeypatch.setattr(slots.os, "getuid", lambda: 12345)
    (tmp_path / "kshot-12345").mkdir()
    with pytest.raises(RequestError, match="another user"):
        slots.slots_folder()


def test_a_link_is_no_private_folder(tmp_path: Path, runtime: Path) -> None:
    (runtime / "kshot").symlink_to(tmp_path)
    with pytest.raises(RequestError, match="another user"):
        slots.slots_folder()
