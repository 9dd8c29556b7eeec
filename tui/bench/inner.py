"""The inner loop of one run: support loss by inner step, the meta-gain, the meta-gradient by inner step."""

from collections.abc import Sequence

import numpy as np
from rich.text import Text

from engine.runs import Summary
from engine.runs.columns import Column, History, Table
from tui.charts.bars import bar
from tui.charts.series import Series
from tui.marks import mark_of
from tui.numbers import interval
from tui.views import value_text

FAN = 6
FAINT = (0x44, 0x44, 0x44)
LITTLE = 0.02
"""A change of less than this part of the scale is not called a help: two points of accuracy, or 2 %."""


def fan(history: History, summary: Summary) -> list[Series]:
    """Support loss against inner steps of the last record and of some before it, older ones fainter; none
    where there are no inner steps."""
    return fan_of(history.support_loss, history.train_step, summary.algorithm)


def fan_of(losses: Table, iterations: Column, algorithm: str) -> list[Series]:
    """The same of support losses `[n, k + 1]` recorded after these iterations `[n]`.

    The line over the chart names the first and the last: faint to strong is an order, and so are numbers.
    """
    if losses.ndim != 2 or losses.shape[1] < 2 or not len(losses):
        return []
    chosen = fan_rows(len(losses))
    losses, iterations = losses[chosen], iterations[chosen]
    steps = np.arange(losses.shape[1], dtype=np.float64)
    mark, last = mark_of(algorithm), len(losses) - 1
    curves = []
    for index, (values, iteration) in enumerate(zip(losses, iterations, strict=True)):
        name = f"now, {int(iteration):,}" if index == last else f"it {int(iteration):,}"
        strength = (index + 1) / (last + 1)
        shape = mark.shape if index == last else ""
        label = name if index in (0, last) else ""
        curves.append(
            Series(
                name,
                steps,
                values,
                fainter(mark.colour, strength),
                shape,
                label=label,
                number=str(index + 1),
            )
        )
    return curves


def fan_rows(count: int) -> list[int]:
    """Which of so many records the fan shows: the last, and every 2^n-th of those before.

    Their distance is about a 64th of all, so that the fan shows how the inner loop changed, and only its last
    curve moves with each record.
    """
    stride = 2 ** max(0, int(np.log2(count / 32)))
    last = count - 1
    older = range((last - 1) // stride * stride, -1, -stride)
    return [*reversed(older[: FAN - 1]), last]


def fainter(colour: str, strength: float) -> str:
    """The colour `#rrggbb` between a dark grey (0) and itself (1)."""
    full = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
    mixed = (round(grey + (value - grey) * strength) for grey, value in zip(FAINT, full, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def meta_gain(history: History, metric: str, width: int) -> Text | None:
    """`20.7 % → 94.1 %  (+73.4)` of the last validation over a meter of `width` cells; None for rules without
    inner steps."""
    return gain_of(history.validation_steps, history.validation, metric, width)


def gain_of(steps: Sequence[int], table: Table, metric: str, width: int) -> Text | None:
    """The same of validations `[n, len(steps)]` after these inner steps."""
    if table.ndim != 2 or table.shape[1] < 2 or not len(table) or not steps or steps[0] != 0:
        return None
    before, after = (float(value) for value in (table[-1, 0], table[-1, -1]))
    if not (np.isfinite(before) and np.isfinite(after)):
        return None
    better = after > before if metric == "accuracy" else after < before
    scale = 100.0 if metric == "accuracy" else 1.0
    change = interval({"mean": (after - before) * scale, "ci95": None}, metric, signed=True)
    line = Text(f"{value_text(before, metric)} → ")
    line.append(value_text(after, metric), style="bold")
    line.append(f"  ({change}) after {steps[-1]} step{'' if steps[-1] == 1 else 's'}\n")
    whole = 1.0 if metric == "accuracy" else max(before, after, 1e-12)
    word = "helps" if better else "does not help"
    if abs(after - before) < LITTLE * whole:
        word = "changes little"
    line.append(meter(before / whole, after / whole, width), style="bold" if better else "")
    line.append(f"\nadaptation {word}")
    return line


def meter(before: float, after: float, width: int) -> str:
    """A scale from 0 to 1 of `width` cells, filled between the two values."""
    low, high = (min(max(round(value * width), 0), width) for value in sorted((before, after)))
    return "·" * low + "█" * (high - low) + "·" * (width - high)


def norm_bars(history: History, width: int) -> Text | None:
    """The meta-gradient's norm at each inner step of the last recorded iteration, as bars; None without."""
    if history.norms.ndim != 2 or not history.norms.size:
        return None
    norms = history.norms[-1]
    finite = norms[np.isfinite(norms)]
    if not finite.size:
        return None
    largest = float(finite.max()) or 1.0
    room = max(3, width - 13)
    text = Text()
    for number, norm in enumerate(norms, start=1):
        known = bool(np.isfinite(norm))
        value = f"{norm:.2g}" if known else "not finite"
        text.append(f"{number:>3} {bar(float(norm) / largest, room)} {value}\n")
    text.right_crop(1)
    return text
