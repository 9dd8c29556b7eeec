"""Where words go: data on standard output, narration on standard error, never control codes from files."""

import json
import math
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from engine.texts import escaped
from engine.texts import plain as plain

PIPED_WIDTH = 80
WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
"""Run ids and paths hold hyphens, and are copied."""


def say(line: str) -> None:
    """One line of narration on standard error."""
    print(plain(line), file=sys.stderr, flush=True)


def emit(text: str) -> None:
    """Data on standard output; line ends stay, other control characters do not."""
    print("\n".join(plain(line) for line in text.split("\n")))


def emit_json(value: Any) -> None:
    """JSON on standard output; numbers that are not finite become null."""
    print(as_json(value))


def as_json(value: Any) -> str:
    """JSON to print or to keep: what a terminal might obey is escaped in it, numbers not finite are null."""
    return escaped(json.dumps(finite(value), ensure_ascii=False, allow_nan=False, indent=2, default=str))


def finite(value: Any) -> Any:
    """The same value with every number that is not finite replaced by None, tuples as lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def terminal_width() -> int:
    """Columns to write tables for: the terminal's, or 80 where there is none."""
    return max(40, shutil.get_terminal_size((PIPED_WIDTH, 24)).columns)


def shown_width() -> int | None:
    """The columns of the terminal that standard output is; None where it is no terminal."""
    return terminal_width() if sys.stdout.isatty() else None


def cells(text: str) -> int:
    """Columns that the text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def pad(text: str, width: int, right: bool = False) -> str:
    """The text filled with spaces to that many columns."""
    spaces = " " * max(0, width - cells(text))
    return spaces + text if right else text + spaces


def columns(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int] = (),
    width: int | None = None,
) -> str:
    """An aligned table; `right` lists the columns set flush right; the last one is wrapped to the width."""
    clean = [[plain(cell) for cell in row] for row in (headings, *rows)]
    last = len(headings) - 1
    widths = [max(cells(row[index]) for row in clean) for index in range(len(headings))]
    before = sum(widths[:last]) + 2 * last
    room = max(20, width - before) if width else None
    lines = []
    for row in clean:
        pieces = textwrap.wrap(row[last], room, **WHOLE_WORDS) if room and row[last] else [row[last]]
        parts = [
            pad(cell, widths[index], index in right) for index, cell in enumerate([*row[:last], pieces[0]])
        ]
        lines.append("  ".join(parts).rstrip())
        lines += [" " * before + piece for piece in pieces[1:]]
    return "\n".join(lines)


def left_out(number: int) -> str:
    """The line under a spec of which only what has an effect is shown."""
    keys = "key has no effect here and is" if number == 1 else "keys have no effect here and are"
    return f"{number} {keys} not shown; --all shows {'it' if number == 1 else 'them'}"


def wrap(text: str, width: int, indent: str = "") -> str:
    """The text over as many lines as it needs, those after the first indented."""
    return "\n".join(textwrap.wrap(plain(text), max(20, width), subsequent_indent=indent, **WHOLE_WORDS))
