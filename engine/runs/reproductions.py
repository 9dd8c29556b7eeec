"""Published tables as comparisons: which rows and tasks, at what share of the budget, and what came out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.nearest import suggestion
from engine.presets import Comparison, Row, load_comparison, resolve
from engine.runs.comparison import with_baseline

Table = Mapping[str, Any]
BUDGET = "paper"


@dataclass(frozen=True)
class Reproduction:
    """One published table: a comparison, or the rows and tasks of it that are published."""

    name: str
    summary: str
    comparison: str
    rows: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    set: Mapping[str, Any] = field(default_factory=dict)
    claims: tuple[Mapping[str, Any], ...] = ()


@lru_cache(maxsize=1)
def reproductions() -> dict[str, Reproduction]:
    """All of them by name, in the order of presets/reproductions.yaml."""
    from engine.presets.files import SHIPPED
    from engine.presets.source import read_file

    content = read_file(Path(SHIPPED) / "reproductions.yaml").content
    return {
        name: Reproduction(
            name,
            entry["summary"],
            entry["comparison"],
            tuple(entry.get("rows") or ()),
            tuple(entry.get("tasks") or ()),
            entry.get("set") or {},
            tuple(entry.get("claims") or ()),
        )
        for name, entry in content.items()
    }


def reproduction_named(name: str) -> Reproduction:
    """The reproduction of that name. Raises RequestError with the nearest name."""
    known = reproductions()
    if name not in known:
        raise RequestError(f'no reproduction is named "{name}"{suggestion(name, known, "there are")}')
    return known[name]


def as_comparison(wanted: Reproduction, only: Sequence[str] = (), fraction: float = 1.0) -> Comparison:
    """The comparison that makes the table; `only` these rows, by label or algorithm, and each row's training
    cut to that fraction of its published iterations. The baseline stays where it is one of the rows.

    Raises RequestError for a row that there is not.
    """
    whole = load_comparison(wanted.comparison)
    rows = [row for row in whole.rows if not wanted.rows or {row.label, row.algorithm} & {*wanted.rows}]
    names = {name for row in rows for name in (row.label, row.algorithm)}
    for name in only:
        if name not in names:
            meant = suggestion(name, dict.fromkeys(row.label for row in rows), "its rows")
            raise RequestError(f'--only {name}: {wanted.name} has no such row{meant}')
    kept = [row for row in rows if not only or {row.label, row.algorithm} & {*only}]
    there = {name for row in kept for name in (row.label, row.algorithm)}
    made = replace(
        whole,
        name=wanted.name,
        tasks=wanted.tasks or whole.tasks,
        rows=tuple(kept),
        baseline=whole.baseline if whole.baseline in there else "none",
        set={**whole.set, **wanted.set},
    )
    if fraction != 1.0:
        made = replace(made, rows=tuple(_cut(row, made, fraction) for row in kept))
    return with_baseline(made)


def _cut(row: Row, comparison: Comparison, fraction: float) -> Row:
    spec = resolve(
        comparison.tasks[0], row.algorithm, budget=BUDGET, comparison_set=comparison.set, row_set=row.set
    ).spec
    if spec.outer.rule == "none":
        return row
    iterations = max(1, round(fraction * spec.training.iterations))
    return replace(row, set={**row.set, "training.iterations": iterations})


def verdicts(tables: Sequence[Table]) -> dict[str, int]:
    """How many cells with a published figure have which verdict; `not tested` where there is none of ours."""
    found = [row["published"] for table in tables for row in table["rows"] if row["published"]]
    return dict(Counter(each.get("verdict") or "not tested" for each in found).most_common())


def claims(wanted: Reproduction, tables: Sequence[Table]) -> list[dict[str, Any]]:
    """What is published as a plot, as `claim` and whether it `holds` (None: not tested)."""
    found: list[dict[str, Any]] = []
    for claim in wanted.claims:
        there = [row for table in tables if table["task"] == claim["task"] for row in table["rows"]]
        rows = {row["label"]: row for row in there}
        mine, other = (rows.get(claim[name]) for name in ("row", "against"))
        what = f"{claim['row']} on {claim['task']}"
        found.append({"claim": f"{what}: the error falls at every step", "holds": _falls(mine)})
        step = mine["steps"][-1]["step"] if mine and mine["steps"] else None
        ends = [_at(row, step) for row in (mine, other)]
        text = f"{what}: at most {claim['times']:.2g} of {claim['against']}'s error after as many steps"
        holds = None
        if ends[0] is not None and ends[1] is not None:
            text, holds = f"{text} ({ends[0]:.3g} and {ends[1]:.3g})", ends[0] <= claim["times"] * ends[1]
        found.append({"claim": text, "holds": holds})
    return found


def _at(row: Mapping[str, Any] | None, step: int | None) -> float | None:
    entries = (row or {}).get("steps") or ()
    return next((entry["mean"] for entry in entries if entry["step"] == step), None)


def _falls(row: Mapping[str, Any] | None) -> bool | None:
    means = [entry["mean"] for entry in (row or {}).get("steps") or ()]
    if len(means) < 2:
        return None
    return all(a is not None and b is not None and b < a for a, b in pairwise(means))
