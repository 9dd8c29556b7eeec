"""The end of a run's log and of its events as lines, read from the end of files of any size."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.runs import Run, Status, read_events, summarise
from engine.runs.files import open_regular
from tui.numbers import size
from tui.output import plain
from tui.run_texts import event_line
from tui.views import RunView

FIRST_BYTES = 1 << 20
"""How much of a file's end is read at first; reading earlier doubles it."""


@dataclass(frozen=True)
class Tail:
    """The lines of a file's end; `before` bytes stand earlier in it and were not read."""

    lines: tuple[str, ...] = ()
    before: int = 0
    fault: str | None = None

    @property
    def first_line(self) -> str | None:
        """What stands above the lines where something was left out."""
        return f"{size(self.before)} before this; b reads earlier" if self.before else None


class _PastView(RunView):
    """A view whose events are handed to it: nothing is read, and there is no time left to tell."""

    def __post_init__(self) -> None:
        self.status = Status("finished")

    def take(self, event: Mapping[str, Any]) -> None:
        """Keeps what the lines after this event need."""
        if event["kind"] == "validation":
            self.validation = dict(event)
        elif event["kind"] == "train":
            self.train = dict(event)


def read_log(run: Run, last_bytes: int = FIRST_BYTES) -> Tail:
    """The end of log.txt. Raises nothing; never on the event loop."""
    try:
        with open_regular(run.log_path) as file:
            end = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, end - last_bytes))
            data = file.read(last_bytes)
    except FileNotFoundError:
        return Tail(fault="there is no log.txt")
    except OSError as error:
        return Tail(fault=f"log.txt cannot be read: {plain(error.strerror or str(error))}")
    if start:
        skipped = data.find(b"\n") + 1
        start, data = start + skipped, data[skipped:]
    return Tail(tuple(plain(line) for line in data.decode("utf-8", "replace").splitlines()), start)


def read_event_lines(run: Run, last_bytes: int = FIRST_BYTES) -> Tail:
    """The end of events.jsonl, a line for each event that says something. Raises nothing; off the loop."""
    start = max(0, _size(run.events_path) - last_bytes)
    events, _ = read_events(run.events_path, start)
    if not events:
        there = run.events_path.exists()
        return Tail(fault="no event yet" if there else "there is no events.jsonl")
    return Tail(tuple(event_lines(events, run)), start)


def event_lines(events: Sequence[dict[str, Any]], run: Run) -> list[str]:
    """Each event with its time of day, as `kshot runs watch` words it; a broken one says so."""
    view = _PastView(run, run.id, summarise(run).metric)
    lines = []
    for event in events:
        view.take(event)
        try:
            words = event_line(event, view)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            words = f"{'':>9}  a {event['kind']} event that cannot be read"
        if words:
            lines.append(plain(f"{_time_of(event)}  {words}"))
    return lines


def _time_of(event: Mapping[str, Any]) -> str:
    at = event.get("time")
    try:
        return time.strftime("%H:%M:%S", time.localtime(at)) if isinstance(at, int | float) else " " * 8
    except (OverflowError, ValueError, OSError):
        return " " * 8


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
