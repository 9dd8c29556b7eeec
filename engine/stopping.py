"""How a worker is asked to end or to write a checkpoint: signals, control files, a folder that is gone.

SIGTERM and SIGINT end it at the next iteration's end; where that takes longer than `PATIENCE` seconds it ends
from within its computing, with a checkpoint of the last whole iteration. SIGUSR1, the warning of a batch
system, asks for a checkpoint; SIGHUP is survived.
"""

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType

from engine.runs import Run, StatusWriter, asked, clear

PATIENCE = 2.0


class Interruptible:
    """A span of computing that changes nothing which outlives it: within it, the process may end."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.guarding = False

    def begin(self) -> None:
        """From here on the process may only end within spans."""
        self.guard.acquire()
        self.guarding = True

    def __enter__(self) -> None:
        if self.guarding:
            self.guard.release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.guarding:
            self.guard.acquire()


class Stop:
    """Whether this process should end or write a checkpoint. Made in the main thread, once."""

    def __init__(self, run: Run | None = None, status: StatusWriter | None = None, ended: int = 0) -> None:
        self.run, self.status, self.ended = run, status, ended
        self.signalled, self.warned = False, False
        self.computing = Interruptible()
        self.last_words: Callable[[], None] = lambda: None
        """What is to be saved where the process ends within its computing."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGUSR1, self._warn)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _end(self, number: int, frame: object) -> None:
        if not self.signalled:
            self.signalled = True
            # Not `threading.Thread`: its locks may be held by what this signal has interrupted.
            _thread.start_new_thread(self._insist, ())

    def _warn(self, number: int, frame: object) -> None:
        self.warned = True

    def _insist(self) -> None:
        """Ends the process, if it is still there after a while, as soon as it computes only."""
        time.sleep(PATIENCE)
        self.computing.guard.acquire()
        try:
            self.last_words()
        finally:
            os._exit(self.ended)

    def word(self) -> str | None:
        """`stop` or `pause` if the worker is to end, `checkpoint` if it is to write one, else None."""
        if self.signalled or (self.status is not None and self.status.gone):
            return "stop"
        words = asked(self.run) if self.run is not None else set()
        if self.warned:
            words.add("checkpoint")
        return next((word for word in ("stop", "pause", "checkpoint") if word in words), None)

    def saved(self) -> None:
        """A checkpoint was written, as was asked."""
        self.warned = False
        if self.run is not None:
            clear(self.run, "checkpoint")

    def ending(self) -> bool:
        """Whether to end."""
        return self.word() in ("stop", "pause")
