"""Checkpoints as files: STEP-DIGEST.pt, where DIGEST is the start of the bytes' SHA-256.

What the bytes mean is the worker's affair. A flipped byte is found here, before anything is loaded.
"""

import contextlib
import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from engine.errors import RequestError
from engine.runs.files import open_regular, sweep, write_whole
from engine.runs.store import Run

NAME = re.compile(r"(\d{1,12})-([0-9a-f]{16})\.pt")
KEPT_LAST = 2


class CheckpointError(RequestError):
    """A checkpoint that cannot be used: gone, unreadable, or not the bytes that were written."""


class Checkpoint(NamedTuple):
    """One checkpoint file: the iteration it was written after, and the digest in its name."""

    step: int
    digest: str
    path: Path


def digest_of(data: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()[:16]


def checkpoint_name(step: int, data: bytes) -> str:
    """STEP-DIGEST.pt."""
    return f"{step}-{digest_of(data)}.pt"


def list_checkpoints(run: Run) -> list[Checkpoint]:
    """The run's checkpoints by step, of the same step the older file first; other names are passed over."""
    found: list[tuple[int, int, Checkpoint]] = []
    with contextlib.suppress(OSError):
        for path in run.checkpoints.iterdir():
            match = NAME.fullmatch(path.name)
            if match is None:
                continue
            with contextlib.suppress(OSError):
                step = int(match[1])
                found.append((step, path.stat().st_mtime_ns, Checkpoint(step, match[2], path)))
    return [checkpoint for _, _, checkpoint in sorted(found)]


def write_checkpoint(run: Run, step: int, data: bytes) -> Path:
    """Write one checkpoint; it is whole or absent. Raises OSError, as on a full disk."""
    run.checkpoints.mkdir(exist_ok=True)
    path = run.checkpoints / checkpoint_name(step, data)
    write_whole(path, data)
    return path


def read_verified(path: Path) -> bytes:
    """The bytes of a checkpoint whose name's digest they have. Raises CheckpointError, naming the file."""
    match = NAME.fullmatch(path.name)
    if match is None:
        raise CheckpointError(f"{path} is no checkpoint: its name must be STEP-DIGEST.pt")
    try:
        data = _bytes_of(path)
    except OSError as error:
        raise CheckpointError(f"cannot read checkpoint {path}: {error.strerror or error}") from error
    if digest_of(data) != match[2]:
        raise CheckpointError(f"checkpoint {path} is damaged: its bytes do not have the digest in its name")
    return data


def _bytes_of(path: Path) -> bytes:
    """Raises OSError, also for what is no regular file: a pipe would keep its reader for ever."""
    with open_regular(path) as file:
        return file.read()


def newest_good_checkpoint(run: Run) -> Checkpoint | None:
    """The run's last checkpoint whose bytes are whole, or None."""
    for checkpoint in reversed(list_checkpoints(run)):
        with contextlib.suppress(CheckpointError):
            read_verified(checkpoint.path)
            return checkpoint
    return None


def damaged_checkpoints(run: Run) -> list[Checkpoint]:
    """The run's checkpoints whose bytes can be read and are not those that were written."""
    found = []
    for checkpoint in list_checkpoints(run):
        with contextlib.suppress(OSError):
            if digest_of(_bytes_of(checkpoint.path)) != checkpoint.digest:
                found.append(checkpoint)
    return found


def prune_checkpoints(
    run: Run, keep: Collection[int] = (), best_files: Collection[str] = (), damaged: Collection[str] = ()
) -> None:
    """Remove all checkpoints but `best_files` (names), those of the last two steps and of steps in `keep`.

    Of one step the newest file counts; those in `damaged` (names) do not. Temporary files that a killed
    writer left go too. Writer only.
    """
    sound = (each for each in list_checkpoints(run) if each.path.name not in damaged)
    newest = {checkpoint.step: checkpoint for checkpoint in sound}
    steps = {*sorted(newest)[-KEPT_LAST:], *keep}
    kept = {checkpoint.path for step, checkpoint in newest.items() if step in steps}
    for checkpoint in list_checkpoints(run):
        if checkpoint.path not in kept and checkpoint.path.name not in best_files:
            with contextlib.suppress(OSError):
                checkpoint.path.unlink()
    sweep(run.checkpoints, older_than=0)
