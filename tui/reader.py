"""The reader's thread: looks at the runs folder and hands out pictures of it."""

import gc
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RequestError
from engine.runs import Summary, asked, plain
from engine.runs.freed_memory import keep_freed_memory
from tui.run_list import RunList
from tui.running_tests import RunningTests
from tui.snapshot import SessionNow, Snapshot, TestNow

if TYPE_CHECKING:
    from engine.runs.columns import History, HistoryReader
    from tui.session import Session

BUSY_SECONDS = 0.25
CALM_SECONDS = 1.0
# Only a long history takes this long: drawing it meanwhile costs reading time, so it comes in few portions.
READING_SECONDS = 1.5
END_SECONDS = 0.4
PARKED = 4


class Reader:
    """Takes a picture four times a second while something is under way, once a second otherwise.

    A picture that shows nothing new is not delivered. `deliver` is called on the reader's thread.
    """

    def __init__(self, runs_dir: Path, deliver: Callable[[Snapshot], object]) -> None:
        self.runs_dir, self.deliver = runs_dir, deliver
        self._looker = Looker(runs_dir)
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go, name="kshot-reader", daemon=True)
        self._all_anew = threading.Event()

    def start(self) -> None:
        """Begins looking."""
        self._thread.start()

    def end(self) -> None:
        """Ends the thread; nothing is delivered any more."""
        self._ended.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def look(self) -> None:
        """Takes a picture now."""
        self._all_anew.set()
        self._wake.set()

    def watch(self, runs: Sequence[str]) -> None:
        """Reads the histories of these runs from now on, and of no others."""
        watched = tuple(dict.fromkeys(runs))
        if watched != self._looker.watched:
            self._looker.watched = watched
            self._wake.set()

    def follow(self, session: "Session") -> None:
        """Polls this session with every picture and shows it; those before it are polled to their ends."""
        self._looker.follow(session)
        self.look()

    def _go(self) -> None:
        last: Snapshot | None = None
        while not self._ended.is_set():
            begun = time.monotonic()
            self._wake.clear()
            if all_anew := self._all_anew.is_set():
                self._all_anew.clear()
            picture = self._looker.picture(all_anew)
            if not self._ended.is_set() and (last is None or not same(last, picture)):
                last = picture
                self._hand_out(picture)
            pause = BUSY_SECONDS if self._looker.busy(picture) else CALM_SECONDS
            self._wake.wait(max(0.01, begun + pause - time.monotonic()))

    def _hand_out(self, picture: Snapshot) -> None:
        try:
            self.deliver(picture)
        except Exception as fault:  # A receiver that is closing must not end the looking.
            self._looker.fault = in_one_sentence(fault)


class Looker:
    """What the pictures are taken from: the list of runs, histories being read, the sessions.

    For the reader's thread; any other may set `watched` and call `follow`.
    """

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.watched: tuple[str, ...] = ()
        self.fault: str | None = None
        self._list = RunList(runs_dir)
        self._runs: tuple[Summary, ...] = ()
        self._asked: dict[str, frozenset[str]] = {}
        self._running_tests = RunningTests()
        self._tests: Mapping[str, TestNow] = {}
        self._histories: dict[str, HistoryReader] = {}
        self._shown: dict[str, History] = {}
        self._sessions: tuple[Session, ...] = ()
        """Those that are not done yet."""
        self._begun: deque[Session] = deque()
        """Those that have come since the last picture."""
        self._newest: Session | None = None
        self._session_now: SessionNow | None = None
        self._untold: deque[str] = deque()
        """Errors of sessions that are not shown: each stands in one picture that has no other fault."""

    def picture(self, all_anew: bool = True) -> Snapshot:
        """One picture. Raises nothing: a fault becomes its `error`, beside what was seen before.

        `all_anew` also looks at each finished run again.
        """
        faults = [self.fault] if self.fault else []
        self.fault = None
        parts: list[Callable[[], None]] = [
            self._poll_sessions,
            lambda: self._look_at_runs(all_anew),
            self._read_histories,
        ]
        for part in parts:
            try:
                part()
            except Exception as fault:
                faults.append(in_one_sentence(fault))
        if not faults and self._untold:
            faults.append(self._untold.popleft())
        error = faults[0] if faults else None
        seen = (self._runs, self._asked, self._shown, self._session_now)
        return Snapshot(time.time(), *seen, error, self._tests)

    def busy(self, picture: Snapshot) -> bool:
        """Whether something is under way, or a watched history is still being read."""
        session = picture.session
        return (
            any(summary.status.alive for summary in picture.runs)
            or any(test.share is not None for test in picture.tests.values())
            or any(history.progress < 1 for history in picture.histories.values())
            or (session is not None and not session.done)
        )

    def _look_at_runs(self, all_anew: bool) -> None:
        self._runs = self._list.look(all_anew)
        self._asked = {each.id: frozenset(asked(each.run)) for each in self._runs if each.status.alive}
        self._tests = self._running_tests.look(self._runs, all_anew)

    def _read_histories(self) -> None:
        watched = self.watched
        if not watched:
            self._shown = {}
            return
        from engine.runs.columns import HistoryReader  # NumPy: not before it is needed.

        if not self._histories:
            keep_freed_memory()
        known = {summary.id: summary.run for summary in self._runs}
        shown = [run_id for run_id in watched if run_id in known]
        for run_id in shown:
            # What was watched last stands last; of the others a few stay, for a way back.
            reader = self._histories.pop(run_id, None) or HistoryReader(known[run_id])
            self._histories[run_id] = reader
        for run_id in list(self._histories)[: -len(shown) - PARKED]:
            del self._histories[run_id]
        portion = READING_SECONDS / max(len(shown), 1)
        with _without_collecting():
            self._shown = {run_id: self._histories[run_id].read(portion) for run_id in shown}

    def follow(self, session: "Session") -> None:
        """Polls this session too from now on; the newest is the one that is shown."""
        self._begun.append(session)

    def _poll_sessions(self) -> None:
        while self._begun:
            self._newest = self._begun.popleft()
            self._sessions = (*self._sessions, self._newest)
            self._session_now = None
        going, faults = [], []
        for session in self._sessions:
            try:
                session.poll()
                now = session.now()
            except Exception as fault:
                faults.append(fault)
                going.append(session)
                continue
            if session is self._newest:
                self._session_now = now
            elif now.error is not None:
                self._untold.append(now.error)
            if not now.done:
                going.append(session)
        self._sessions = tuple(going)
        if faults:
            raise faults[0]


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Reading makes no cycles, but so many objects that the collector would go through the whole app's again
    and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def same(one: Snapshot, other: Snapshot) -> bool:
    """Whether two pictures show the same; that a run's status was written again is nothing to show."""
    return (
        len(one.runs) == len(other.runs)
        and all(map(_same_run, one.runs, other.runs))
        and one.asked == other.asked
        and one.tests == other.tests
        and _same_histories(one.histories, other.histories)
        and one.session == other.session
        and one.error == other.error
    )


def _same_run(one: Summary, other: Summary) -> bool:
    return one is other or _without_beat(one) == _without_beat(other)


def _without_beat(summary: Summary) -> Summary:
    return replace(summary, status=replace(summary.status, updated=None))


def _same_histories(one: Mapping[str, "History"], other: Mapping[str, "History"]) -> bool:
    return one.keys() == other.keys() and all(one[run_id] is other[run_id] for run_id in one)


def in_one_sentence(fault: BaseException) -> str:
    """A fault for people: our own messages as they are, others with their kind."""
    text = plain(fault, 300)
    return text if isinstance(fault, RequestError) else f"{type(fault).__name__}: {text}".rstrip(": ")
