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


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as blocks from the lowest to the highest of them; a gap is a blank."""
    shown = list(values)[-width:] if width > 0 else []
    known = [value for value in shown if isfinite(value)]
    if not known:
        return " " * len(shown)
    low, high = min(known), max(known)

    def block(value: float) -> str:
        if not isfinite(value):
            return " "
        # Halves first: the span of two huge numbers may exceed every float.
        share = (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5
        return _UP[min(7, int(share * 8))]

    return "".join(block(value) for value in shown)
