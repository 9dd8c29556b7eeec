"""Train events that differ in their numbers alone, read without building an object for each.

A million lines of JSON are most of what a long history's first opening takes, and nearly all of them are
train events of one shape. Once everything but their numbers is known to be the same, the numbers are all that
must be read: a quarter of the time.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from engine.runs.column_numbers import PADDING, numbers_at
from engine.runs.column_rows import LARGEST_WHOLE, WIDEST, Array, Column

MARK = b'"kind": "train"'
FEWEST = 8
_IN_NUMBERS = b"0123456789.-+eE"
_BLANKED = bytes(code if code in _IN_NUMBERS else 32 for code in range(256))
_MARKED = bytes(code in _IN_NUMBERS for code in range(256))
_LONGEST_KEY = 24
# Of these, which are many, the last alone is worth a parse.
_SPEED = re.compile(rb'\{"seq": \d{1,15}, "time": [\d.]+, "kind": "speed", [^][{}]*\}').fullmatch
_DIGIT = re.compile(rb"[0-9]").search

Name = tuple[str, ...]
"""Keys from the outside in: `("outer_loss",)`, `("rates", "outer")`."""


class Shape:
    """The shape of one train event: all of it but its numbers, and which value each number belongs to."""

    def __init__(self, line: bytes) -> None:
        """Raises ValueError for a line that cannot be read this way."""
        event = json.loads(line)
        if not isinstance(event, dict) or event.get("kind") != "train":
            raise ValueError("no train event")
        if type(event.get("seq")) is not int or type(event.get("step")) is not int:
            raise ValueError("no seq or no step")
        self.skeleton = line.translate(None, _IN_NUMBERS)
        tokens = line.translate(_BLANKED).split()
        self.width = len(tokens)
        self.places: dict[Name, int | list[int]] = {}
        found: list[tuple[int, float]] = []
        end = self._walk(event, (), 0, found)
        # What was walked must be what the tokens say; with a key that comes twice it is not.
        if end != len(tokens) or any(float(tokens[at]) != value for at, value in found):
            raise ValueError("not plain enough")
        self._spelled = _Spelled(tokens, {at for at, _ in found})

    def read(self, lines: Sequence[bytes]) -> Mapping[Name, Array] | None:
        """Numbers `[n]` and lists `[n, width]` of lines of this shape; None if any is of another."""
        text = b"\n".join(lines)
        if text.translate(None, _IN_NUMBERS) != b"\n".join([self.skeleton] * len(lines)):
            return None
        # All tokens of a block at once: where stretches of letters of numbers begin and end.
        padded = b" " + text + b" " * PADDING
        codes = np.frombuffer(padded, np.uint8)
        inside = np.frombuffer(padded.translate(_MARKED), np.uint8)
        edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
        if len(edges) != 2 * self.width * len(lines) or not self._spelled.same(codes, edges, self.width):
            return None
        wanted = sorted(
            chain.from_iterable([at] if isinstance(at, int) else at for at in self.places.values())
        )
        begins, ends = (edges[first::2].reshape(-1, self.width)[:, wanted].T.ravel() for first in (0, 1))
        try:
            found = numbers_at(codes, begins, ends - begins)
        except ValueError:
            return None
        # One row for each token of a line, so that a list of places takes out a list's values.
        by_token = np.empty((self.width, len(lines)))
        by_token[wanted] = found.reshape(len(wanted), len(lines))
        columns = {name: by_token[at].T for name, at in self.places.items()}
        whole = all(_whole(columns[name,]) for name in ("seq", "step"))
        return columns if whole else None

    def _walk(self, value: Any, name: Name, at: int, found: list[tuple[int, float]]) -> int:
        """Notes where the numbers of a value stand among the tokens from `at` on; returns where it ends."""
        if isinstance(value, dict):
            for key, inner in value.items():
                at = self._walk(inner, (*name, key), at + _tokens(key), found)
            return at
        if _is_number(value):
            self.places[name] = at
            found.append((at, value))
            return at + 1
        if isinstance(value, list) and len(value) <= WIDEST and all(map(_is_number, value)):
            places = list(range(at, at + len(value)))
            self.places[name] = places
            found.extend(zip(places, value, strict=True))
            return at + len(value)
        if isinstance(value, list) and any(map(_is_number, value)):
            raise ValueError("numbers beside something else")
        return at + _tokens(value)


class _Spelled:
    """What stands in keys such as `conv1.weight` that looks like numbers, and is not in the skeleton."""

    def __init__(self, tokens: list[bytes], numbers: set[int]) -> None:
        """Raises ValueError for a key that is no name of anything."""
        spelled = [(at, token) for at, token in enumerate(tokens) if at not in numbers and _DIGIT(token)]
        self._places = [at for at, _ in spelled]
        self._lengths = np.array([len(token) for _, token in spelled], np.intp)
        self._longest = int(self._lengths.max(initial=0))
        if self._longest > _LONGEST_KEY:
            raise ValueError("a key of too many digits")
        texts = b"".join(token.ljust(self._longest, b"\0") for _, token in spelled)
        self._texts = np.frombuffer(texts, np.uint8).reshape(len(spelled), self._longest)

    def same(self, codes: Array, edges: Array, width: int) -> bool:
        """Whether all lines have these; `edges` are where each of a line's `width` tokens begins and ends."""
        if not self._places:
            return True
        begins, ends = (edges[first::2].reshape(-1, width)[:, self._places] for first in (0, 1))
        if (ends - begins != self._lengths).any():
            return False
        texts = np.lib.stride_tricks.sliding_window_view(codes, self._longest)[begins]
        texts[:, np.arange(self._longest) >= self._lengths[:, None]] = 0
        return bool((texts == self._texts).all())


def apart(data: bytes) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Whole lines: those marked as train events, plain `speed` events, and the others."""
    lines = data[:-1].split(b"\n")
    marked = [line for line in lines if MARK in line]
    if len(marked) == len(lines):
        return marked, [], []
    speeds: list[bytes] = []
    others: list[bytes] = []
    for line in [line for line in lines if MARK not in line]:
        (speeds if _SPEED(line) else others).append(line)
    return marked, speeds, others


def _tokens(value: Any) -> int:
    """How many tokens a value that is no number leaves: its letters e look like parts of one."""
    return len(json.dumps(value, ensure_ascii=False).encode().translate(_BLANKED).split())


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _whole(column: Column) -> bool:
    """Whether numbers can all be steps or `seq`."""
    return bool(((column >= 0) & (column <= LARGEST_WHOLE) & (column == np.floor(column))).all())
