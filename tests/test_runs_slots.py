"""Slots: one training a device, in order of creation, freed by kill -9, whatever happens to the folder."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from fake_runs import kill, launch, make_run, make_spec, use_fake_worker, wait_until

from engine.errors import RequestError
from engine.runs import (
    Run,
    Status,
    ask,
    create_run,
    hold_slot,
    list_runs,
    processes,
    read_status,
    slots,
    summarise,
    testing,
)
from engine.runs.slots import held_by
from engine.runs.status import this_host
from tui.bench.run_facts import run_facts
from tui.run_list import going_on
from tui.runs.detail import sentence
from tui.snapshot import Snapshot
from tui.views import RunView

HOST = this_host()


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


def test_who_waits_is_told_who_holds_the_device(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same words wherever a wait is shown: a queued run's line and sentence, a test's progress."""
    run = make_run(tmp_path, state="finished")
    os.close(create_run(tmp_path, make_spec(), "mine")[1])
    waiting = list_runs(tmp_path)[-1].run
    test = testing.Test(run, make_spec().model_copy(update={"device": "cpu"}), "maml", id="a" * 16)
    assert held_by("cpu") == "" and test.progress() == ("waiting for the device", 0, 0)
    assert not (runtime / "kshot" / "cpu").exists()  # to look makes nothing
    with hold_slot("cpu", 0.0, lambda: False, f"run {run.id}"):
        words = f"waiting for the device: run {run.id} (process {os.getpid()}) holds it"
        assert test.progress() == (words, 0, 0)
        assert held_by("cuda:0") == ""
        queued = going_on(waiting, Status("queued", "queued", device="cpu", host=HOST[0], boot=HOST[1]))
        summary = replace(summarise(waiting), status=queued)
        assert f"queued, {words}; it starts when" in sentence(summary, (), None, 0, HOST[0], 0.0)
        assert f"queued, next; {words}" in run_facts(Snapshot(runs=(summary,)), summary, None).plain
        view = RunView(waiting, "maml", "mse")
        view.status = queued
        assert view.line == f"maml: queued, {words}"
        far = Status("queued", "queued", device="cpu", host="far")
        assert going_on(waiting, far) == far
        monkeypatch.setenv("KSHOT_SLOTS", "2")
        with hold_slot("cpu", 0.0, lambda: False):
            both = f"run {run.id} (process {os.getpid()}) and process {os.getpid()} hold it"
            assert held_by("cpu") == both
    assert test.progress() == ("waiting for the device", 0, 0)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", "another process holds it"),
        (b"[1]", "another process holds it"),
        (b'{"pid": 1e999, "what": "x"}', "another process holds it"),
        (json.dumps({"pid": 7, "what": "run \x1b[31ma\u202e"}).encode(), "run [31ma (process 7) holds it"),
    ],
)
def test_what_a_holder_says_of_itself_is_only_shown(runtime: Path, said: bytes, told: str) -> None:
    with hold_slot("cpu", 0.0, lambda: False, "run mine"):
        (runtime / "kshot" / "cpu" / "slot-0").write_bytes(said)
        assert held_by("cpu") == told


def test_a_killed_holder_is_named_no_more(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_worker(monkeypatch, 10_000, 0.02, "slot")
    _, pid = launch(tmp_path)
    wait_until(lambda: held_by("cpu") == f"process {pid} holds it")
    kill(pid)
    wait_until(lambda: held_by("cpu") == "")


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
