"""Events gathered into columns: what each kind of event says, whatever stands in it."""

from collections.abc import Mapping, Sequence
from itertools import chain, groupby, islice
from typing import Any

import numpy as np

from engine.runs.column_alike import FEWEST, Shape, apart
from engine.runs.column_lines import events_by_kind, values
from engine.runs.column_rows import WIDEST, Array, Rows, finite, number, numbers, table, whole
from engine.runs.named import MOST_NAMES, MOST_STEPS, OUTER, moves_in, rates_in
from engine.runs.thinned import Thinned

TRAIN_TABLES = ("support_loss", "query_loss", "metric", "norms")


class Gathered:
    """All that a run's events have said so far."""

    def __init__(self) -> None:
        self.events = 0
        self._shape: Shape | None = None
        self.train = Rows(
            ("outer_loss",),
            dict.fromkeys(TRAIN_TABLES, np.float32),
            ("rates", "moved"),
        )
        self.validation = Rows((), {"metric": np.float64, "ci95": np.float64})
        self.validation_steps: tuple[int, ...] = ()
        self.memory_bytes: float | None = None
        self.fit: dict[str, Any] | None = None
        self.fits = Thinned()

    def add(self, data: bytes) -> None:
        """Adds whole lines in the order of the file; those that are no events are passed over."""
        if b'"resumed"' not in data:
            marked, speeds, others = apart(data)
            if len(marked) >= FEWEST and self._add_alike(marked):
                self._add_last_memory(speeds)
                data = b"".join(line + b"\n" for line in others)
        if data:
            self._add_values(values(data))

    def _add_values(self, found: list[Any]) -> None:
        kinds = events_by_kind(found)
        if "resumed" in kinds:
            # What stands before a `resumed` is dropped by it, what stands behind it is not.
            part: list[Any] = []
            for value in found:
                if type(value) is dict and value.get("kind") == "resumed":
                    self._add_kinds(events_by_kind(part))
                    self._resume(value)
                    part = []
                else:
                    part.append(value)
            kinds = events_by_kind(part)
        self._add_kinds(kinds)

    def fields(self) -> dict[str, Any]:
        """The fields of a `History`, arrays as read-only views."""
        train, validation = self.train, self.validation
        return {
            "train_step": train.view("step"),
            "train_time": train.view("time"),
            **{name: train.view(name) for name in ("outer_loss", *TRAIN_TABLES)},
            "rates": train.group("rates"),
            "moved": {layer: table[:, 0] for layer, table in train.group("moved").items()},
            "validation_step": validation.view("step"),
            "validation_time": validation.view("time"),
            "validation_steps": self.validation_steps,
            "validation": validation.view("metric"),
            "validation_ci95": validation.view("ci95"),
            "memory_bytes": self.memory_bytes,
            "fit": self.fit,
            "fits": tuple(self.fits.kept),
        }

    def _resume(self, event: dict[str, Any]) -> None:
        self.events += 1
        step = event.get("step")
        if whole(step):
            for rows in (self.train, self.validation):
                rows.cut(float(step or 0))
            self.fits.cut(float(step or 0))

    def _add_kinds(self, kinds: dict[str, list[dict[str, Any]]]) -> None:
        for kind, events in kinds.items():
            self.events += len(events)
            if kind == "train":
                self._add_train(_placed(events))
            elif kind == "validation":
                self._add_validations(_placed(events))
            elif kind == "speed":
                self._add_memory(_placed(events))
            elif kind == "fit":
                self.fit = events[-1]
                for event in events:
                    self.fits.add(event)

    def _add_train(self, events: list[dict[str, Any]]) -> None:
        self.train.add(
            {
                **_scalars(events, "outer_loss"),
                "support_loss": table([event.get("support_loss") for event in events], np.float32),
                "query_loss": table([event.get("query_loss") for event in events], np.float32),
                "metric": table([_train_metric(event) for event in events], np.float32),
                "norms": table([event.get("meta_gradient_norms") for event in events], np.float32),
                **_named_tables("rates", [rates_in(event) for event in events]),
                **_named_tables("moved", [moves_in(event) for event in events]),
            }
        )

    def _add_alike(self, lines: Sequence[bytes]) -> bool:
        """Adds train events of one shape; False where they are not."""
        columns = self._shape.read(lines) if self._shape is not None else None
        if columns is None:
            try:
                self._shape = Shape(lines[0])
            except (ValueError, RecursionError):
                return False
            columns = self._shape.read(lines)
            if columns is None:
                return False
        self.events += len(lines)
        self.train.add(_train_columns(columns))
        return True

    def _add_last_memory(self, lines: list[bytes]) -> None:
        self.events += len(lines)
        for line in reversed(lines):
            found = events_by_kind(values(line + b"\n")).get("speed", [])
            if self._add_memory(_placed(found)):
                break

    def _add_memory(self, events: list[dict[str, Any]]) -> bool:
        """Takes the last memory that speed events say; False where none does."""
        for event in reversed(events):
            memory = number(event.get("memory_bytes"))
            if memory >= 0:
                self.memory_bytes = memory
                return True
        return False

    def _add_validations(self, events: list[dict[str, Any]]) -> None:
        for steps, group in groupby(events, key=_inner_steps):
            alike = list(group)
            if not self._have_steps(steps):
                continue
            places = [self.validation_steps.index(step) for step in steps]
            rows = _scalars(alike)
            for name in ("metric", "ci95"):
                given = table([event.get(name) for event in alike], np.float64)[:, : len(steps)]
                rows[name] = np.full((len(alike), len(self.validation_steps)), np.nan)
                rows[name][:, places[: given.shape[1]]] = given
            self.validation.add(rows)

    def _have_steps(self, steps: tuple[int, ...]) -> bool:
        """Makes room for these inner steps among the columns; False where they are too many."""
        if set(steps) <= set(self.validation_steps):
            return True
        wider = tuple(sorted({*self.validation_steps, *steps}))
        if len(wider) > WIDEST:
            return False
        places = [wider.index(step) for step in self.validation_steps]
        for name in ("metric", "ci95"):
            self.validation.place(name, places, len(wider))
        self.validation_steps = wider
        return True


def _placed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events whose step and `seq` are whole numbers."""
    return [event for event in events if whole(event.get("step")) and whole(event["seq"])]


def _scalars(events: list[dict[str, Any]], *names: str) -> dict[str, Array]:
    wanted = ("step", "seq", "time", *names)
    return {name: numbers([event.get(name) for event in events]) for name in wanted}


def _train_columns(found: Mapping[tuple[str, ...], Array]) -> dict[str, Array]:
    """The same columns from numbers that were read together."""
    count = len(found["step",])

    def scalar(*name: str) -> Array:
        column = found.get(name)
        return np.full(count, np.nan) if column is None or column.ndim != 1 else finite(column)

    def lists(name: str) -> Array:
        column = found.get((name,))
        if column is None or column.ndim != 2:
            return np.empty((count, 0), np.float32)
        with np.errstate(over="ignore"):
            return finite(column.astype(np.float32))

    joint = ("joint_metric",) in found and not {("accuracy",), ("error",)} & found.keys()
    metric = "accuracy" if ("accuracy",) in found else "error"
    return {
        **{name: scalar(name) for name in ("step", "seq", "time", "outer_loss")},
        "support_loss": lists("support_loss"),
        "query_loss": lists("query_loss"),
        "metric": scalar("joint_metric")[:, None].astype(np.float32) if joint else lists(metric),
        "norms": lists("meta_gradient_norms"),
        **_named_columns(found),
    }


def _named_tables(group: str, said: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """A table for each name in what events said, `GROUP.NAME`."""
    names = dict.fromkeys(chain.from_iterable(said))
    return {
        f"{group}.{name}": table([_listed(each.get(name)) for each in said], np.float32)
        for name in islice(names, MOST_NAMES)
    }


def _listed(value: Any) -> Any:
    return value if type(value) is list else [value]


def _named_columns(found: Mapping[tuple[str, ...], Array]) -> dict[str, Array]:
    """The same from numbers that were read together."""
    columns: dict[str, Array] = {}
    with np.errstate(over="ignore"):
        for (group, *rest), column in found.items():
            name = ".".join((group, *rest))
            if len(rest) != 1 or len(columns) >= 2 * MOST_NAMES:
                continue
            if group == "rates" and column.ndim == 2 and 0 < column.shape[1] <= MOST_STEPS:
                if rest[0] != OUTER:
                    columns[name] = finite(column.astype(np.float32))
            elif group == "moved" and column.ndim == 1:
                columns[name] = finite(column.astype(np.float32))[:, None]
    return columns


def _train_metric(event: dict[str, Any]) -> Any:
    """Accuracy or error after 0..k inner steps; joint training, which adapts nothing, has one value."""
    for name in ("accuracy", "error"):
        if name in event:
            return event[name]
    return [event["joint_metric"]] if "joint_metric" in event else []


def _inner_steps(event: dict[str, Any]) -> tuple[int, ...]:
    """The inner steps of a validation's values; 0, 1, ... where the event does not say them."""
    metric, steps = event.get("metric"), event.get("steps")
    count = len(metric) if type(metric) is list else 0
    if type(steps) is list and len(steps) == count and all(map(whole, steps)) and len(set(steps)) == count:
        return tuple(steps)
    return tuple(range(min(count, WIDEST + 1)))
