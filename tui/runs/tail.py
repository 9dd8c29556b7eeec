"""The end of a run's log and of its events as lines, read from the end of files of any size."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from engine.runs import Run, Status, read_events, summarise
from engine.runs.files import open_regular
from tui.numbers import size
from tui.output import plain
from tui.run_texts import event_line
from tui.views import RunView

FIRST_BYTES = 1 << 20
"""How much of a file's end is read at first; reading earlier doubles it."""
MOST_BYTES = 64 << 20
"""How much is read at most: a pager does better with more."""


@dataclass(frozen=True)
class Tail:
    """The lines of a file's end, the widest of `width` cells; `before` bytes stand earlier in it and were not
    read: b reads them, unless as much as can be was read (`is_most`)."""

    lines: tuple[str, ...] = ()
    before: int = 0
    fault: str | None = None
    width: int = 0
    is_most: bool = False

    @property
    def first_line(self) -> str | None:
        """What stands above the lines where something was left out."""
        if not self.before:
            return None
        how = f"no more than {size(MOST_BYTES)} are read here" if self.is_most else "b reads earlier"
        return f"{size(self.before)} before this; {how}"


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


class LogTail:
    """The end of log.txt, read on as it grows. Raises nothing; for one thread at a time, never the loop's."""

    def __init__(self, run: Run, last_bytes: int = FIRST_BYTES) -> None:
        self.run, self.last_bytes = run, last_bytes
        self._lines: list[str] = []
        self._width = 0
        self._start, self._offset, self._rest = 0, -1, b""

    def read(self) -> Tail:
        """All lines from the first one read on; an unfinished last line is one too."""
        try:
            with open_regular(self.run.log_path) as file:
                end = file.seek(0, os.SEEK_END)
                if self._offset < 0 or end < self._offset:
                    self._begin(max(0, end - self.last_bytes))
                file.seek(self._offset)
                data = file.read(end - self._offset)
        except FileNotFoundError:
            return Tail(fault="there is no log.txt")
        except OSError as error:
            return Tail(fault=f"log.txt cannot be read: {plain(error.strerror or str(error))}")
        if self._offset == self._start and self._start:  # the first line may have lost its beginning
            skipped = data.find(b"\n") + 1
            data, self._start = data[skipped:], self._start + skipped
        self._offset = end
        *whole, self._rest = (self._rest + data).split(b"\n")
        fresh = [_decoded(line) for line in whole]
        self._lines += fresh
        self._width = max(self._width, _widest(fresh))
        unfinished = [_decoded(self._rest)] if self._rest else []
        width, is_most = max(self._width, _widest(unfinished)), self.last_bytes >= MOST_BYTES
        return Tail((*self._lines, *unfinished), self._start, width=width, is_most=is_most)

    def _begin(self, start: int) -> None:
        self._lines, self._width = [], 0
        self._start, self._offset, self._rest = start, start, b""


class EventTail:
    """The end of events.jsonl, a line for each event that says something, read on as it grows. As LogTail."""

    def __init__(self, run: Run, last_bytes: int = FIRST_BYTES) -> None:
        self.run, self.last_bytes = run, last_bytes
        self._lines: list[str] = []
        self._width = 0
        self._start, self._offset = 0, -1
        self._view: _PastView | None = None

    def read(self) -> Tail:
        """All lines from the first one read on."""
        end = _size(self.run.events_path)
        if self._offset < 0 or end < self._offset:
            self._start = self._offset = max(0, end - self.last_bytes)
            self._lines, self._width = [], 0
        events, self._offset = read_events(self.run.events_path, self._offset)
        if self._view is None:
            self._view = _PastView(self.run, self.run.id, summarise(self.run).metric)
        fresh = event_lines(events, self._view)
        self._lines += fresh
        self._width = max(self._width, _widest(fresh))
        if not self._lines:
            there = self.run.events_path.exists()
            return Tail(fault="no event yet" if there else "there is no events.jsonl")
        is_most = self.last_bytes >= MOST_BYTES
        return Tail(tuple(self._lines), self._start, width=self._width, is_most=is_most)


def event_lines(events: Sequence[dict[str, Any]], view: _PastView) -> list[str]:
    """Each event with its time of day, as `kshot runs watch` words it; a broken one says so."""
    lines = []
    for event in events:
        view.take(event)
        words = event_line(event, view)
        if words:
            lines.append(plain(f"{_time_of(event)}  {words}"))
    return lines


def _time_of(event: Mapping[str, Any]) -> str:
    at = event.get("time")
    try:
        return time.strftime("%H:%M:%S", time.localtime(at)) if isinstance(at, int | float) else " " * 8
    except (OverflowError, ValueError, OSError):
        return " " * 8


def _widest(lines: Sequence[str]) -> int:
    return max((len(line) if line.isascii() else cell_len(line) for line in lines), default=0)


def _decoded(line: bytes) -> str:
    return plain(line.rstrip(b"\r").decode("utf-8", "replace").replace("\t", "    "))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
