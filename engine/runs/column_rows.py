"""Growing columns of numbers by rising step, and how values of events become numbers."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.runs.named import MOST_NAMES, is_name

Array = NDArray[Any]
Column = NDArray[np.float64]

WIDEST = 512
MOST_NUMBERS = 1 << 26
LARGEST_WHOLE = 1 << 53
_PLAIN = frozenset({float, int, type(None)})


class Rows:
    """Numbers by rising step: scalars as float64 `[n]`, tables as `[n, width]`; the width grows as needed.

    Besides those known beforehand there may be float32 tables in groups, such as `rates.conv1.weight` in
    `rates`: at most `MOST_NAMES` in each. They are let go of where all together have too many numbers.

    What was handed out as a view never changes: rows are only added behind it, and what replaces rows that
    somebody may still look at goes into fresh memory.
    """

    def __init__(
        self,
        scalars: Sequence[str],
        tables: Mapping[str, type[np.floating[Any]]],
        groups: Sequence[str] = (),
    ) -> None:
        self.scalars, self.tables = ("step", "seq", "time", *scalars), dict(tables)
        self._named: dict[str, list[str]] = {group: [] for group in groups}
        self._lets_go = False
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

    def group(self, group: str) -> dict[str, Array]:
        """A group's tables as they stand, by the rest of their names, read-only."""
        names = [name for name in self._named[group] if self.width(name)]
        return {name.partition(".")[2]: self.view(name) for name in names}

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
        for name in [name for name in new if name not in self._data]:
            if not self._admit(name):
                del rows[name]
        absent = np.empty((len(step), 0), np.float32)
        for name in self.tables:
            rows[name] = self._fitted(name, rows.get(name, absent))
        last = self._data["step"][self.count - 1] if self.count else -np.inf
        if step[0] <= last or not (np.diff(step) > 0).all():
            rows = self._merged(rows)
        count = self.count + len(rows["step"])
        if count * self._width_of_named() > MOST_NUMBERS:
            self._let_go(rows)
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
        if not all(name in self._data or self._admit(name) for name in columns):
            raise ValueError("columns of other names")
        for name, kind in self.tables.items():
            if columns[name].ndim != 2 or len(columns[name]) != len(steps) or columns[name].dtype != kind:
                raise ValueError(f"{name} has the wrong shape or type")
        if not (np.isfinite(steps).all() and (np.diff(steps) > 0).all()):
            raise ValueError("the steps do not rise")
        self._data = {name: columns[name] for name in (*self.scalars, *self.tables)}
        if len(steps) * self._width_of_named() > MOST_NUMBERS:
            raise ValueError("too many numbers")
        self.count = self._shown = len(steps)

    def columns(self) -> dict[str, Array]:
        """All columns by name, as `take` wants them."""
        return {name: self.view(name) for name in self._data}

    def _admit(self, name: str) -> bool:
        """Makes room for a table of a group; False where it cannot be one of its."""
        group, _, rest = name.partition(".")
        names = self._named.get(group)
        if names is None or self._lets_go or len(names) >= MOST_NAMES or not is_name(rest):
            return False
        names.append(name)
        self.tables[name] = np.float32
        self._data[name] = np.empty((len(self._data["step"]), 0), np.float32)
        return True

    def _width_of_named(self) -> int:
        return sum(self.width(name) for names in self._named.values() for name in names)

    def _let_go(self, rows: dict[str, Array]) -> None:
        """Drops all tables of groups, from rows that are being added too."""
        self._lets_go = True
        for names in self._named.values():
            for name in names:
                del self.tables[name], self._data[name], rows[name]
            names.clear()

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
