"""Results files into the table, evaluation and run reports that the command line and the workbench print.

A report is never stored, always computed from results/*.json. Accuracy is in percent from here on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from engine.runs.cards import card_of, shared
from engine.runs.cards import differences as differences_of_cards
from engine.runs.published import beside, ends
from engine.runs.settling import to_settle
from engine.statistics import Interval, differences, mean_with_interval

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """How far a training went: iterations done, iterations asked for, seconds it took (None: unknown)."""

    step: int
    steps: int
    seconds: float | None


@dataclass(frozen=True)
class RowRuns:
    """One row of a table before any arithmetic: what was trained, and the results by seed (None: none)."""

    label: str
    algorithm: str
    trained_on: str
    seeds: tuple[int, ...]
    runs: tuple[str | None, ...]
    results: tuple[Result | None, ...]
    set: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] | None = None
    trained: tuple[Trained, ...] = ()
    time_limit: float | None = None
    tasks_seen: int | None = None
    normalised: bool = True
    """Whether its model has layers that need batch statistics."""
    error: str | None = None

    @property
    def finished(self) -> dict[int, Result]:
        """Results by seed, only those there are."""
        return {
            seed: result for seed, result in zip(self.seeds, self.results, strict=True) if result is not None
        }


def table(
    task: str,
    rows: Sequence[RowRuns],
    baseline: str | None,
    protocol: Mapping[str, Any],
    metric: str,
    higher_is_better: bool,
) -> dict[str, Any]:
    """The table of one task tested on, as `kshot compare --json` prints it (contracts §4).

    `baseline` is the label of the row that the others are paired with; `metric` and `higher_is_better`
    stand where no row has a result.
    """
    results = [result for row in rows for result in row.finished.values()]
    if results:
        metric, higher_is_better = results[0]["metric"], bool(results[0]["higher_is_better"])
    reference = next((row for row in rows if row.label == baseline), None)
    cards = [[card_of(result) for result in row.finished.values()] for row in rows]
    agreed = shared([card for each in cards for card in each])
    place = next((number for number, row in enumerate(rows) if row is reference), None)
    differs = differences_of_cards(cards, place)
    said = dict(protocol)
    if rows and not any(row.normalised for row in rows):
        said.pop("statistics", None)
        agreed = {key: value for key, value in agreed.items() if key not in ("statistics", "queries_sharing")}
    return {
        "task": task,
        "metric": metric,
        "higher_is_better": higher_is_better,
        "baseline": baseline,
        "protocol": {**agreed, **said},
        "rows": [
            {**_row(row, reference, set(agreed)), "differs": each}
            for row, each in zip(rows, differs, strict=True)
        ],
    }


def evaluation_report(run_id: str, result: Result) -> dict[str, Any]:
    """One evaluation as `kshot evaluate --json` prints it."""
    means = _means([result])
    return {
        "run": run_id,
        "task": result["task"],
        "algorithm": result["algorithm"],
        "metric": result["metric"],
        "higher_is_better": result["higher_is_better"],
        "protocol": card_of(result),
        "episodes": len(episodes_at(result, result["after_step"])),
        "checkpoint_step": result.get("checkpoint_step"),
        "chosen": result.get("chosen"),
        **means,
    }


def verdict(difference: Mapping[str, Any] | None, higher_is_better: bool) -> str | None:
    """`better`, `worse` or `undecided`: whether a paired difference's interval excludes zero, and where."""
    found = ends(difference)
    if difference is None or found is None:
        return None
    if found[0] <= 0 <= found[1]:
        return "undecided"
    return "better" if (difference["mean"] > 0) == higher_is_better else "worse"


def _row(row: RowRuns, reference: RowRuns | None, agreed: set[str]) -> dict[str, Any]:
    results = row.finished
    first = next(iter(results.values()), None)
    report: dict[str, Any] = {
        "label": row.label,
        "algorithm": row.algorithm,
        "set": dict(row.set),
        "trained_on": row.trained_on,
        "runs": [run for run in row.runs if run is not None],
        "seeds": list(row.seeds),
        "iterations": _iterations(row) if first else None,
        "train_seconds": _seconds(row) if first else None,
        "tasks_seen": row.tasks_seen if first else None,
        "training_ways": None,
        "statistics": None,
        "steps": None,
        "before": None,
        "after": None,
        "vs_baseline": None,
        "published": None,
        "chosen": [result["chosen"] for result in results.values() if result.get("chosen")] or None,
        "protocol": {},
        "error": row.error,
    }
    card: dict[str, Any] = {}
    if first:
        protocol = card = shared([card_of(result) for result in results.values()])
        # Ways are told where training had others than testing.
        report["training_ways"] = protocol.get("ways_in_training")
        report["statistics"] = protocol.get("statistics") if row.normalised else None
        report["protocol"] = {key: value for key, value in protocol.items() if key not in agreed}
        report["protocol"] |= _cut_short(row)
        report |= _means(list(results.values()))
    if row.published:
        report["published"] = beside(row.published, report["after"], card)
    if reference is not None and reference is not row:
        report["vs_baseline"] = _difference(row, reference)
    return report


def _trained(row: RowRuns) -> list[tuple[Result, Trained | None]]:
    """Each result there is with how far its training went, as the run itself says it."""
    trained = row.trained or (None,) * len(row.results)
    return [(result, known) for result, known in zip(row.results, trained, strict=True) if result is not None]


def _iterations(row: RowRuns) -> int | None:
    result, known = _trained(row)[0]
    return known.step if known else result.get("train_iterations")


def _seconds(row: RowRuns) -> float | None:
    return _total(
        result.get("train_seconds") if known is None or known.seconds is None else known.seconds
        for result, known in _trained(row)
    )


def _cut_short(row: RowRuns) -> dict[str, Any]:
    """What the protocol says where the time limit ended a training: the limit, and N of M iterations."""
    early = [known for _, known in _trained(row) if known is not None and known.step < known.steps]
    if row.time_limit is None or not early:
        return {}
    return {
        "time_limit": row.time_limit,
        "iterations_done": [known.step for known in early],
        "iterations_asked": early[0].steps,
    }


def _means(results: Sequence[Result]) -> dict[str, Any]:
    """`steps`, `before` and `after` of one row, from its results [seeds]."""
    steps = [step for step in results[0]["steps"] if all(step in result["steps"] for result in results)]
    before_steps = [result.get("before_step") for result in results]
    after_steps = [result["after_step"] for result in results]
    before = None
    if all(step is not None for step in before_steps):
        before = _entry(results, before_steps)
    return {
        "steps": [_entry(results, [step] * len(results)) for step in steps],
        "before": before,
        "after": _entry(results, after_steps),
    }


def _entry(results: Sequence[Result], steps: Sequence[Any]) -> dict[str, Any]:
    """Mean and interval, result i read at steps[i]; the step is null where seeds chose different ones."""
    values = [episodes_at(result, step) for result, step in zip(results, steps, strict=True)]
    entry: dict[str, Any] = {"step": steps[0] if len(set(steps)) == 1 else None}
    if entry["step"] is None:
        entry["steps_by_seed"] = list(steps)
    return entry | _jsonable(mean_with_interval(values, long_tailed=results[0]["metric"] != "accuracy"))


def _difference(row: RowRuns, reference: RowRuns) -> dict[str, Any] | None:
    """Row minus reference after adaptation, paired by episode within seeds that both have; None without.

    `episodes` and `seeds` say over how many; where that leaves it open, `to_settle` what would decide.
    """
    mine, theirs = row.finished, reference.finished
    seeds = [seed for seed in mine if seed in theirs]
    if not seeds or any(_episodes_of(mine[seed]) != _episodes_of(theirs[seed]) for seed in seeds):
        return None
    values = [episodes_at(mine[seed], mine[seed]["after_step"]) for seed in seeds]
    others = [episodes_at(theirs[seed], theirs[seed]["after_step"]) for seed in seeds]
    if any(one.size != other.size for one, other in zip(values, others, strict=True)):
        return None
    paired = differences(values, others)
    counted = {"episodes": min(each.size for each in paired), "seeds": len(paired)}
    found = _jsonable(mean_with_interval(paired, long_tailed=True)) | counted
    if verdict(found, True) == "undecided":
        found["to_settle"] = to_settle(found, paired)
    return found


def _episodes_of(result: Result) -> tuple[Any, ...]:
    """What says which test episodes a result is over: only results over the same ones pair."""
    return tuple(result.get(key) for key in ("split_hash", "images_hash", "episodes_key"))


def episodes_at(result: Result, step: int) -> np.ndarray:
    """Every episode's value at that step, float64 [episodes]; accuracy in percent; null is not a number."""
    column = list(result["steps"]).index(step)
    values = [episode[column] for episode in result["values"]]
    return np.asarray(values, dtype=np.float64) * (100.0 if result["metric"] == "accuracy" else 1.0)


def _jsonable(interval: Interval) -> dict[str, Any]:
    half_width = interval.ci95
    found = {
        "mean": interval.mean if isfinite(interval.mean) else None,
        "ci95": half_width if half_width is not None and isfinite(half_width) else None,
        "over": interval.over,
        "method": interval.method,
    }
    return found if interval.low is None else found | {"low": interval.low, "high": interval.high}


def _total(values: Any) -> float | None:
    """The sum over seeds of what is known."""
    known = [value for value in values if value is not None]
    return float(sum(known)) if known else None
