"""Faults inside a process, at its n-th operation on files of a folder: what a kill, a full disk or a changed
clock does to a worker wherever it stands. Installed in a forked child, or through `fault_site/sitecustomize`.

    at      the operation that is struck, counted from 1
    how     `before`, `half` (of a write) or `after` it the process kills itself; from it on every write
            fails, as on a `full` disk, in a folder that has become `denied`, or on a `broken` one
    within  only operations on paths with this text count
    clock   seconds that are added to `time.time()`; a list: from the strike on the second of them
"""

import errno
import io
import itertools
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ERRORS = {"full": errno.ENOSPC, "denied": errno.EACCES, "broken": errno.EIO}
KILLS = ("before", "half", "after")


class Faults:
    """Counts operations and strikes at one of them."""

    def __init__(self, at: int = 0, how: str = "", within: str = "", clock: Any = 0, seed: int = 0) -> None:
        self.at, self.how, self.within, self.clock = at, how, within, clock
        self.random = random.Random(seed)
        self.counter = itertools.count(1)
        self.count = 0
        self.struck = False

    def install(self) -> "Faults":
        """Puts itself in the place of the system calls' Python names."""
        for name in ("fsync", "ftruncate"):
            self._replace(name, self._path_of)
        for name in ("replace", "rename", "unlink", "mkdir"):
            self._replace(name, lambda path, *_: os.fspath(path))
        self._write, self._fdopen, self._open = os.write, os.fdopen, os.open
        os.write, os.fdopen, os.open = self.write, self.fdopen, self.open  # type: ignore[assignment]
        if self.clock:
            now = time.time
            time.time = lambda: now() + self.offset()
        return self

    def offset(self) -> float:
        """What the clock is wrong by."""
        return float(self.clock[self.struck] if isinstance(self.clock, list) else self.clock)

    def _replace(self, name: str, path: Callable[..., str]) -> None:
        real = getattr(os, name)

        def operation(*arguments: Any, **named: Any) -> Any:
            return self.do(path(*arguments), lambda: real(*arguments, **named))

        setattr(os, name, operation)

    @staticmethod
    def _path_of(descriptor: Any, *_: Any) -> str:
        try:
            return str(Path(f"/proc/self/fd/{int(descriptor)}").readlink())
        except (OSError, TypeError):
            return ""

    def do(self, path: str, real: Callable[[], Any], half: Callable[[], Any] = lambda: None) -> Any:
        """One operation, struck or not."""
        if self.within not in path:
            return real()
        self.count = next(self.counter)
        if self.at and self.count >= self.at and self.how in ERRORS:
            self.struck = True
            number = ERRORS[self.how]
            raise OSError(number, os.strerror(number), path)
        if self.count != self.at:
            return real()
        self.struck = True
        if self.how not in KILLS:
            return real()
        if self.how == "half":
            half()
        outcome = real() if self.how == "after" else None
        os.kill(os.getpid(), signal.SIGKILL)
        return outcome

    def cut(self, data: Any) -> bytes:
        """Any beginning of what was to be written."""
        return bytes(data)[: self.random.randrange(len(data) + 1)]

    def write(self, descriptor: int, data: Any) -> int:
        """`os.write`."""
        there = self._path_of(descriptor)
        real, half = lambda: self._write(descriptor, data), lambda: self._write(descriptor, self.cut(data))
        outcome: int = self.do(there, real, half)
        return outcome

    def open(self, path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        """`os.open`: counts where it makes a file."""
        real = lambda: self._open(path, flags, *arguments, **named)  # noqa: E731
        outcome: int = self.do(os.fspath(path), real) if flags & os.O_CREAT else real()
        return outcome

    def fdopen(self, descriptor: int, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        """`os.fdopen` for writing bytes."""
        if mode != "wb":
            return self._fdopen(descriptor, mode, *arguments, **named)
        return io.BufferedWriter(_Torn(self, descriptor))


class _Torn(io.FileIO):
    """A file whose writes are operations."""

    def __init__(self, faults: Faults, descriptor: int) -> None:
        super().__init__(descriptor, "wb")
        self.faults = faults

    def write(self, data: Any) -> int:
        """The bytes written."""
        real, half = super().write, super().write
        return self.faults.do(
            Faults._path_of(self.fileno()), lambda: real(data), lambda: half(self.faults.cut(data))
        )
