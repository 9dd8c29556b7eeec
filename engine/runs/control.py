"""What any reader may ask of a run's writer: empty files in RUN/control, obeyed at an iteration's end."""

import contextlib
import os

from engine.errors import RequestError
from engine.runs.status import LIVE, read_status
from engine.runs.store import Run

WORDS = ("stop", "pause", "checkpoint")


def ask(run: Run, word: str) -> None:
    """Ask the run to stop, pause or write a checkpoint.

    Raises RequestError for another word, and for a run that is not queued, starting or running.
    """
    if word not in WORDS:
        raise RequestError(f"a run cannot be asked to {word!r}; it can be asked to {', '.join(WORDS)}")
    state = read_status(run).state
    if state not in LIVE:
        raise RequestError(f"run {run.id} is {state}; there is nothing to {word}")
    try:
        run.control.mkdir(exist_ok=True)
        (run.control / word).touch()
    except OSError as error:
        raise RequestError(f"cannot ask run {run.id} to {word}: {error.strerror or error}") from error


def asked(run: Run) -> set[str]:
    """What the run was asked and did not do yet."""
    try:
        return {entry.name for entry in os.scandir(run.control)} & set(WORDS)
    except OSError:
        return set()


def clear(run: Run, word: str | None = None) -> None:
    """Take away one request once it is obeyed, or all of them."""
    for name in WORDS if word is None else (word,):
        with contextlib.suppress(OSError):
            (run.control / name).unlink()
