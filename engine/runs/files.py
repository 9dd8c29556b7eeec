"""Small files that are whole or absent: atomic writing, bounded reading, and text made safe to show."""

import contextlib
import errno
import json
import math
import os
import secrets
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from engine import texts

LARGEST_SMALL_FILE = 64 * 1024 * 1024
STALE_SECONDS = 3600.0


def write_whole(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` so that `path` is the old file or the whole new one, whenever the process is killed.

    `durable` also waits until the disk has it. Raises OSError; the temporary file is then gone.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(3)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # not the temporary one, which nobody knows
        raise
    if durable:
        sync_folder(path.parent)


def overwrite(path: Path, data: bytes) -> None:
    """Write `data` over the file at `path` in place: the last resort where no new file fits on the disk.

    Blank to its old length, so that what is JSON stays so, and in one write; what does not fit is taken back.
    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        before = os.pread(descriptor, LARGEST_SMALL_FILE, 0)
        data = data.ljust(len(before))
        if os.pwrite(descriptor, data, 0) < len(data):
            os.pwrite(descriptor, before, 0)
            os.ftruncate(descriptor, len(before))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make renames within `folder` durable, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading bytes. Raises OSError for anything else."""
    # O_NONBLOCK: a pipe left in a run's folder must not hang its reader.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(f"{path.name} is no regular file")


def read_small(path: Path, limit: int = LARGEST_SMALL_FILE) -> bytes:
    """The bytes of a regular file. Raises OSError for anything else and for more than `limit` bytes."""
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(f"{path.name} has more than {limit} bytes")
    return data


def to_json(value: Any, *, indent: int | None = None) -> bytes:
    """JSON of `value` with numbers that are not finite as null."""
    return json.dumps(finite(value), allow_nan=False, ensure_ascii=False, indent=indent).encode(
        "utf-8", "backslashreplace"
    )


def from_json(data: bytes) -> Any:
    """The JSON value in `data`. Raises ValueError for anything that is not one; NaN and the like are None."""
    try:
        return json.loads(data.decode("utf-8", "replace"), parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def finite(value: Any) -> Any:
    """`value` as plain JSON data: arrays and tuples as lists, paths as text, numbers not finite as None."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [finite(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy and torch, neither of which is imported here
        return finite(value.tolist())
    return str(value)


def plain(value: Any, longest: int = 200) -> str:
    """Text from a file as one line: no control characters, no more than `longest` characters; nothing of
    mappings and lists, which may unfold without end."""
    text = "" if value is None or isinstance(value, Mapping | list | tuple | set) else str(value)
    text = texts.plain(text[: longest + 1])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def sweep(folder: Path, older_than: float = STALE_SECONDS, pattern: str = ".*") -> None:
    """Remove the temporary files that killed writers left in `folder`, untouched for `older_than` seconds
    (0: all of them, whatever the clock says)."""
    with contextlib.suppress(OSError):
        for entry in folder.glob(pattern):
            with contextlib.suppress(OSError):
                if entry.is_file() and (not older_than or time.time() - entry.stat().st_mtime >= older_than):
                    entry.unlink()
