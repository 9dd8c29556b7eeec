"""What the compare screen draws: a table with what belongs to it, computed off the event loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.runs.listing import Summary
from engine.runs.standing import Standing
from engine.runs.standings import Standings
from tui.compare.asking import obstacle
from tui.marks import Mark, marks_of

Table = Mapping[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class View:
    """One table of several, paired with one baseline."""

    standing: Standing
    table: Table
    differences: Mapping[str, NDArray[np.float64]]
    """By row label: row minus baseline, episode by episode."""
    number: int
    """Which of the tables this is, from 0 on."""
    keys: Sequence[str]
    """The keys of all tables."""
    paper_tasks: Mapping[str, int]
    """By row label: training tasks of the published protocol, where the task's presets say."""
    left_alone: Mapping[str, str] = field(default_factory=dict)
    """By run id: why a finished run without a result here is not tested."""

    @property
    def of(self) -> int:
        """How many tables there are."""
        return len(self.keys)

    @property
    def rows(self) -> Sequence[Row]:
        """The table's rows, the best first and the baseline last."""
        rows: Sequence[Row] = self.table["rows"]
        return rows

    @property
    def baseline(self) -> str | None:
        """The label of the row that the others are paired with."""
        label: str | None = self.table["baseline"]
        return label

    @property
    def marks(self) -> dict[str, Mark]:
        """By row label: how the row looks. In the order of the standing, which stays while results come."""
        rows = self.standing.rows
        marks = marks_of([row.algorithm for row in rows])
        return {row.label: mark for row, mark in zip(rows, marks, strict=True)}

    def row(self, label: str | None) -> Row | None:
        """The row of that label."""
        return next((row for row in self.rows if row["label"] == label), None)


def view_of(
    standings: Sequence[Standing],
    key: str | None,
    run_id: str | None,
    baseline: str | None,
    obstacles: Callable[[Standing], Mapping[str, str]] = lambda standing: {},
) -> View | None:
    """The table of that key, else the first that has the run in focus, else the first of all.

    `baseline` is a row's label, `none`, or None for the table's own; None where there is no table.
    `obstacles` says by run id why finished runs without a result are left alone.
    """
    if not standings:
        return None
    chosen = next((n for n, each in enumerate(standings) if each.key == key), None)
    if chosen is None:
        has_run = (n for n, each in enumerate(standings) if run_id and holds(each, run_id))
        chosen = next(has_run, 0)
    left_alone = obstacles(standings[chosen])
    standing = standings[chosen].explained(left_alone)
    labels = [row.label for row in standing.rows]
    paired = baseline if baseline in labels else None if baseline == "none" else standing.default_baseline
    table = standing.table(paired)
    differences = standing.differences(paired)
    keys = [each.key for each in standings]
    return View(standing, table, differences, chosen, keys, paper_tasks(standing), left_alone)


def next_baseline(view: View) -> str:
    """The baseline after this one: each row with a result in turn, then `none`."""
    names = [row["label"] for row in view.rows if row["after"] is not None]
    # In the order of the standing, which does not change with the baseline as the table's does.
    order = [row.label for row in view.standing.rows if row.label in names] + ["none"]
    here = order.index(view.baseline) if view.baseline in order else len(order) - 1
    return order[(here + 1) % len(order)]


def paper_tasks(standing: Standing) -> dict[str, int]:
    """By row label: the training tasks of the budget `paper`, for rows that have a published figure."""
    from engine.errors import RequestError
    from engine.presets import resolve
    from engine.runs.spec_facts import tasks_seen

    found: dict[str, int] = {}
    for row in standing.rows:
        if row.published is None or standing.budget == "paper":
            continue
        try:
            spec = resolve(standing.task, row.algorithm, budget="paper").spec
        except (RequestError, OSError):
            continue
        tasks = tasks_seen(spec, spec.training.iterations)
        if tasks:
            found[row.label] = tasks
    return found


def holds(standing: Standing, run_id: str) -> bool:
    """Whether one of the table's rows is of that run."""
    return any(each.id == run_id for runs in standing.runs.values() for each in runs)


class Views:
    """Reads tables and makes views of them; the same view again while nothing has changed.

    Reads files: for one thread at a time, never the event loop.
    """

    def __init__(self) -> None:
        self._reader = Standings()
        self._standings: tuple[Standing, ...] = ()
        self._wish: object = None
        self._view: View | None = None
        self._obstacles: dict[tuple[str, str], str | None] = {}
        self._told = 0

    def leave_alone(self, key: str, reasons: Mapping[str, str]) -> None:
        """Remembers, by run id, why runs without a result in the table of that key are not asked again."""
        for run_id, reason in reasons.items():
            self._obstacles[key, run_id] = reason
        self._told += 1

    def _left_alone(self, standing: Standing) -> dict[str, str]:
        """By run id why finished runs without a result here are left alone; what was read is kept."""
        found: dict[str, str] = {}
        for row, run in standing.untested():
            if (standing.key, run.id) not in self._obstacles:
                self._obstacles[standing.key, run.id] = obstacle(standing, row, run)
            reason = self._obstacles[standing.key, run.id]
            if reason is not None:
                found[run.id] = reason
        return found

    def view(
        self, runs: Sequence[Summary], key: str | None, run_id: str | None, baseline: str | None
    ) -> View | None:
        """The view of these runs' tables that `view_of` chooses."""
        found = self._reader.look(runs)
        wish = (key, run_id, baseline, self._told)
        if found is not None or wish != self._wish:
            self._standings = found if found is not None else self._standings
            self._wish = wish
            self._view = view_of(self._standings, key, run_id, baseline, self._left_alone)
        return self._view
