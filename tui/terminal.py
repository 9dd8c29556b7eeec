"""The terminal under the workbench: what it can do, and whether it is still there."""

import codecs
import contextlib
import errno
import os
import signal
import sys
from functools import partial
from typing import IO, Any


def can_show() -> bool:
    """Whether the workbench can be shown: keyboard and screen are a terminal that moves its cursor."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def without_colour() -> bool:
    """Whether the user asked for no colours (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def is_gone() -> bool:
    """Whether the terminal that this process was started on has been closed."""
    descriptor = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
    try:
        os.tcgetpgrp(descriptor)
    except OSError as fault:
        # A terminal that is there, but not this session's own (`su -c`, `setsid`), has no group to tell.
        return fault.errno != errno.ENOTTY or not os.isatty(descriptor)
    return False


def prepare() -> None:
    """Makes losing the terminal end the process, also where it was started with hang-ups ignored or blocked,
    and bytes that are no UTF-8 (mouse reports of old terminals past column 95) harmless."""
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
    from textual.drivers import linux_driver

    module: Any = linux_driver
    module.getincrementaldecoder = _forgiving_decoder
    module.WriterThread = _enduring_writer


def _forgiving_decoder(name: str) -> Any:
    return partial(codecs.getincrementaldecoder(name), errors="replace")


def _enduring_writer(file: IO[str]) -> Any:
    """Textual's writer ends with the first write that fails, and the app then waits for it for ever."""
    from textual.drivers._writer_thread import WriterThread

    class EnduringWriter(WriterThread):
        def run(self) -> None:
            gone = False
            while (text := self._queue.get()) is not None:
                if not gone:
                    gone = not self._sent(text)

        def _sent(self, text: str) -> bool:
            try:
                self._file.write(text)
                if not self._queue.qsize():
                    self._file.flush()
            except OSError:
                return False
            return True

    return EnduringWriter(file)
