"""Signals of a batch system: they go to every process of a job, also to the one that only follows runs."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from engine.errors import RequestError
from engine.runs import ask
from engine.runs.trainings import Trainings


@contextmanager
def heeded(started: Trainings) -> Iterator[None]:
    """While trainings are followed: SIGUSR1, a warning, asks those begun here for a checkpoint; SIGTERM is as
    Ctrl+C, which stops them at one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def warn(number: int, frame: object) -> None:
        for item in started.followed:
            if item.own and not item.done:
                # One that has ended since the last look has nothing more to write.
                with suppress(RequestError):
                    ask(item.run, "checkpoint")

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = [signal.signal(signal.SIGUSR1, warn), signal.signal(signal.SIGTERM, end)]
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before[0])
        signal.signal(signal.SIGTERM, before[1])
