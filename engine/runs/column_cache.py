"""Columns kept in RUN/cache so that a long history opens at once; never the truth, never trusted blindly."""

import contextlib
import os
import zlib
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from engine.runs.column_events import Gathered
from engine.runs.column_lines import KNOWN_END, Place
from engine.runs.column_rows import Array, number, whole
from engine.runs.files import from_json, open_regular, read_small, sweep, to_json, write_whole
from engine.runs.store import Run
from engine.runs.thinned import Thinned

VERSION = 4
MAGIC = b"kshot columns\n"
LARGEST = 4 << 30
ENDS = 64 * 1024
ALIGNED = 16
_KINDS: dict[str, np.dtype[Any]] = {"<f8": np.dtype("<f8"), "<f4": np.dtype("<f4")}


def save_columns(run: Run, place: Place, gathered: Gathered) -> None:
    """Keeps the columns of the events before a place. What cannot be written is not kept."""
    with contextlib.suppress(OSError):
        path = _path(run)
        path.parent.mkdir(exist_ok=True)
        sweep(path.parent)
        columns = _columns(gathered)
        parts = [np.ascontiguousarray(column).data.cast("B") for column in columns.values() if column.size]
        checksum = 0
        for part in parts:
            checksum = zlib.crc32(part, checksum)
        header = to_json(
            {
                "version": VERSION,
                "offset": place.offset,
                "ends": _ends(run.events_path, place.offset),
                "events": gathered.events,
                "columns": [[name, column.dtype.str, column.shape] for name, column in columns.items()],
                "checksum": checksum,
                "validation_steps": gathered.validation_steps,
                "memory_bytes": gathered.memory_bytes,
                "fit": gathered.fit,
                "fits": gathered.fits.said(),
            }
        )
        # Not durable: a torn file is told by its checksum and made anew.
        padding = b" " * (-(len(MAGIC) + len(header) + 1) % ALIGNED)
        write_whole(path, b"".join([MAGIC, header, padding, b"\n", *parts]), durable=False)


def load_columns(run: Run) -> tuple[Place, Gathered] | None:
    """The columns kept for a run and the place that they reach to; None where there are none that fit."""
    try:
        data = read_small(_path(run), LARGEST)
        if not data.startswith(MAGIC):
            return None
        begin = data.index(b"\n", len(MAGIC)) + 1
        header = from_json(data[len(MAGIC) : begin])
        if header["version"] != VERSION or not whole(header["offset"]) or not whole(header["events"]):
            return None
        if header["ends"] != _ends(run.events_path, header["offset"]):
            return None
        if zlib.crc32(memoryview(data)[begin:]) != header["checksum"]:
            return None
        return _place(run.events_path, header["offset"]), _gathered(header, data, begin)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError):
        return None


def _path(run: Run) -> Path:
    return run.path / "cache" / "columns"


def _columns(gathered: Gathered) -> dict[str, Array]:
    rows = {"train": gathered.train, "validation": gathered.validation}
    columns = {
        f"{kind}.{name}": column for kind, each in rows.items() for name, column in each.columns().items()
    }
    # Wide numbers first, so that each column stands where the processor wants it.
    return dict(sorted(columns.items(), key=lambda item: -item[1].itemsize))


def _gathered(header: dict[str, Any], data: bytes, offset: int) -> Gathered:
    """Raises ValueError, KeyError or TypeError for what cannot be such columns."""
    columns: dict[str, dict[str, Array]] = {"train": {}, "validation": {}}
    for full_name, kind, shape in header["columns"]:
        rows, _, name = full_name.partition(".")
        if not all(map(whole, shape)):
            raise ValueError("a shape that is none")
        column = np.frombuffer(data, _KINDS[kind], prod(shape), offset).reshape(shape)
        columns[rows][name] = column
        offset += column.nbytes
    if offset != len(data):
        raise ValueError("more bytes than the header speaks of")
    found = Gathered()
    found.train.take(columns["train"])
    found.validation.take(columns["validation"])
    steps = tuple(header["validation_steps"])
    if not all(map(whole, steps)) or len(steps) != found.validation.width("metric"):
        raise ValueError("validation steps that are not those of the columns")
    if len(steps) != found.validation.width("ci95"):
        raise ValueError("intervals that are not those of the columns")
    found.validation_steps = steps
    found.events = header["events"]
    memory = number(header["memory_bytes"])
    found.memory_bytes = memory if memory >= 0 else None
    found.fit = header["fit"] if isinstance(header["fit"], dict) else None
    found.fits = Thinned.heard(header["fits"])
    return found


def _ends(path: Path, offset: int) -> str:
    """A digest of a file's first and last bytes before an offset, which tells whether it is the same file.

    Raises OSError for a file that is gone or shorter.
    """
    with open_regular(path) as file:
        size = min(offset, ENDS)
        first = os.pread(file.fileno(), size, 0)
        last = os.pread(file.fileno(), size, offset - size)
    if len(first) != size or len(last) != size:
        raise OSError(f"{path.name} is shorter than it was")
    return blake2b(first + last, digest_size=16).hexdigest()


def _place(path: Path, offset: int) -> Place:
    with open_regular(path) as file:
        size = min(offset, KNOWN_END)
        end = os.pread(file.fileno(), size, offset - size)
        return Place(offset, os.fstat(file.fileno()).st_ino, end)
