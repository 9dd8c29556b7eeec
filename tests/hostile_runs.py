"""Runs folders that nobody meant to write: files half written, missing, of other kinds, of other contents."""

import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARKUP = "[red]x[/]"
TEXTS = (MARKUP, "[", "[@click=quit]", "\x1b[31mred\x1b]0;title\x07", "a\nb\rc\td", "\u202e\0x", "", "ж" * 9)
NAMES = ("[red]x", "\x1b[31m", "a\nb", "-rf", "x" * 120, "20260101-000000-maml-sine-s0-0000", "ж")
NUMBERS = (float("nan"), float("inf"), -1, 0, 1e308, -1e308, 10**400, 2**63, 1e-320, True)
OTHERS = (None, [], {}, [[]], [None, "x"], {"mean": None}, [float("nan")] * 3, [[1.0], [1.0, 2.0], []])


def spoil(runs_dir: Path, seed: int) -> None:
    """Makes up to twelve changes to the runs of a folder; the same ones for the same seed."""
    chance = random.Random(seed)
    for _ in range(chance.randint(3, 12)):
        runs = sorted(path for path in runs_dir.iterdir() if path.is_dir() and not path.is_symlink())
        run = chance.choice(runs)
        files = sorted(path for path in run.rglob("*") if path.is_file() and not path.is_symlink())
        if not files or chance.random() < 0.1:
            _strange_run(run, chance)
        else:
            chance.choice(WAYS)(chance.choice(files), chance)


def _cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randint(0, len(data))])


def _repeat_half(path: Path, chance: random.Random) -> None:
    """A second writer, or a file system that lost a page."""
    data = path.read_bytes()
    at = chance.randint(0, len(data))
    path.write_bytes(data[:at] + data[at // 2 :])


def _bytes(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    at = chance.randint(0, len(data))
    others = (b"\0" * 512, chance.randbytes(64), b"\xff\xfe", b"\n\n")
    data[at : at + chance.randint(0, 64)] = chance.choice(others)
    path.write_bytes(data)


def _missing(path: Path, chance: random.Random) -> None:
    path.unlink()


def _folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def _loop(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.symlink_to(chance.choice((path.name, "..", "/dev/zero", "nowhere")))


def _pipe(path: Path, chance: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _unreadable(path: Path, chance: random.Random) -> None:
    chance.choice((path, path.parent)).chmod(0)


def _values(path: Path, chance: random.Random) -> None:
    """Well-formed, with values of every wrong kind; spec.yaml too, for what is JSON is YAML."""
    import yaml

    try:
        text = path.read_text()
        lines = text.splitlines() if path.suffix == ".jsonl" else [text]
        contents = [yaml.safe_load(line) if path.suffix == ".yaml" else json.loads(line) for line in lines]
    except (ValueError, yaml.YAMLError):
        return
    for _ in range(chance.randint(1, 4)):
        _put(contents, copy.deepcopy(chance.choice(TEXTS + NUMBERS + OTHERS)), chance)
    path.write_text("".join(json.dumps(content) + "\n" for content in contents))


def _put(content: Any, value: Any, chance: random.Random) -> None:
    """Somewhere in the tree, the deeper the rarer."""
    while isinstance(content, dict | list) and content:
        places = list(content) if isinstance(content, dict) else list(range(len(content)))
        place = chance.choice(places)
        if isinstance(content[place], dict | list) and content[place] and chance.random() < 0.8:
            content = content[place]
            continue
        content[place] = value
        return


def _strange_run(run: Path, chance: random.Random) -> None:
    """Something that is no run, or not this one, under a name that no run has."""
    path = run.parent / chance.choice(NAMES)
    if path.exists() or path.is_symlink():
        return
    match chance.randint(0, 3):
        case 0:
            path.mkdir()
            (path / "status.json").write_text("{}")
        case 1:
            path.write_text("no run")
        case 2:
            path.symlink_to(chance.choice((path.name, "..", run.name)))
        case _:
            path.mkdir()


WAYS: tuple[Callable[[Path, random.Random], None], ...] = (
    _cut,
    _repeat_half,
    _bytes,
    _missing,
    _folder,
    _loop,
    _pipe,
    _unreadable,
    _values,
    _values,
    _values,
)
