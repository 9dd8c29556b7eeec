"""The processes of ranks 1, 2, ... on this machine, begun and watched by the run's writer, rank 0."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from engine.runs.processes import worker_command

GRACE_SECONDS = 5.0
"""From the death of one until the writer ends too, should it hang; usually a broken connection tells it."""
LEAVE_SECONDS = 20.0
LEFT_ALONE = 3
"""The exit code of a process that ends because another one of its training has."""


class Sharing(NamedTuple):
    """How rank 0 meets the other `processes` (with itself) of its training, of which `here` are on this
    machine: by the file `store`, or (none) as torchrun's environment says; `who` names one that was lost."""

    processes: int
    here: int
    store: Path | None
    who: Callable[[], str | None]


class Companions:
    """They end with this process, however it ends: each holds the reading end of a pipe that nobody else
    writes to.

    `give_up` is called with one line when one has died and the writer is still there after a while.
    """

    def __init__(self, devices: Sequence[str], give_up: Callable[[str], None]) -> None:
        self.count, self.give_up = len(devices), give_up
        self.folder = Path(tempfile.mkdtemp(prefix="kshot-ranks-"))
        self.store = self.folder / "store"
        self._leaving = threading.Event()
        reading, self._writing = os.pipe()
        try:
            self.processes = [self._begun(rank, devices[rank], reading) for rank in range(1, self.count)]
        finally:
            os.close(reading)
        threading.Thread(target=self._watch, name="kshot-ranks", daemon=True).start()

    def _begun(self, rank: int, device: str, reading: int) -> "subprocess.Popen[bytes]":
        """What it prints goes where this process's own output goes: to the run's log."""
        words = ("follow", str(self.store), str(rank), str(self.count), device, str(reading))
        return subprocess.Popen(worker_command(*words), stdin=subprocess.DEVNULL, pass_fds=[reading])

    def lost(self, wait: float = 2.0) -> str | None:
        """Who has died, in one line, if any does within `wait` seconds."""
        until = time.monotonic() + wait
        while not (found := self._dead()) and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def _dead(self) -> str | None:
        codes = {rank: process.poll() or 0 for rank, process in enumerate(self.processes, 1)}
        # Those that were merely left alone come last.
        for rank in sorted(codes, key=lambda rank: codes[rank] == LEFT_ALONE):
            if code := codes[rank]:
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                return f"process {rank} (of 0 to {self.count - 1}) {how}; log.txt has what it said"
        return None

    def _watch(self) -> None:
        while not self._leaving.wait(0.5):
            if found := self._dead():
                if not self._leaving.wait(GRACE_SECONDS):
                    self.give_up(found)
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        until = time.monotonic() + (LEAVE_SECONDS if error is None else 0.0)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
            process.kill()
            process.wait()
        os.close(self._writing)
        shutil.rmtree(self.folder, ignore_errors=True)


class Signals:
    """What signals ask of a process that only computes: it says so to all, and they stop together."""

    def __init__(self) -> None:
        self.ended = False
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)

    def _end(self, number: int, frame: object) -> None:
        self.ended = True

    def words(self) -> Set[str]:
        """`stop`, once a signal came."""
        return frozenset({"stop"} if self.ended else ())


def end_with(reading: int, folder: Path) -> None:
    """Ends this process as soon as the one that holds the pipe's other end has ended, which can no longer
    remove the folder that they met in."""

    def wait() -> None:
        while os.read(reading, 1):
            pass
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(LEFT_ALONE)

    threading.Thread(target=wait, name="kshot-ranks", daemon=True).start()
