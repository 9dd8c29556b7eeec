"""What a key copies: a text of bounded size, and how much of the whole it is."""

from collections.abc import Sequence
from typing import NamedTuple

MOST_ROWS = 2_000
"""Of a table or a log: more is slow to send over a line, and terminals refuse it."""


class Offer(NamedTuple):
    """A text to copy, and what is said of it where it is not all there is."""

    text: str
    said: str = ""


def last_lines(lines: Sequence[str]) -> Offer:
    """The last of many lines."""
    kept = lines[-MOST_ROWS:]
    said = f"copied the last {len(kept):,} of {len(lines):,} lines" if len(kept) < len(lines) else ""
    return Offer("\n".join(kept), said)
