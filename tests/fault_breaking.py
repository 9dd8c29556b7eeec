"""Ways to break a file of a run directory, and which files there are."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from engine.runs import Run


def truncate(path: Path, chance: random.Random) -> None:
    """Any beginning of it is left."""
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data) + 1)])


def flip(path: Path, chance: random.Random) -> None:
    """One to three of its bits are other ones."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 3) if data else 0):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def empty(path: Path, chance: random.Random) -> None:
    """Nothing is left, as after a power cut."""
    path.write_bytes(b"")


def zeros(path: Path, chance: random.Random) -> None:
    """A stretch of zero bytes, of the same length."""
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data) + 1)
    data[at : at + 512] = bytes(len(data[at : at + 512]))
    path.write_bytes(data)


def doubled(path: Path, chance: random.Random) -> None:
    """A part of it stands there twice."""
    data = path.read_bytes()
    at = chance.randrange(len(data) + 1)
    path.write_bytes(data[:at] + data[at // 2 :])


def missing(path: Path, chance: random.Random) -> None:
    """It is gone."""
    path.unlink()


def folder_instead(path: Path, chance: random.Random) -> None:
    """A folder stands in its place."""
    path.unlink()
    (path / "inside").mkdir(parents=True)


def nowhere(path: Path, chance: random.Random) -> None:
    """A link to itself stands in its place."""
    path.unlink()
    path.symlink_to(path.name)


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (
    truncate,
    flip,
    empty,
    zeros,
    doubled,
    missing,
)
OBSTACLES: tuple[Callable[[Path, random.Random], None], ...] = (folder_instead, nowhere)
"""What no writer can write to: it has to be taken away by hand."""


def files_of(run: Run) -> list[Path]:
    """Every file of the run."""
    return sorted(path for path in run.path.rglob("*") if path.is_file() and not path.is_symlink())


def clear_away(path: Path) -> None:
    """Takes away whatever stands at `path`."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
