"""The terminal under the workbench: what it can do, and whether it is still there."""

import codecs
import contextlib
import os
import signal
import sys
from functools import partial
from typing import Any


def can_show() -> bool:
    """Whether the workbench can be shown: keyboard and screen are a terminal that moves its cursor."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def without_colour() -> bool:
    """Whether the user asked for no colours (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def is_gone() -> bool:
    """Whether the terminal that this process was started on has been closed."""
    try:
        os.tcgetpgrp(sys.__stdin__.fileno() if sys.__stdin__ is not None else 0)
    except OSError:
        return True
    return False


def prepare() -> None:
    """Makes losing the terminal end the process, also where it was started with hang-ups ignored, and bytes
    that are no UTF-8 (mouse reports of old terminals past column 95) harmless."""
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    from textual.drivers import linux_driver

    module: Any = linux_driver
    module.getincrementaldecoder = _forgiving_decoder


def _forgiving_decoder(name: str) -> Any:
    return partial(codecs.getincrementaldecoder(name), errors="replace")
