"""A growing file of JSON lines read in blocks of whole lines, and what values and events stand in them."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.runs.files import from_json, open_regular

# Larger blocks are hardly faster, and a parse of one holds the interpreter: this many bytes for about 6 ms.
BLOCK = 512 * 1024
LONGEST_LINE = 16 * 1024 * 1024
KNOWN_END = 256


@dataclass
class Place:
    """How far a file was read: behind which whole line, and what tells that it is still the same file."""

    offset: int = 0
    inode: int = 0
    end: bytes = b""
    """The last bytes before the offset."""
    overlong: bool = False
    """The offset stands within a line too long to be an event: its rest is passed over."""


class Lines:
    """The lines of a file from a place on, block by block. Raises OSError for a file that is gone."""

    def __init__(self, path: Path, place: Place) -> None:
        self.place = place
        self._file = open_regular(path)
        about = os.fstat(self._file.fileno())
        self.size, self.inode = about.st_size, about.st_ino

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def continues(self) -> bool:
        """Whether the file is still the one that was read up to the place."""
        place = self.place
        if place.offset == 0:
            return True
        if self.size < place.offset or (place.inode and place.inode != self.inode):
            return False
        return self._bytes(place.offset - len(place.end), len(place.end)) == place.end

    def block(self) -> bytes | None:
        """The next whole lines, if any; None at the end, where an unfinished line waits."""
        place, size = self.place, BLOCK
        while True:
            data = self._bytes(place.offset, size)
            end = data.rfind(b"\n") + 1
            if end or len(data) < size:
                break
            if size >= LONGEST_LINE:
                place.overlong = True
                self._pass(data)
                return b""
            size *= 4
        if not end:
            return None
        self._pass(data[:end])
        begin = 0
        if place.overlong:
            place.overlong = False
            begin = data.find(b"\n") + 1
        return data[begin:end]

    def _pass(self, data: bytes) -> None:
        place = self.place
        place.offset += len(data)
        place.inode = self.inode
        place.end = (place.end + data[-KNOWN_END:])[-KNOWN_END:]

    def _bytes(self, offset: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, offset)


def values(data: bytes) -> list[Any]:
    """The JSON values of whole lines; lines that hold none are passed over."""
    # Joined by commas, a block is parsed in one call: half the time of a call for each line.
    try:
        found = json.loads(b"[" + data[:-1].replace(b"\n", b",") + b"]")
        if len(found) == data.count(b"\n"):
            return list(found)
    except (ValueError, RecursionError):
        pass
    return [value for line in data.split(b"\n") if (value := _value(line)) is not None]


def _value(line: bytes) -> Any:
    try:
        return from_json(line)
    except ValueError:
        return None


def events_by_kind(found: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """The events among JSON values by kind; what lacks a kind or a `seq` is none."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for event in found:
        if type(event) is dict and type(event.get("seq")) is int and type(kind := event.get("kind")) is str:
            if kind in kinds:
                kinds[kind].append(event)
            else:
                kinds[kind] = [event]
    return kinds
