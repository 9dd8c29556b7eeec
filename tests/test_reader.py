"""The reader's thread: new pictures when something changed, and only then, whatever goes wrong."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run, wait_until

from engine.errors import RequestError
from engine.runs import EventWriter, Run, StatusWriter, listing, remove
from engine.runs.columns import HistoryReader
from engine.runs.files import to_json
from tui import reader as reader_module
from tui import run_list
from tui.reader import Looker, Reader, same
from tui.run_list import RunList
from tui.snapshot import SessionNow, Snapshot


class Receiver:
    """Keeps the pictures that were delivered."""

    def __init__(self) -> None:
        self.pictures: list[Snapshot] = []

    def __call__(self, picture: Snapshot) -> None:
        self.pictures.append(picture)

    @property
    def last(self) -> Snapshot:
        return self.pictures[-1] if self.pictures else Snapshot()

    def wait(self, true: Callable[[Snapshot], bool]) -> Snapshot:
        wait_until(lambda: true(self.last))
        return self.last


class FakeSession:
    """A session that is done after some polls."""

    def __init__(
        self,
        polls: int,
        fault: Exception | None = None,
        task: str = "sine-10shot",
        error: str | None = None,
    ) -> None:
        self.left, self.fault, self.asked_after, self.task = polls, fault, 0, task
        self.error = error

    def poll(self) -> None:
        self.left -= 1
        if self.fault is not None:
            raise self.fault

    def now(self) -> SessionNow:
        self.asked_after += 1
        return SessionNow(self.task, {"maml": ()}, (), ({"task": "x"},), self.left <= 0, self.error)


@pytest.fixture
def received() -> Receiver:
    return Receiver()


@pytest.fixture
def reader(tmp_path: Path, received: Receiver) -> Iterator[Reader]:
    reader = Reader(tmp_path / "runs", received)
    yield reader
    reader.end()
    assert not reader._thread.is_alive()


def finished(runs_dir: Path, seed: int = 0, **changes: Any) -> Run:
    """A run that has finished."""
    return make_run(runs_dir, seed=seed, name=f"run {seed}", state="finished", **changes)


def train_events(run: Run, *steps: int) -> None:
    with EventWriter(run.events_path) as writer:
        for step in steps:
            writer.append("train", step=step, outer_loss=1.0)


def test_runs_come_newest_first_and_changes_arrive(
    tmp_path: Path, reader: Reader, received: Receiver
) -> None:
    runs_dir = tmp_path / "runs"
    reader.start()
    assert received.wait(lambda picture: picture.taken > 0).runs == ()
    runs = sorted((finished(runs_dir, seed) for seed in range(3)), key=lambda run: run.id)
    reader.look()
    picture = received.wait(lambda picture: len(picture.runs) == 3)
    assert [each.id for each in picture.runs] == [run.id for run in reversed(runs)]
    remove(runs[1])
    received.wait(lambda picture: len(picture.runs) == 2)


def test_nothing_new_delivers_nothing(
    tmp_path: Path, reader: Reader, received: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "BUSY_SECONDS", 0.01)
    run = make_run(tmp_path / "runs")
    train_events(run, 1, 2)
    taken = []
    original = Looker.picture

    def counted(self: Looker, all_anew: bool = True) -> Snapshot:
        picture = original(self, all_anew)
        taken.append(picture)
        return picture

    monkeypatch.setattr(Looker, "picture", counted)
    with StatusWriter(run, state="running", host=os.uname().nodename):
        lock = os.open(run.lock_path, os.O_RDWR)
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
            reader.watch([run.id])
            reader.start()
            received.wait(lambda picture: run.id in picture.histories)
            count = len(received.pictures)
            updated = {picture.runs[0].status.updated for picture in taken}
            wait_until(lambda: len({each.runs[0].status.updated for each in taken}) > len(updated) + 1)
            assert received.last.runs[0].state == "running"
            assert len(received.pictures) == count, "a heartbeat alone is nothing new"
            train_events(run, 3)
            received.wait(lambda picture: len(picture.histories[run.id].train_step) == 3)
            assert len(received.pictures) == count + 1
        finally:
            os.close(lock)


def test_histories_of_watched_runs_only_and_parked_ones_go_on(tmp_path: Path) -> None:
    runs = [finished(tmp_path, seed) for seed in range(8)]
    for run in runs:
        train_events(run, 1)
    looker = Looker(tmp_path)
    assert looker.picture().histories == {}
    looker.watched = (runs[0].id, "no such run", runs[1].id)
    first = looker.picture()
    assert set(first.histories) == {runs[0].id, runs[1].id}
    looker.watched = (runs[2].id,)
    assert set(looker.picture().histories) == {runs[2].id}
    looker.watched = (runs[0].id,)
    assert looker.picture().histories[runs[0].id] is first.histories[runs[0].id], "read once"
    for run in runs:
        looker.watched = (run.id,)
        looker.picture()
    assert len(looker._histories) == 1 + reader_module.PARKED
    looker.watched = ()
    assert looker.picture().histories == {}


def test_a_history_being_read_keeps_the_reader_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.runs import column_lines

    monkeypatch.setattr(column_lines, "BLOCK", 200)
    monkeypatch.setattr(reader_module, "READING_SECONDS", 0.0)
    run = finished(tmp_path)
    train_events(run, *range(1, 20))
    looker = Looker(tmp_path)
    looker.watched = (run.id,)
    picture = looker.picture()
    assert picture.histories[run.id].progress < 1 and looker.busy(picture)
    for _ in range(40):
        picture = looker.picture()
    assert picture.histories[run.id].progress == 1 and not looker.busy(picture)


def test_what_living_runs_were_asked(tmp_path: Path) -> None:
    alive, over = make_run(tmp_path, seed=1), finished(tmp_path, seed=2)
    for run in (alive, over):
        (run.control / "pause").touch()
    status = json.loads(alive.status_path.read_bytes())
    # A run of another machine, just heard of: no lock tells here.
    alive.status_path.write_bytes(to_json({**status, "host": "elsewhere", "updated": time.time()}))
    looker = Looker(tmp_path)
    picture = looker.picture()
    assert picture.asked == {alive.id: frozenset({"pause"})} and looker.busy(picture)


def test_finished_runs_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [finished(tmp_path, seed) for seed in range(5)]
    read: list[str] = []
    original = listing.summarise

    def counted(run: Run) -> listing.Summary:
        read.append(run.id)
        return original(run)

    monkeypatch.setattr(run_list, "summarise", counted)
    runs_list = RunList(tmp_path)
    first = runs_list.look()
    assert len(read) == 5
    again = runs_list.look()
    assert len(read) == 5 and all(one is other for one, other in zip(first, again, strict=True))
    changed = runs[2]
    StatusWriter(changed, state="stopped", step=3).close()
    states = {each.id: each.state for each in runs_list.look()}
    assert states[changed.id] == "stopped" and read[5:] == [changed.id]


def test_a_run_of_another_machine_lives_while_its_status_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)
    status = json.loads(run.status_path.read_bytes()) | {"state": "running", "host": "elsewhere"}
    slow_clock = time.time() - 5000

    def beat(updated: float) -> str:
        run.status_path.write_bytes(to_json({**status, "updated": updated}))
        return runs_list.look()[0].state

    runs_list = RunList(tmp_path)
    assert beat(slow_clock) == "crashed"
    assert beat(slow_clock + 1) == "running" and beat(slow_clock + 2) == "running"
    assert runs_list.look(all_anew=False)[0].state == "running"
    start = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: start + 90)
    assert runs_list.look(all_anew=False)[0].state == "crashed"


def test_a_session_is_polled_until_it_is_done(tmp_path: Path, reader: Reader, received: Receiver) -> None:
    reader.start()
    session = FakeSession(3)
    reader.follow(session)  # type: ignore[arg-type]
    picture = received.wait(lambda picture: picture.session is not None and picture.session.done)
    assert picture.histories == {} and session.left == 0
    reader.look()
    time.sleep(0.1)
    assert session.left == 0 and session.asked_after == 3, "the tables are computed once"
    reader.follow(FakeSession(1000))  # type: ignore[arg-type]
    received.wait(lambda picture: picture.session is not None and not picture.session.done)


def test_a_second_session_is_shown_and_the_first_is_polled_to_its_end(tmp_path: Path) -> None:
    looker = Looker(tmp_path)
    first, second = FakeSession(5, task="sine-5shot"), FakeSession(2)
    looker.follow(first)  # type: ignore[arg-type]
    looker.picture()
    looker.follow(second)  # type: ignore[arg-type]
    pictures = [looker.picture() for _ in range(8)]
    sessions = [picture.session for picture in pictures]
    assert [session and (session.task, session.done) for session in sessions] == [
        ("sine-10shot", False),
        *[("sine-10shot", True)] * 7,
    ]
    assert (first.left, second.left) == (0, 0), "none is polled after its end"


def test_each_earlier_session_that_fails_tells_its_error_in_a_picture(tmp_path: Path) -> None:
    looker = Looker(tmp_path)
    for error in ("no data", "no device", None):
        looker.follow(FakeSession(1, error=error))  # type: ignore[arg-type]
    looker.fault = "a receiver failed"
    errors = [looker.picture().error for _ in range(4)]
    assert errors == ["a receiver failed", "no data", "no device", None]


def test_a_fault_becomes_a_sentence_and_the_looking_goes_on(
    tmp_path: Path, reader: Reader, received: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_dir = tmp_path / "runs"
    run = finished(runs_dir)
    reader.start()
    received.wait(lambda picture: len(picture.runs) == 1)
    with monkeypatch.context() as patch:

        def refuse(folder: Path) -> Iterator[Run]:
            raise RequestError(f"cannot read the runs folder {folder}")

        patch.setattr(run_list, "all_runs", refuse)
        reader.look()
        picture = received.wait(lambda picture: picture.error is not None)
        assert picture.error == f"cannot read the runs folder {runs_dir}" and picture.run(run.id)
    reader.look()
    received.wait(lambda picture: picture.error is None)
    with monkeypatch.context() as patch:
        patch.setattr(HistoryReader, "read", lambda *_: 1 / 0)
        reader.watch([run.id])
        picture = received.wait(lambda picture: picture.error is not None)
        assert picture.error == "ZeroDivisionError: division by zero" and picture.run(run.id)
    reader.follow(FakeSession(9, ValueError("a\nb")))  # type: ignore[arg-type]
    assert received.wait(lambda picture: "ValueError" in (picture.error or "")).error == "ValueError: a b"


def test_a_receiver_that_fails_does_not_end_the_looking(tmp_path: Path) -> None:
    received = Receiver()

    def deliver(picture: Snapshot) -> None:
        received(picture)
        if len(received.pictures) == 1:
            raise RuntimeError("closing")

    reader = Reader(tmp_path, deliver)
    reader.start()
    received.wait(lambda picture: picture.taken > 0)
    finished(tmp_path)
    reader.look()
    received.wait(lambda picture: len(picture.runs) == 1)
    reader.end()


def test_end_comes_at_once_and_nothing_after_it(tmp_path: Path, received: Receiver) -> None:
    Reader(tmp_path, received).end()
    reader = Reader(tmp_path, received)
    reader.start()
    received.wait(lambda picture: picture.taken > 0)
    reader.end()
    assert not reader._thread.is_alive()
    held = threading.Event()
    slow = FakeSession(5)
    slow.poll = held.wait  # type: ignore[assignment]
    other = Reader(tmp_path, received)
    other.follow(slow)  # type: ignore[arg-type]
    other.start()
    begun, count = time.monotonic(), len(received.pictures)
    other.end()
    assert time.monotonic() - begun < 2, "does not wait for a poll that hangs"
    held.set()
    other._thread.join(5)
    assert len(received.pictures) == count


def test_hostile_folders_make_no_fault(tmp_path: Path) -> None:
    for name, content in {"torn": b'{"state": "run', "markup": b"[bold]", "empty": b""}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "status.json").write_bytes(content)
        (tmp_path / name / "events.jsonl").write_bytes(b'\xff\n{"seq": 1}\n[[[' * 50)
    (tmp_path / "file").write_text("x")
    (tmp_path / "only-spec").mkdir()
    (tmp_path / "only-spec" / "spec.yaml").write_text("{[")
    looker = Looker(tmp_path)
    looker.watched = ("torn", "markup", "only-spec")
    one, other = looker.picture(), looker.picture()
    assert one.error is None and len(one.runs) == 4 and len(one.histories) == 3
    assert same(one, other)


def test_the_reader_costs_little_to_import() -> None:
    code = (
        "import sys, tui.reader;"
        "print([name for name in ('pydantic', 'yaml', 'torch') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
