"""One table that the runs folder's results make: its rows, and what pairing them with a baseline gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from engine.baseline import BASELINE
from engine.runs.listing import Summary
from engine.runs.reports import Result, RowRuns, episodes_at, table

NOT_TESTED = "not tested yet"


@dataclass(frozen=True)
class Standing:
    """One table that the folder's results make: one task, one budget, the same test episodes for all rows."""

    task: str
    budget: str
    metric: str
    higher_is_better: bool
    protocol: Mapping[str, Any]
    """`episodes`, `evaluation_seed` and `statistics` of the results here, or of the specs where none is."""
    rows: tuple[RowRuns, ...]
    runs: Mapping[str, tuple[Summary, ...]]
    """By row label: the run of each of the row's seeds."""
    tasks_each: Mapping[str, float] = field(default_factory=dict)
    """By row label: training tasks that one iteration sees, where the spec tells."""

    @property
    def key(self) -> str:
        """What stays the same while results come: task, budget and protocol."""
        return "\0".join([self.task, self.budget, *(str(value) for value in self.protocol.values())])

    @cached_property
    def default_baseline(self) -> str | None:
        """The row of pretraining that pairs with the most seeds of other rows, else any pretraining that has
        results, else any at all; None where there is none."""

        def rank(row: RowRuns) -> tuple[bool, int]:
            seeds = [len(row.finished.keys() & other.finished.keys()) for other in self.rows]
            return not row.finished, -sum(seeds)

        found = [row for row in self.rows if row.algorithm.startswith(BASELINE)]
        exact = [row for row in found if row.algorithm == BASELINE]
        return min(exact or found, key=rank).label if found else None

    def explained(self, reasons: Mapping[str, str]) -> "Standing":
        """The same table whose rows say why, by run id, a run has no result here and gets none."""
        if not reasons:
            return self
        rows = (replace(row, error=missing(self.runs[row.label], row.results, reasons)) for row in self.rows)
        return replace(self, rows=tuple(rows))

    def untested(self) -> list[tuple[RowRuns, Summary]]:
        """The finished runs without a result here, each with its row."""
        return [
            (row, run)
            for row in self.rows
            for run, result in zip(self.runs[row.label], row.results, strict=True)
            if result is None and run.state == "finished"
        ]

    def table(self, baseline: str | None) -> dict[str, Any]:
        """The table as contracts §4 has it, paired with the row `baseline`; the best first, that one last."""
        seeds = sorted({seed for row in self.rows for seed in row.seeds})
        named = {name: self.protocol.get(name) for name in ("episodes", "statistics")}
        protocol = {**named, "budget": self.budget, "seeds": seeds}
        made = table(self.task, self.rows, baseline, protocol, self.metric, self.higher_is_better)
        sign = -1 if made["higher_is_better"] else 1

        def order(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
            mean = row["after"]["mean"] if row["after"] else None
            return row["label"] == baseline, mean is None, sign * mean if mean is not None else 0.0

        made["rows"].sort(key=order)
        return made

    def differences(self, baseline: str | None) -> dict[str, np.ndarray]:
        """By row label: row minus baseline after adaptation, every episode of every shared seed [episodes].

        In percent points for accuracy; rows that cannot be paired are left out.
        """
        reference = next((row for row in self.rows if row.label == baseline), None)
        found: dict[str, np.ndarray] = {}
        for row in self.rows:
            if reference is None or row is reference:
                continue
            pairs = [
                (episodes_at(mine, mine["after_step"]), episodes_at(theirs, theirs["after_step"]))
                for seed, mine in row.finished.items()
                if (theirs := reference.finished.get(seed)) is not None
            ]
            if pairs:
                found[row.label] = np.concatenate([one - other for one, other in pairs])
        return found


def missing(
    runs: Sequence[Summary], results: Sequence[Result | None], reasons: Mapping[str, str] | None = None
) -> str | None:
    """Why a row has no result, for each seed that has none; `reasons` are those known, by run id."""
    told = []
    for run, result in zip(runs, results, strict=True):
        if result is None:
            words = {"queued": "queued", "starting": "starting", "running": "training"}
            why = (reasons or {}).get(run.id) or words.get(run.state, NOT_TESTED)
            told.append(f"seed {run.seed or 0}: {why}" if len(runs) > 1 else why)
    return "; ".join(told) or None
