"""Status: atomic under readers, a heartbeat, and `crashed` derived from the lock or from silence."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
from fake_runs import make_run, make_spec, wait_until

from engine.errors import RequestError
from engine.runs import (
    Run,
    StatusWatcher,
    StatusWriter,
    acquire,
    create_run,
    is_held,
    list_runs,
    read_status,
    status,
    status_writer,
)

ELSEWHERE = {"host": "another-machine", "boot": "another-boot"}


def _rewrite(run: Run, **changes: object) -> None:
    content = json.loads(run.status_path.read_text())
    run.status_path.write_text(json.dumps({**content, **changes}))


def test_readers_never_see_a_half_written_status(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    seen: list[int] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            content = json.loads(run.status_path.read_text())
            # `best` is written together with the step: they never disagree.
            if content["best"] is not None:
                seen.append(content["best"]["step"])
                assert content["error"] == "x" * content["best"]["step"] * 50

    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            read()
        except BaseException as error:
            failures.append(error)

    reader = threading.Thread(target=guarded)
    reader.start()
    with StatusWriter(run, state="running") as writer:
        for step in range(150):
            writer.update(best={"step": step}, error="x" * step * 50)
    over.set()
    reader.join()
    assert not failures and seen == sorted(seen) and len(set(seen)) > 3
    assert [path.name for path in run.path.glob(".*")] == []
    os.close(descriptor)


def test_the_heartbeat_writes_progress_within_a_second(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    with StatusWriter(run, state="running") as writer:
        before = read_status(run).updated or 0.0
        for step in range(1, 50):
            writer.update(step=step, iterations_per_second=float(step))
        assert read_status(run).step == 0  # progress alone is not worth a write
        end = time.monotonic() + 1.0
        while read_status(run).step != 49 and time.monotonic() < end:
            time.sleep(0.02)
        now = read_status(run)
        assert now.step == 49 and now.more["iterations_per_second"] == 49.0
        assert (now.updated or 0.0) > before
        writer.update(state="paused")
        assert read_status(run).state == "paused"
    os.close(descriptor)


def test_the_writer_keeps_what_the_launcher_wrote(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec(seed=5), "mine")
    created = read_status(run).created
    with StatusWriter(run, state="running", device="cpu", best={"step": 1, "value": float("nan")}):
        pass
    now = read_status(run)
    assert (now.created, now.pid, now.device) == (created, os.getpid(), "cpu")
    assert now.summary["name"] == "mine" and now.summary["seed"] == 5
    assert now.best == {"step": 1, "value": None}
    assert now.started is not None
    with pytest.raises(ValueError, match="no state"):
        StatusWriter(run, state="crashed")
    os.close(descriptor)


def test_live_without_a_lock_is_crashed(tmp_path: Path) -> None:
    for state in ("queued", "starting", "running"):
        run = make_run(tmp_path, state=state)
        now = read_status(run)
        assert now.state == "crashed" and now.error
    for state in ("paused", "stopped", "finished", "failed"):
        assert read_status(make_run(tmp_path, state=state)).state == state


def test_the_lock_is_believed_here_however_silent_the_writer_is(tmp_path: Path) -> None:
    """A worker suspended with SIGSTOP writes nothing and still holds its lock."""
    run, descriptor = create_run(tmp_path, make_spec())
    _rewrite(run, state="running", updated=time.time() - 3600)
    assert read_status(run).state == "running"
    os.close(descriptor)
    assert read_status(run).state == "crashed"


def test_on_another_machine_sixty_silent_seconds_are_a_crash(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    for age, state in ((1, "running"), (59, "running"), (62, "crashed")):
        _rewrite(run, state="running", updated=time.time() - age, **ELSEWHERE)
        assert read_status(run).state == state
    os.close(descriptor)


def test_a_watcher_goes_by_movement_not_by_the_other_machines_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)
    clock = [1000.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: clock[0])
    _rewrite(run, state="running", updated=5.0, **ELSEWHERE)  # an hour or an age behind ours
    watcher = StatusWatcher(run)
    assert watcher.read().state == "crashed"
    _rewrite(run, updated=6.0)
    assert watcher.read().state == "running"
    clock[0] += 59
    assert watcher.read().state == "running"
    clock[0] += 2
    assert watcher.read().state == "crashed"


def test_a_writer_that_says_its_last_word_is_never_called_crashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a reader's look at the file and its look at the lock the worker may finish and let go."""
    run, descriptor = create_run(tmp_path, make_spec())
    _rewrite(run, state="running")
    real = status.probe

    def finish_first(path: Path) -> bool | None:
        _rewrite(run, state="finished")
        return False if real(path) is not None else None

    monkeypatch.setattr(status, "probe", finish_first)
    assert read_status(run).state == "finished"
    os.close(descriptor)


GARBLED = [b"", b"{", b"null", b"[]", b'{"state": "running"', b'{"state": 3}', b'{"state": [1]}']
GARBLED += [b'{"state": "crashed"}', b"\xff\xfe\x00", b"[" * 100_000, b'{"state": "done"}', b"9" * 5000]


@pytest.mark.parametrize("content", GARBLED)
def test_a_garbled_status_is_a_readable_one(tmp_path: Path, content: bytes) -> None:
    run = make_run(tmp_path)
    run.status_path.write_bytes(content)
    now = read_status(run)
    assert now.state == "crashed" and now.error and "status.json" in now.error
    assert [each.id for each in list_runs(tmp_path)] == [run.id]


def test_values_of_the_wrong_type_count_as_absent(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.status_path.write_text(
        '{"state": "failed", "step": "many", "steps": -3, "pid": true, "updated": 1e400,'
        ' "created": [], "host": 7, "error": "one\\u001b[31m\\ntwo", "best": 4, "summary": "x", "speed": 2.5}'
    )
    now = read_status(run)
    assert (now.step, now.steps, now.pid, now.updated, now.created, now.host) == (0, 0, None, None, None, "")
    assert (
        now.error == "one[31m two" and now.best is None and now.summary == {} and now.more == {"speed": 2.5}
    )


def test_a_writer_whose_directory_is_gone_knows_and_makes_none(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    with StatusWriter(run, state="running") as writer:
        assert not writer.gone
        run.path.rename(tmp_path / ".away")
        writer.update(state="finished")
        assert writer.gone
    assert not run.path.exists()
    os.close(descriptor)


def test_a_full_disk_ends_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    with StatusWriter(run, state="running") as writer:
        real = status_writer.write_whole

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(status_writer, "write_whole", full)
        writer.update(step=7)
        time.sleep(1.2 * status_writer.HEARTBEAT_SECONDS)
        assert read_status(run).step == 0
        monkeypatch.setattr(status_writer, "write_whole", real)
        time.sleep(1.5 * status_writer.HEARTBEAT_SECONDS)
        assert read_status(run).step == 7
    os.close(descriptor)


def test_a_lock_whose_file_is_taken_away_lets_no_second_writer_in(tmp_path: Path) -> None:
    """People delete lock files; the writer takes it anew before long."""
    run, descriptor = create_run(tmp_path, make_spec())
    with StatusWriter(run, descriptor, state="running") as writer:
        run.lock_path.unlink()
        wait_until(lambda: is_held(run))
        with pytest.raises(RequestError, match="second writer"):
            acquire(run, wait=0)
        assert not writer.gone
    os.close(descriptor)


def test_a_writer_whose_lock_another_holds_writes_no_more(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    with StatusWriter(run, descriptor, state="running") as writer:
        run.lock_path.unlink()
        other = acquire(run)
        wait_until(lambda: writer.gone)
        _rewrite(run, state="paused")
        writer.update(state="failed")
    assert read_status(run).state == "paused"
    os.close(descriptor)
    os.close(other)


def test_the_last_word_is_said_on_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No new file fits; the old one is written over, and is whole JSON however much shorter the new is."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    run, descriptor = create_run(tmp_path, make_spec())
    writer = StatusWriter(run, state="running", phase="x" * 150)
    monkeypatch.setattr(status_writer, "write_whole", full)
    with pytest.raises(OSError, match="No space"):
        writer.update(state="failed", phase="", error="no room")
    writer.close()
    os.close(descriptor)
    assert (read_status(run).state, read_status(run).error) == ("failed", "no room")
    json.loads(run.status_path.read_text())


def test_what_killed_writers_left_goes_with_the_next_writer(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    left, mark = run.path / ".status.json.77.abcdef", run.path / ".removed"
    left.write_text("{")
    mark.touch()
    StatusWriter(run, state="running").close()
    assert not left.exists() and mark.exists()
    os.close(descriptor)
