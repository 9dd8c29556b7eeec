"""A comparison cut at equal seconds of training: each row at its last validation within them.

The table itself compares whole budgets, which differ in time. Nothing is trained or tested for this view: it
reads the validations that trainings recorded, and from the checkpoint that follows each its seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from engine.runs.listing import Summary, summarise
from engine.runs.results import episodes_key
from engine.runs.spec_facts import normalises, tasks_seen
from engine.runs.store import Run
from engine.runs.validations import Validation, read_validations
from engine.statistics import mean_over_seeds

if TYPE_CHECKING:
    from engine.presets import Spec

ROUNDING = 5e-4
"""Checkpoint events tell seconds to the thousandth."""


@dataclass(frozen=True)
class _Seed:
    """A finished training with its validations, in the order of their iterations."""

    summary: Summary
    spec: "Spec | None"
    validations: tuple[Validation, ...]

    @property
    def name(self) -> str:
        return f"seed {self.summary.seed or 0}"

    @property
    def together(self) -> int:
        """How many seeds shared its process, and so its seconds; 1: it had them for itself."""
        said = self.summary.status.more.get("seeds_together")
        return said if type(said) is int and said > 0 else 1

    def within(self, seconds: float) -> Validation | None:
        """The last validation within that many seconds of training."""
        found = [each for each in self.validations if each.seconds <= seconds + ROUNDING]
        return found[-1] if found else None


@dataclass(frozen=True)
class _Row:
    """A table's row: its finished trainings that have validations, and why others are not counted."""

    report: Mapping[str, Any]
    seeds: tuple[_Seed, ...]
    notes: tuple[str, ...]


def equal_seconds(table: Mapping[str, Any], runs_dir: Path, seconds: float | None = None) -> dict[str, Any]:
    """The view of a table (contracts §4) at `seconds` of training; None: those of the shortest training.

    Each row has `mean`, `ci95`, `iterations`, `tasks_seen` and `seconds` of its last validation within them,
    means over seeds, and the same of its last validation of all under `whole`; accuracy in percent. A row
    that has none is nulls with `notes` that say why. `seeds_together` is of each seed how many shared the
    seconds of its process, of which it counts its share. Reads events and raises nothing for what they hold.
    """
    known: dict[str, _Seed | str] = {}
    rows, left_out = [], []
    for report in table["rows"]:
        found = [_seed(Run(runs_dir / run_id), known) for run_id in report["runs"]]
        seeds = [each for each in found if isinstance(each, _Seed)]
        if seeds and all(_trains_nothing(seed) for seed in seeds):
            left_out.append(report["label"])
            continue
        notes = [each for each in found if isinstance(each, str)]
        notes += [] if found else [report["error"] or "no run of it is here"]
        timed = [seed for seed in seeds if seed.validations]
        notes += [f"{seed.name}: {_why_none(seed)}" for seed in seeds if not seed.validations]
        rows.append(_Row(report, tuple(timed), tuple(notes)))
    lengths = [seed.validations[-1].seconds for row in rows for seed in row.seeds]
    cut = seconds if seconds is not None else min(lengths, default=None)
    made = [_row(row, cut, table["task"], table["metric"]) for row in rows]
    return {
        "seconds": cut,
        "shortest": seconds is None,
        "metric": table["metric"],
        "higher_is_better": table["higher_is_better"],
        "validation": _shared_validation(made),
        "rows": made,
        "left_out": left_out,
    }


def _seed(run: Run, known: dict[str, "_Seed | str"]) -> "_Seed | str":
    """The finished training in that run, or why it is not counted; read once for the rows that share it."""
    if run.id not in known:
        summary = summarise(run)
        if summary.state == "finished":
            known[run.id] = _Seed(summary, _spec(run), read_validations(run))
        else:
            known[run.id] = f"seed {summary.seed or 0}: {summary.state}, not counted"
    return known[run.id]


def _spec(run: Run) -> "Spec | None":
    from engine.presets import load_spec

    try:
        return load_spec(run.spec_path)
    except (RequestError, OSError, ValueError, RecursionError):
        return None


def _trains_nothing(seed: _Seed) -> bool:
    return seed.spec.outer.rule == "none" if seed.spec else seed.summary.status.steps == 0


def _why_none(seed: _Seed) -> str:
    """Why a finished training has no validation that a time belongs to."""
    if not seed.summary.run.events_path.is_file():
        return "it has no events, and so no validations"
    return "its events have no validation with the seconds of training beside it"


def _row(row: _Row, cut: float | None, task: str, metric: str) -> dict[str, Any]:
    scale = 100.0 if metric == "accuracy" else 1.0
    found = [(seed, at) for seed in row.seeds if cut is not None and (at := seed.within(cut)) is not None]
    late = [seed for seed in row.seeds if cut is not None and seed.within(cut) is None]
    notes = [*row.notes, *(f"{s.name}: its first validation came after {_told(s)}" for s in late)]
    first = row.seeds[0] if row.seeds else None
    report = {
        "label": row.report["label"],
        "algorithm": row.report["algorithm"],
        "seeds": [seed.summary.seed or 0 for seed, _ in found],
        "seeds_together": [seed.together for seed, _ in found],
        **_mean(found, scale),
        "whole": _mean([(seed, seed.validations[-1]) for seed, _ in found], scale) if found else None,
        "validation": _validation(first) if first else None,
        "planned": _planned(found),
        "notes": notes,
    }
    trained = first.summary.algorithm if first else row.report["algorithm"]
    if trained != row.report["algorithm"]:
        notes.append(f"one training with {trained}, validated as {trained} adapts")
    if row.report["trained_on"] != task:
        notes.append(f"validated on {row.report['trained_on']}, which it was trained on")
    return report


def _told(seed: _Seed) -> str:
    return f"{seed.validations[0].seconds:.1f} s"


def _mean(found: Sequence[tuple[_Seed, Validation]], scale: float) -> dict[str, Any]:
    """Means over seeds of what each validation tells; the interval is over seeds, of one over episodes."""
    if not found:
        return dict.fromkeys(("mean", "ci95", "over", "iterations", "tasks_seen", "seconds"))
    values = [at.value * scale for _, at in found]
    width = found[0][1].ci95
    mean, over = values[0], "episodes"
    ci95 = None if width is None else width * scale
    if len(values) > 1:
        mean, ci95, over = mean_over_seeds(values)[:3]
    tasks = [tasks_seen(seed.spec, at.step) if seed.spec else None for seed, at in found]
    return {
        "mean": mean if isfinite(mean) else None,
        "ci95": ci95 if ci95 is not None and isfinite(ci95) else None,
        "over": over,
        "iterations": _average([at.step for _, at in found]),
        "tasks_seen": _average([each for each in tasks if each is not None]) if None not in tasks else None,
        "seconds": sum(at.seconds for _, at in found) / len(found),
    }


def _average(counts: Sequence[int]) -> int | float:
    """The mean of whole numbers, whole where it is."""
    mean = sum(counts) / len(counts)
    return int(mean) if mean == int(mean) else mean


def _validation(seed: _Seed) -> dict[str, Any] | None:
    """What a row's validations are over: task trained on, episodes, and whose batch statistics; of a run's
    own spec, since runs are shared by tables that test in other ways."""
    spec = seed.spec
    if spec is None:
        return None
    return {
        "task": spec.origin.task,
        "episodes": spec.training.validation.episodes,
        "statistics": spec.evaluation.statistics if normalises(spec) else None,
        "every": spec.training.validation.every,
        "episodes_key": episodes_key(spec),
    }


def _shared_validation(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Those facts of the validations in which all rows agree."""
    told = [row["validation"] for row in rows if row["validation"]]
    names = ("task", "episodes", "statistics", "episodes_key")
    return {name: told[0][name] for name in names if len({each[name] for each in told}) == 1}


def _planned(found: Sequence[tuple[_Seed, Validation]]) -> list[str]:
    """What of a row that is cut before its end was planned over its whole budget."""
    cut = [seed.spec for seed, at in found if seed.spec and at.step < seed.spec.training.iterations]
    return planned_over_budget(cut[0]) if cut else []


def planned_over_budget(spec: "Spec") -> list[str]:
    """What a training changes on the way to its last iteration: an outer rate's schedule, an annealed order,
    the weights of a multi-step loss."""
    outer, adaptation, found = spec.outer, spec.adaptation, []
    if outer.schedule in ("cosine", "linear"):
        end = f"{outer.final_learning_rate:g}" if outer.final_learning_rate else "zero"
        found.append(f"its outer rate falls to {end} over the whole budget ({outer.schedule})")
    elif outer.schedule == "drops":
        places = ", ".join(f"{100 * fraction:g} %" for fraction in outer.drops.at)
        found.append(f"its outer rate drops at {places} of the whole budget")
    if outer.rule == "meta-gradient" and adaptation.rule == "gradient":
        if not isinstance(adaptation.order, int):
            place = 100 * adaptation.order.at
            found.append(f"its order is {adaptation.order.to} from {place:g} % of the whole budget on")
        if adaptation.loss == "multi-step" and adaptation.steps > 1:
            place = 100 * adaptation.multi_step.until
            found.append(f"its loss is multi-step until {place:g} % of the whole budget")
    return found
