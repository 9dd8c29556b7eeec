"""The runs of a group as their one process has them before torch is there: locks, states, and what is asked
of each."""

import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.devices import device_name
from engine.errors import RequestError
from engine.presets import Spec, load_spec
from engine.runs import Run, StatusWriter, adopt, asked, clear, hold_slot, plain, read_status, start_worker
from engine.runs.faults import disk_fault, failed
from engine.runs.store import check_unchanged
from engine.stopping import Stop


class Member:
    """One run of a group, from its lock to its last word.

    Raises RequestError for a descriptor that does not hold its lock.
    """

    def __init__(self, run: Run, descriptor: int) -> None:
        adopt(run.lock_path, descriptor)
        self.run, self.descriptor = run, descriptor
        self.created = read_status(run).created or 0.0
        self.status = StatusWriter(run, descriptor, state="queued", phase="queued")
        self.gone = False
        """Whether this process has let go of it."""
        self.bad = False
        """Whether it failed here."""
        self.spec: Spec

    def read(self) -> None:
        """Reads its spec. Raises RequestError."""
        self.spec = load_spec(self.run.spec_path)
        check_unchanged(self.run, self.spec, self.status.status.summary)

    def word(self) -> str | None:
        """What it alone is asked: `stop`, `pause`, `checkpoint` or nothing."""
        if self.status.gone:
            return "stop"
        words = asked(self.run)
        return next((word for word in ("stop", "pause", "checkpoint") if word in words), None)

    def saved(self) -> None:
        """A checkpoint was written, as was asked."""
        clear(self.run, "checkpoint")

    def let_go(self) -> None:
        """Writes its last state, and lets go of its lock: whoever resumes it finds it free."""
        if not self.gone:
            self.gone = True
            with suppress(OSError):
                self.status.close()
            self.status.let_go()
            with suppress(OSError):
                os.close(self.descriptor)

    def hand_over(self, reason: str) -> None:
        """Begins a worker for it alone, to which its lock goes without a gap."""
        self.gone = True
        self.status.update(state="queued", phase="queued", together=reason)
        self.status.close()
        start_worker(self.run, self.descriptor)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Whatever goes wrong with it becomes its `failed` with one line, and the others go on."""
        try:
            yield
        except RequestError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(disk_fault(self.run, error))
        except Exception as error:
            with suppress(OSError), self.run.log_path.open("a") as log:
                traceback.print_exc(file=log)
            self._fail(plain(f"{type(error).__name__}: {error}", 500))

    def _fail(self, reason: str) -> None:
        self.bad = True
        failed(self.status, reason)
        self.let_go()


def left(members: Sequence[Member]) -> list[Member]:
    """Those that this process still has."""
    return [member for member in members if not member.gone]


def train(pairs: Sequence[tuple[Path, int]]) -> int:
    """Trains runs that differ in their seeds alone in one process, each given with the descriptor that holds
    its lock; what cannot go together goes on in processes of its own."""
    members = [Member(Run(folder), descriptor) for folder, descriptor in pairs]
    stop = Stop()
    stop.computing.begin()
    stop.last_words = lambda: _stop_all(members)
    for member in members:
        with member.told():
            member.read()
    if not (waiting := left(members)):
        return 1
    for member in members[1:]:
        with suppress(OSError), member.run.log_path.open("a") as log:
            print(f"what the process says that trains it stands in {members[0].run.log_path}", file=log)
    device = device_name(waiting[0].spec.device)
    created = min(member.created for member in members)
    what = f"run {members[0].run.id} and the seeds that train with it"
    with hold_slot(device, created, lambda: _all_leave(members, stop), what) as held:
        if held:
            for member in left(members):
                member.status.update(state="starting", phase="importing torch", device=device)
            with stop.computing:
                from engine.together.job import train_members

            try:
                train_members(left(members), device, stop)
            except Exception as error:
                for member in left(members):
                    with member.told():
                        raise error
    return int(any(member.bad for member in members))


def _all_leave(members: Sequence[Member], stop: Stop) -> bool:
    """Whether none is left in the queue; those that are asked to end there do."""
    signalled = stop.word() == "stop"
    for member in left(members):
        word = "stop" if signalled else member.word()
        if word in ("stop", "pause"):
            _stopped(member, "stopped" if word == "stop" else "paused")
    return not left(members)


def _stop_all(members: Sequence[Member]) -> None:
    for member in left(members):
        _stopped(member, "stopped")


def _stopped(member: Member, state: str) -> None:
    """Ends one that has not begun."""
    if not member.status.gone:
        clear(member.run)
    member.status.update(state=state, phase="")
    member.let_go()
