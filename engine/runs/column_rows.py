"""Growing columns of numbers by rising step, and how values of events become numbers."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Column = NDArray[np.float64]

WIDEST = 512
MOST_NUMBERS = 1 << 26
LARGEST_WHOLE = 1 << 53
_PLAIN = frozenset({float, int, type(None)})


class Rows:
    """Numbers by rising step: scalars as float64 `[n]`, tables as `[n, width]`; the width grows as needed.

    What was handed out as a view never changes: rows are only added behind it, and what replaces rows that
    somebody may still look at goes into fresh memory.
    """

    def __init__(self, scalars: Sequence[str], tables: Mapping[str, type[np.floating[Any]]]) -> None:
        self.scalars, self.tables = ("step", "seq", "time", *scalars), tables
        self.count = 0
        self._shown = 0
        self._data: dict[str, Array] = {name: np.empty(0) for name in self.scalars}
        self._data |= {name: np.empty((0, 0), kind) for name, kind in tables.items()}

    def view(self, name: str) -> Array:
        """A column as it stands, read-only."""
        self._shown = self.count
        view = self._data[name][: self.count]
        view.flags.writeable = False
        return view

    def width(self, name: str) -> int:
        """How many columns a table has by now."""
        return int(self._data[name].shape[1])

    def cut(self, step: float) -> None:
        """Drops the rows beyond a step."""
        self._shorten(int(np.searchsorted(self._data["step"][: self.count], step, side="right")))

    def add(self, new: Mapping[str, Array]) -> None:
        """Adds rows `[m]` and `[m, width]`; of rows of one step that of the highest `seq` counts."""
        step = new["step"]
        if not len(step):
            return
        rows = dict(new)
        for name in self.tables:
            rows[name] = self._fitted(name, rows[name])
        last = self._data["step"][self.count - 1] if self.count else -np.inf
        if step[0] <= last or not (np.diff(step) > 0).all():
            rows = self._merged(rows)
        count = self.count + len(rows["step"])
        self._reserve(count)
        for name, column in self._data.items():
            column[self.count : count] = rows[name]
        self.count = count

    def place(self, name: str, columns: Sequence[int], width: int) -> None:
        """Moves a table's present columns to these places of a wider one."""
        old = self._data[name]
        wider = np.full((len(old), width), np.nan, old.dtype)
        wider[:, list(columns)] = old
        self._data[name] = wider

    def take(self, columns: Mapping[str, Array]) -> None:
        """Takes up columns that were kept. Raises ValueError for ones that cannot be these."""
        steps = columns["step"]
        for name in self.scalars:
            if columns[name].shape != (len(steps),) or columns[name].dtype != np.float64:
                raise ValueError(f"{name} has the wrong shape or type")
        for name, kind in self.tables.items():
            if columns[name].ndim != 2 or len(columns[name]) != len(steps) or columns[name].dtype != kind:
                raise ValueError(f"{name} has the wrong shape or type")
        if not (np.isfinite(steps).all() and (np.diff(steps) > 0).all()):
            raise ValueError("the steps do not rise")
        self._data = {name: columns[name] for name in (*self.scalars, *self.tables)}
        self.count = self._shown = len(steps)

    def columns(self) -> dict[str, Array]:
        """All columns by name, as `take` wants them."""
        return {name: self.view(name) for name in self._data}

    def _fitted(self, name: str, table: Array) -> Array:
        """New rows of a table at its width, which grows where memory allows; else their values are NaN."""
        width = self.width(name)
        if table.shape[1] > width and table.shape[1] * len(self._data[name]) <= MOST_NUMBERS:
            self.place(name, range(width), table.shape[1])
            return table
        if table.shape[1] == width:
            return table
        fitted = np.full((len(table), width), np.nan, table.dtype)
        if table.shape[1] < width:
            fitted[:, : table.shape[1]] = table
        return fitted

    def _merged(self, rows: dict[str, Array]) -> dict[str, Array]:
        """New rows together with the present ones that they meet, which are taken away; rising by step."""
        begin = int(np.searchsorted(self._data["step"][: self.count], rows["step"].min()))
        both = {
            name: np.concatenate((self._data[name][begin : self.count], rows[name])) for name in self._data
        }
        self._shorten(begin)
        order = np.lexsort((both["seq"], both["step"]))
        steps = both["step"][order]
        counted = order[np.append(steps[1:] != steps[:-1], True)]
        return {name: column[counted] for name, column in both.items()}

    def _shorten(self, count: int) -> None:
        if count < self._shown:
            self._data = {name: column[:count].copy() for name, column in self._data.items()}
            self._shown = 0
        self.count = min(count, self.count)

    def _reserve(self, count: int) -> None:
        capacity = len(self._data["step"])
        if count > capacity:
            capacity = max(count, 2 * capacity, 256)
            for name, column in self._data.items():
                grown = np.empty((capacity, *column.shape[1:]), column.dtype)
                grown[: self.count] = column[: self.count]
                self._data[name] = grown


def whole(value: Any) -> bool:
    """Whether a value is a whole number that a step or a `seq` can be."""
    return type(value) is int and 0 <= value <= LARGEST_WHOLE


def number(value: Any) -> float:
    """A value as a number; NaN for whatever is none, or not finite."""
    if type(value) is float or type(value) is int:
        try:
            found = float(value)
        except OverflowError:
            return np.nan
        return found if np.isfinite(found) else np.nan
    return np.nan


def numbers(values: Sequence[Any], kind: type[np.floating[Any]] = np.float64) -> Array:
    """Values `[n]` as numbers; NaN for whatever is none, or not finite."""
    with np.errstate(over="ignore"):
        if set(map(type, values)) <= _PLAIN:
            try:
                array = np.array(values, kind)
            except OverflowError:
                array = np.array([number(value) for value in values], kind)
        else:
            array = np.array([number(value) for value in values], kind)
    return finite(array)


def finite(array: Array) -> Array:
    """The same array with NaN for whatever is not finite."""
    good = np.isfinite(array)
    if not good.all():
        array[~good] = np.nan
    return array


def table(values: Sequence[Any], kind: type[np.floating[Any]]) -> Array:
    """Lists of numbers as a table `[n, longest]`; NaN where a list ends before, or is none or too long."""
    lists: Iterable[list[Any]] = values
    if set(map(type, values)) != {list}:
        lists = values = [value if type(value) is list else [] for value in values]
    lengths = set(map(len, values))
    if len(lengths) != 1 or max(lengths) > WIDEST:
        rows = [value if len(value) <= WIDEST else [] for value in lists]
        width = max(map(len, rows), default=0)
        lists = [row + [None] * (width - len(row)) for row in rows]
    else:
        width = lengths.pop()
    return numbers(list(chain.from_iterable(lists)), kind).reshape(len(values), width)
