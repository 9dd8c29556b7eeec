"""Round numbers along an axis, and how they are written."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import Literal

Unit = Literal["percent", "loss", "error", "number"]
_NEARLY = 1e-9
_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def nice_step(span: float, count: int) -> float:
    """The smallest step of 1, 2 or 5 times a power of ten that divides `span` into at most `count`."""
    raw = span / max(1, count)
    if not isfinite(raw) or raw < 1e-300:
        return 1.0
    power = floor(log10(raw))
    for digit in (1, 2, 5):
        step = float(f"{digit}e{power}")
        if step >= raw * (1 - _NEARLY):
            return step
    return float(f"1e{power + 1}")


def linear_ticks(low: float, high: float, count: int, finest: float = 0.0) -> list[float]:
    """Multiples of a nice step, at least `finest`, from `low` to `high`; at most `count` steps."""
    if not high > low:
        return [low]
    step = max(finest, nice_step(high - low, count))
    first, last = ceil(low / step - _NEARLY), floor(high / step + _NEARLY)
    places = max(0, -floor(log10(step))) if step < 1 else 0
    values = [round(k * step, places) if places <= 300 else k * step for k in range(first, last + 1)]
    return [min(max(value, low), high) for value in values]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten from `low` to `high` (both above 0), with 2 and 5 between where there is room."""
    bottom, top = floor(log10(low) - _NEARLY), ceil(log10(high) + _NEARLY)
    decades = [float(f"1e{k}") for k in range(bottom, top + 1)]
    between = sorted(digit * decade for decade in decades for digit in (1.0, 2.0, 5.0))

    def inside(values: Sequence[float]) -> list[float]:
        margin = 1 + _NEARLY
        return [min(max(v, low), high) for v in values if low / margin <= v <= high * margin]

    fine, coarse = inside(between), inside(decades)
    if len(fine) <= count + 1 and len(fine) >= 2:
        return fine
    if len(coarse) >= 2:
        return coarse[:: ceil(len(coarse) / max(1, count + 1))]
    return linear_ticks(low, high, count)


def tick_labels(values: Sequence[float], unit: Unit, *, narrow: bool = False, log: bool = False) -> list[str]:
    """The values as written beside an axis: with as many decimals as tell them apart.

    Percent takes fractions (0.95 is written 95). `narrow` writes 2k for 2,000.
    """
    scaled = [value * 100 for value in values] if unit == "percent" else list(values)
    if log:
        return [_written(value, abs(value), narrow) for value in scaled]
    step = min((abs(b - a) for a, b in pairwise(scaled) if b != a), default=0.0)
    return [_written(value, step, narrow) for value in scaled]


def _written(value: float, step: float, narrow: bool) -> str:
    size = abs(value)
    if value == 0:
        return "0"
    if step == 0:
        text = f"{value:.9g}"
        return text if "e" in text else f"{value:,.9g}"
    decimals = max(0, -floor(log10(step) + _NEARLY))
    if step == size and decimals == 0 and size < 1e3:
        return f"{value:.4g}"
    if size >= 1e15 or decimals > 4:
        digits = max(0, floor(log10(size) + _NEARLY) - floor(log10(step) + _NEARLY))
        mantissa, exponent = f"{value:.{min(digits, 12)}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if size >= 1e6 or (narrow and size >= 1e3):
        for unit, suffix in _SUFFIXES:
            if size >= unit:
                places = max(0, floor(log10(unit)) - floor(log10(step) + _NEARLY))
                return f"{value / unit:,.{places}f}{suffix}"
    return f"{value:,.{decimals}f}"


def fit_labels(
    labels: Sequence[str], centres: Sequence[int], width: int, gap: int = 2
) -> list[tuple[int, str]] | None:
    """Where each label begins when centred on its tick within `width` cells; None if they would touch."""
    placed: list[tuple[int, str]] = []
    free = 0
    for label, centre in zip(labels, centres, strict=True):
        begin = min(max(0, centre - (len(label) - 1) // 2), width - len(label))
        if begin < free:
            return None
        placed.append((begin, label))
        free = begin + len(label) + gap
    return placed


@lru_cache(maxsize=64)
def x_axis(low: float, high: float, width: int, name: str = "", counted: bool = False) -> str:
    """The line under a chart, `width` cells from `low` to `high`: `0────1,000────2,000 its`.

    `counted`: x are whole numbers, and nothing is written between them.
    """
    right = f" {name}" if name and len(name) + 12 <= width else ""
    room = width - len(right)
    labels = _x_labels(low, high, width, room, counted)
    cells = ["─"] * room + list(right)
    if right and len(labels) < 3:
        # Few labels are left beside the name: it stands between them instead, if it has room there.
        all_labels = _x_labels(low, high, width, width, counted)
        begin, end = _widest_gap(all_labels)
        if len(all_labels) > len(labels) and end - begin >= len(name) + 6:
            labels, cells = all_labels, ["─"] * width
            middle = (begin + end - len(name)) // 2
            cells[middle - 1 : middle + len(name) + 1] = f" {name} "
    for begin, label in labels:
        cells[begin : begin + len(label)] = label
    return "".join(cells)


def _x_labels(low: float, high: float, width: int, room: int, counted: bool) -> list[tuple[int, str]]:
    """As many labels as fit into the first `room` cells of an axis of `width`, and where each begins."""
    best: list[tuple[int, str]] = []
    for narrow in (False, True):
        for count in range(min(12, max(4, room // 5)), 0, -1):
            ticks = linear_ticks(low, high, count, 1.0 if counted else 0.0)
            centres = [int((tick - low) / (high - low) * (2 * width - 1) + 0.5) // 2 for tick in ticks]
            inside = [pair for pair in zip(ticks, centres, strict=True) if pair[1] < room]
            labels = tick_labels([tick for tick, _ in inside], "number", narrow=narrow)
            # A minus would run into the line.
            labels = [f" {label} " if low < 0 else label for label in labels]
            placed = fit_labels(labels, [centre for _, centre in inside], room, gap=3)
            if placed is not None and len(placed) > len(best):
                best = placed
        if len(best) >= 3:
            break
    return best


def _widest_gap(labels: Sequence[tuple[int, str]]) -> tuple[int, int]:
    """Where the widest stretch between two neighbouring labels begins and ends."""
    gaps = [(begin + len(label), after) for (begin, label), (after, _) in pairwise(labels)]
    return max(gaps, key=lambda gap: gap[1] - gap[0], default=(0, 0))
