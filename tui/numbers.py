"""Numbers as people read them: intervals as `95.8 ± 0.4`, times as `3 min 34 s`, counts as `80,000`."""

from math import floor, log10
from typing import Any

MISSING = "–"


def interval(entry: dict[str, Any] | None, metric: str, signed: bool = False) -> str:
    """A mean with its half-width: accuracy in percent, one decimal; an error, three significant digits."""
    if entry is None:
        return MISSING
    mean, half_width = entry.get("mean"), entry.get("ci95")
    if mean is None:
        return "not finite"
    places = decimals(mean, half_width, metric, signed)
    sign = "+" if signed else ""
    text = f"{mean:{sign}.{places}f}"
    return text if half_width is None else f"{text} ± {half_width:.{places}f}"


def decimals(mean: float, half_width: float | None, metric: str, signed: bool = False) -> int:
    """Decimal places of a value and its half-width; a difference near zero gets those of its half-width."""
    if metric == "accuracy":
        return 1
    size = max(abs(mean), half_width or 0.0) if signed else abs(mean)
    return 2 if size == 0 else min(12, max(0, 2 - floor(log10(size))))


def duration(seconds: float | None) -> str:
    """A time in at most two units: `48 s`, `3 min 34 s`, `2 h 05 min`."""
    if seconds is None:
        return MISSING
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int | None) -> str:
    """A whole number with thousands separated."""
    return MISSING if number is None else f"{number:,}"


def size(number_of_bytes: float | None) -> str:
    """Memory: `231 MB`, `1.4 GB`."""
    if number_of_bytes is None:
        return MISSING
    megabytes = number_of_bytes / 1e6
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def speed(iterations_per_second: float | None) -> str:
    """Meta-iterations a second, or seconds an iteration where they are slower than that."""
    if not iterations_per_second or iterations_per_second <= 0:
        return ""
    if iterations_per_second < 1:
        return f"{1 / iterations_per_second:.1f} s/it"
    return f"{iterations_per_second:.{1 if iterations_per_second < 100 else 0}f} it/s"


def metric_value(value: float | None, metric: str) -> str:
    """One number of that metric, without an interval."""
    return MISSING if value is None else interval({"mean": value, "ci95": None}, metric)


def age(seconds: float) -> str:
    """How long ago, in one unit."""
    for unit, length in (("day", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            whole = int(seconds // length)
            return f"{whole} {unit}{'s' if unit == 'day' and whole > 1 else ''} ago"
    return "just now"
