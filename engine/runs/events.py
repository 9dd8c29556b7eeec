"""A run's events: one JSON object a line, appended by its one writer, read while it grows."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from engine.runs.files import from_json, open_regular, to_json

LONGEST_LINE = 16 * 1024 * 1024
TAIL = 64 * 1024


class EventWriter:
    """Appends events with rising `seq`. One write a line, so that a kill leaves at most one unfinished line.

    A file that exists is continued: an unfinished last line is cut off and `seq` goes on from the last event.
    Raises OSError; a line that did not fit on the disk is taken back.
    """

    def __init__(self, path: Path, after_seq: int = 0) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        _cut_unfinished(self._descriptor)
        self.seq = max(after_seq, last_seq(path))

    @classmethod
    def resume(cls, path: Path, step: int) -> Self:
        """The writer of a run that goes on from a checkpoint of iteration `step`: appends `resumed`."""
        writer = cls(path)
        writer.append("resumed", step=step)
        return writer

    def append(self, kind: str, **values: Any) -> int:
        """Append one event and return its `seq`; numbers that are not finite become null."""
        seq = self.seq + 1
        line = to_json({"seq": seq, "time": time.time(), "kind": kind, **values}) + b"\n"
        size = os.fstat(self._descriptor).st_size
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            os.ftruncate(self._descriptor, size)
            error.filename = str(self.path)
            raise
        self.seq = seq
        return seq

    def sync(self) -> None:
        """Wait until the disk has every event, as before a checkpoint."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """End writing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _cut_unfinished(descriptor: int) -> None:
    """Truncate the file after its last line feed."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - TAIL)
        block = os.pread(descriptor, end - start, start)
        if (found := block.rfind(b"\n")) >= 0:
            os.ftruncate(descriptor, start + found + 1)
            return
        end = start
    os.ftruncate(descriptor, 0)


def last_seq(path: Path) -> int:
    """The highest `seq` in the file, 0 where there is none."""
    return max((event["seq"] for event in read_events(path)[0]), default=0)


def read_events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The events from byte `offset` on, and the offset to go on from; never raises for what a file may hold.

    An unfinished last line is left for the next call; lines that are no event are passed over.
    """
    try:
        file = open_regular(path)
    except OSError:
        return [], offset
    with file:
        if os.fstat(file.fileno()).st_size < offset:  # not the file that was read before
            offset = 0
        return _read_lines(file, offset)


def _read_lines(file: BinaryIO, offset: int) -> tuple[list[dict[str, Any]], int]:
    events: list[dict[str, Any]] = []
    position = file.seek(offset)
    overlong = False
    while line := file.readline(LONGEST_LINE):
        position += len(line)
        if not line.endswith(b"\n"):
            if len(line) < LONGEST_LINE:
                break
            overlong = True
            continue
        event = None if overlong else _event(line)
        overlong = False
        offset = position
        if event is not None:
            events.append(event)
    return events, offset


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = from_json(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
        return None
    return event if isinstance(event.get("seq"), int) else None


def latest(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events that count: of the same kind and step only the one of the highest `seq`, in order of `seq`.

    A resumed run repeats the steps since its checkpoint; events without a step all count.
    """
    counted: dict[tuple[str, Any], dict[str, Any]] = {}
    for event in events:
        step = event.get("step")
        key = (event["kind"], step if isinstance(step, int) else ("seq", event["seq"]))
        if key not in counted or counted[key]["seq"] <= event["seq"]:
            counted[key] = event
    return sorted(counted.values(), key=lambda event: event["seq"])
