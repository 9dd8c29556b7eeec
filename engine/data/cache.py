"""Packs: a data set's images as one file in the cache folder, written once and memory-mapped from then on.

A pack is a line of magic, a JSON header padded with spaces to whole pages, then the images' bytes. Its name
ends in its key; the header repeats the key and holds the SHA-256 of the images, so a torn, stale or damaged
pack is recognised and made again.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.parts import Classes
from engine.data.supply import Supply
from engine.folders import cache_folder

TOLD = 2
"""Raised when more is noted of the images, so that older packs are asked for it anew."""
_MAGIC = b"kshot images 1\n"
_PAGE = 4096
_HASHED_AT_ONCE = 2**24


@dataclass(frozen=True)
class Header:
    """What a pack says of itself: shape [images, channels, size, size], classes in the images' order."""

    key: str
    shape: tuple[int, int, int, int]
    classes: dict[str, dict[str, int]]
    notes: tuple[str, ...]
    digest: str
    offset: int
    told: int
    """What the notes tell; those of an older pack may lack something."""

    @property
    def bytes(self) -> int:
        """Bytes of the images."""
        return int(np.prod(self.shape, dtype=np.int64))


def pack_path(dataset: str, supply: Supply) -> Path:
    """Where the pack of these images stands."""
    name = f"{dataset}-{supply.size}x{supply.size}x{supply.channels}-{supply.place}-{supply.key}.pack"
    return cache_folder() / "images" / name


def read_header(path: Path, key: str) -> Header | None:
    """The header of a pack of this key; None where there is none, or a torn or foreign file."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC) + 9)
            if not start.startswith(_MAGIC):
                return None
            length = int(start[len(_MAGIC) :])
            if not 0 < length < 2**26:
                return None
            raw = json.loads(file.read(length))
        header = Header(
            key=raw["key"],
            shape=tuple(raw["shape"]),
            classes=raw["classes"],
            notes=tuple(raw["notes"]),
            digest=raw["digest"],
            offset=len(start) + length,
            told=int(raw.get("told", 1)),
        )
        whole = path.stat().st_size == header.offset + header.bytes
        counts = [count for names in header.classes.values() for count in names.values()]
        sound = len(header.shape) == 4 and min(counts) > 0 and sum(counts) == header.shape[0]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return header if sound and whole and header.key == key else None


def open_pack(path: Path, key: str) -> tuple[np.ndarray, Header] | None:
    """The memory-mapped images of a pack and its header; None where it is missing, torn or damaged."""
    header = read_header(path, key)
    if header is None:
        return None
    try:
        images = np.memmap(path, np.uint8, mode="r", offset=header.offset, shape=header.shape)
    except (OSError, ValueError):
        return None
    return (images, header) if digest_of(images) == header.digest else None


def digest_of(images: np.ndarray) -> str:
    """SHA-256 of the images' bytes, 64 hex digits."""
    flat, digest = images.reshape(-1), hashlib.sha256()
    for first in range(0, flat.size, _HASHED_AT_ONCE):
        digest.update(flat[first : first + _HASHED_AT_ONCE].data)
    return digest.hexdigest()


def write_pack(path: Path, supply: Supply, tell: Callable[[float], None]) -> None:
    """Pack a supply's images and remove older packs of the same place.

    Another process that packs the same is waited for, its pack taken. Raises OSError where the cache cannot
    be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = path.name.removesuffix(f"{supply.key}.pack")
    with _alone(path, prefix):
        if open_pack(path, supply.key) is not None:
            return
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        _check_room(path.parent, supply)
        try:
            _write(temporary, supply, tell)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        for old in path.parent.glob(f"{prefix}*.pack"):
            if old != path:
                old.unlink(missing_ok=True)


def bytes_of(supply: Supply) -> int:
    """Bytes of all of a supply's images."""
    images = sum(sum(counts.values()) for counts in supply.classes().values())
    return images * supply.channels * supply.size**2


def _check_room(folder: Path, supply: Supply) -> None:
    """OSError where the disk has less room than the images take, before it is filled."""
    if bytes_of(supply) > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _write(temporary: Path, supply: Supply, tell: Callable[[float], None]) -> None:
    classes = supply.classes()
    shape = (
        sum(sum(counts.values()) for counts in classes.values()),
        supply.channels,
        supply.size,
        supply.size,
    )
    digest, done = hashlib.sha256(), 0
    with temporary.open("xb") as file:
        file.write(_header_bytes(supply, classes, shape, "0" * 64))
        for chunk in supply.chunks():
            whole = np.ascontiguousarray(chunk).data
            file.write(whole)
            digest.update(whole)
            done += len(chunk)
            tell(done / shape[0])
        file.seek(0)
        file.write(_header_bytes(supply, classes, shape, digest.hexdigest()))
        file.flush()
        os.fsync(file.fileno())


def _header_bytes(supply: Supply, classes: Classes, shape: tuple[int, ...], digest: str) -> bytes:
    raw: dict[str, Any] = {
        "key": supply.key,
        "shape": shape,
        "classes": classes,
        "notes": supply.notes(),
        "told": TOLD,
        "digest": digest,
    }
    text = json.dumps(raw).encode()
    start = len(_MAGIC) + 9
    length = -(-(start + len(text)) // _PAGE) * _PAGE - start
    return _MAGIC + b"%08d\n" % length + text.ljust(length)


@contextlib.contextmanager
def _alone(path: Path, prefix: str) -> Iterator[None]:
    """Hold the lock of a place's packs; leftovers of killed writers are removed."""
    with path.with_name(f".{prefix}lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # no locks here: two may pack at once; the last rename counts, the bytes are equal
            yield
            return
        for left in path.parent.glob(f".{prefix}*.tmp"):
            left.unlink(missing_ok=True)
        yield
