"""The inner loop by layer: learned rates of each tensor and step, and how far adaptation moves each layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from engine.runs.columns import History
from tui.bench.inner import fainter
from tui.charts.series import Series
from tui.inner_rates import move_lines, rate_lines, short_name
from tui.output import plain

Column = NDArray[np.float64]
MOST_POINTS = 512
SHAPES = "◆▲●▼■★✚○□◇△▽☆"
COLOURS = ("#00afff", "#ffaf00", "#5fd75f", "#ff5f87", "#d787ff", "#00d7af", "#ffd75f", "#af875f")


def has_layers(history: History | None) -> bool:
    """Whether a run says anything by layer."""
    return history is not None and (_any(history.rates) or _any(history.moved))


def has_rates(history: History) -> bool:
    """Whether a run learns its inner rates."""
    return _any(history.rates)


def _any(columns: Mapping[str, NDArray[Any]]) -> bool:
    return any(np.isfinite(column[-1]).any() for column in columns.values() if len(column))


def newest_rates(history: History) -> dict[str, list[float]]:
    """Rates after the last training record, by tensor, without steps that none has."""
    found = {name: np.atleast_1d(table[-1]) for name, table in history.rates.items() if len(table)}
    return {name: row[: _known(row)].tolist() for name, row in found.items() if _known(row)}


def _known(row: NDArray[Any]) -> int:
    """Up to which step there are values."""
    known = np.flatnonzero(np.isfinite(row))
    return int(known[-1]) + 1 if known.size else 0


def rate_rows(history: History, width: int, colour: str) -> Text | None:
    """The newest rates, a line a tensor, with the marks of the curves at tensors or steps; None where none
    are learned."""
    rates = newest_rates(history)
    if not rates:
        return None
    steps = max(map(len, rates.values()))
    if steps == 1:
        return _marked(rate_lines(rates, width - 2))
    marks = "".join(_mark_of_step(step, steps, colour)[0] for step in range(steps))
    head, *rows = rate_lines(rates, width, marks)
    text = Text(head)
    for step in range(steps):
        shape, own = _mark_of_step(step, steps, colour)
        if (at := head.find(f"{shape}{(step + 1) % 10}")) >= 0:
            text.stylize(own, at, at + 1)
    return text.append("\n" + "\n".join(rows))


def move_rows(history: History, width: int) -> Text | None:
    """How far the last record's inner loop moved each layer; None where it moves none."""
    moved = {name: float(column[-1]) for name, column in history.moved.items() if len(column)}
    if not np.isfinite(list(moved.values())).any():
        return None
    if has_rates(history):
        return Text("\n".join(move_lines(moved, width)))
    return _marked(move_lines(moved, width - 2))


def _marked(lines: list[str]) -> Text:
    """Lines with the marks of the curves of the same place before them."""
    text = Text()
    for place, line in enumerate(lines):
        shape, colour = _mark(place)
        text.append("\n" if place else "").append(f"{shape} ", colour).append(line)
    return text


def _mark(place: int) -> tuple[str, str]:
    """Shape and colour of the curve of a tensor or layer."""
    return SHAPES[place % len(SHAPES)], COLOURS[place % len(COLOURS)]


def _mark_of_step(step: int, steps: int, colour: str) -> tuple[str, str]:
    """Shape and colour of the curve of a step, counted from 0."""
    return SHAPES[step % len(SHAPES)], fainter(colour, (step + 1) / steps)


def layer_curves(history: History, colour: str) -> tuple[str, list[Series]]:
    """(title, curves over iterations): of rates that differ by step the mean of all tensors at each step, in
    the run's colour, later steps stronger; else each tensor's rate; without rates each layer's movement.

    The rows under the chart have their marks and names.
    """
    chosen = _rows(len(history.train_step))
    x = history.train_step[chosen]
    tables = {name: table[chosen] for name, table in history.rates.items()}
    steps = max((table.shape[1] for table in tables.values() if table.ndim == 2), default=0)
    if steps > 1:
        return "Learned rates, mean of tensors", _by_step(x, list(tables.values()), steps, colour)
    if tables:
        return "Learned rates", _by_name(x, {n: t[:, 0] for n, t in tables.items()})
    return "How far layers move", _by_name(x, {n: c[chosen] for n, c in history.moved.items()})


def _rows(count: int) -> list[int]:
    """Which records are drawn: every 2^n-th and the last; rates and movement change slowly."""
    stride = 1 << max(0, (count // MOST_POINTS).bit_length())
    return [*range(0, max(0, count - 1), stride), *([count - 1] if count else [])]


def _by_step(x: Column, tables: list[NDArray[Any]], steps: int, colour: str) -> list[Series]:
    curves = []
    for step in range(steps):
        columns = np.stack([table[:, step] for table in tables if table.shape[1] > step]).astype(np.float64)
        known = np.isfinite(columns)
        with np.errstate(invalid="ignore"):
            means = np.where(known, columns, 0).sum(0) / known.sum(0)
        shape, own = _mark_of_step(step, steps, colour)
        curves.append(Series(f"step {step + 1}", x, means, own, shape, label=""))
    return curves


def _by_name(x: Column, columns: Mapping[str, NDArray[Any]]) -> list[Series]:
    curves = []
    for place, (name, column) in enumerate(columns.items()):
        shape, colour = _mark(place)
        values = column.astype(np.float64)
        curves.append(Series(plain(short_name(name)), x, values, colour, shape, label=""))
    return curves
