"""Numbers as blocks of eighths: a bar and a line of bars."""

from collections.abc import Sequence
from math import isfinite

_ACROSS = " ▏▎▍▌▋▊▉█"
_UP = "▁▂▃▄▅▆▇█"


def bar(value: float, width: int) -> str:
    """A bar of `value` (0 to 1 of `width` cells), padded to `width`; what is not finite is empty.

    A value above zero shows at least an eighth of a cell.
    """
    if width <= 0:
        return ""
    if not isfinite(value) or value <= 0:
        return " " * width
    eighths = max(1, round(min(value, 1.0) * width * 8))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_ACROSS[rest] if rest else "")).ljust(width)


def sparkline(fractions: Sequence[float]) -> str:
    """One block for each number from 0 to 1; what is not finite is a blank."""
    inside = [min(1.0, max(0.0, value)) if isfinite(value) else value for value in fractions]
    return "".join(_UP[min(7, int(value * 8))] if isfinite(value) else " " for value in inside)
