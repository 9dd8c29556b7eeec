"""Numbers as people read them: intervals as `95.8 ± 0.4`, times as `3 min 34 s`, counts as `80,000`.

Total: they come from files, and what is no number that can be told is missing.
"""

from collections.abc import Mapping
from math import floor, isfinite, log10
from typing import Any

MISSING = "–"
EVEN = 1.25
"""Up to this ratio of an interval's sides half its width stands for both, after ±."""
LARGEST = 1e15
"""From here on a number is told by its power of ten, and a time or a count not at all."""


def finite(value: Any) -> float | None:
    """The value as a float; None for what is no number, not finite, or beyond what a float holds."""
    try:
        return float(value) if isinstance(value, int | float) and isfinite(value) else None
    except OverflowError:
        return None


def _tellable(value: Any) -> float | None:
    number = finite(value)
    return None if number is None or abs(number) >= LARGEST else number


def interval(entry: dict[str, Any] | None, metric: str, signed: bool = False) -> str:
    """A mean with its half-width, or `[low, high]` where its sides differ much: accuracy in percent, one
    decimal; an error, three significant digits."""
    if entry is None:
        return MISSING
    mean, half_width = finite(entry.get("mean")), finite(entry.get("ci95"))
    if mean is None:
        return "not finite"
    places = decimals(mean, half_width, metric, signed)
    sign = "+" if signed else ""
    text = _rounded(mean, places, sign)
    if half_width is None:
        return text
    low, high = finite(entry.get("low")), finite(entry.get("high"))
    if low is not None and high is not None and _uneven(low, mean, high):
        return f"{text} [{_rounded(low, places, sign)}, {_rounded(high, places, sign)}]"
    return f"{text} ± {_rounded(half_width, places)}"


def magnitude(difference: Mapping[str, Any], metric: str) -> str:
    """The size of a difference without its direction, `20.1 ± 1.3`: what is lower by 2 says `2`."""
    entry = dict(difference)
    mean, low, high = (finite(entry.get(name)) for name in ("mean", "low", "high"))
    if mean is not None and mean < 0:
        entry["mean"] = -mean
        entry["low"] = None if high is None else -high
        entry["high"] = None if low is None else -low
    return interval(entry, metric, signed=True).removeprefix("+")


def metric_words(metric: str, direction: bool = False) -> str:
    """A result's metric in words and its unit; with `direction` also which way is better, where that is not
    plain."""
    found = {"accuracy": "accuracy in percent", "mse": "mean squared error"}.get(metric, metric)
    return f"{found}, lower is better" if direction and metric == "mse" else found


def _uneven(low: float, mean: float, high: float) -> bool:
    """Whether one side of an interval is so much longer than the other that ± would mislead."""
    short, long = sorted((mean - low, high - mean))
    return short > 0 and long > EVEN * short


def _rounded(value: float, places: int, sign: str = "") -> str:
    text = f"{value:{sign}.{places}f}" if abs(value) < LARGEST else f"{value:{sign}.3g}"
    return text if float(text) else text.lstrip("+-")  # what rounds to nothing has no direction


def decimals(mean: float, half_width: float | None, metric: str, signed: bool = False) -> int:
    """Decimal places of a value and its half-width; a difference near zero gets those of its half-width."""
    if metric == "accuracy":
        return 1
    size = max(abs(mean), half_width or 0.0) if signed else abs(mean)
    return 2 if size == 0 else min(12, max(0, 2 - floor(log10(size))))


def duration(seconds: float | None) -> str:
    """A time in at most two units: `48 s`, `3 min 34 s`, `2 h 05 min`."""
    told = _tellable(seconds)
    if told is None:
        return MISSING
    if 0 < told < 9.95:
        return f"{told:.1f} s"
    whole = round(told)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int | None) -> str:
    """A whole number with thousands separated."""
    return MISSING if _tellable(number) is None else f"{number:,}"


def size(number_of_bytes: float | None) -> str:
    """Memory: `231 MB`, `1.4 GB`."""
    told = _tellable(number_of_bytes)
    if told is None:
        return MISSING
    megabytes = told / 1e6
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def speed(iterations_per_second: float | None) -> str:
    """Meta-iterations a second, or seconds an iteration where they are slower than that."""
    told = _tellable(iterations_per_second)
    if told is None or told <= 1 / LARGEST:
        return ""
    if told < 1:
        return f"{1 / told:.1f} s/it"
    return f"{told:.{1 if told < 100 else 0}f} it/s"


def metric_value(value: float | None, metric: str) -> str:
    """One number of that metric, without an interval."""
    return MISSING if value is None else interval({"mean": value, "ci95": None}, metric)


def age(seconds: float) -> str:
    """How long ago, in one unit."""
    seconds = _tellable(seconds) or 0.0
    for unit, length in (("day", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            whole = int(seconds // length)
            return f"{whole} {unit}{'s' if unit == 'day' and whole > 1 else ''} ago"
    return "just now"
