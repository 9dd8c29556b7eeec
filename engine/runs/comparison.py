"""What a comparison needs: rows resolved, and each training reused, waited for, resumed or begun.

Everything is decided and checked here, before anything starts. Starting and following: `trainings.py` and
`execution.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from engine.baseline import BASELINE
from engine.data import check_task_fits
from engine.devices import check_device, check_model
from engine.errors import RequestError
from engine.presets import Comparison, Row, Spec, load_comparison, load_preset, training_key
from engine.runs.listing import Summary, list_runs
from engine.runs.results import episodes_key
from engine.runs.reuse import choose
from engine.runs.rows import Options, Overrides, Resolver, stem
from engine.runs.store import Run

Action = Literal["reuse", "wait", "resume", "retrain", "train"]
ACTIONS: dict[str, Action] = {
    "finished": "reuse",
    "queued": "wait",
    "starting": "wait",
    "running": "wait",
    "stopped": "resume",
    "paused": "resume",
    "crashed": "resume",
    "failed": "retrain",
}


@dataclass
class Training:
    """One training that rows need: a run there is, or one to begin. `labels` are the rows that share it."""

    key: str
    seed: int
    spec: Spec
    action: Action
    run: Run | None = None
    labels: list[str] = field(default_factory=list)
    data_dir: Path | None = None
    """Where a resumed run's data lie, if that has been said or found out."""


@dataclass(frozen=True)
class PlannedRow:
    """One algorithm trained on one task: a training for each seed, and specs to test by task."""

    label: str
    algorithm: str
    set: Mapping[str, Any]
    trained_on: str
    trainings: tuple[Training, ...]
    tests: Mapping[str, tuple[Spec, ...]]
    is_baseline: bool


@dataclass(frozen=True)
class Plan:
    """A comparison, decided: rows, the distinct trainings behind them, and what to tell about it."""

    name: str | None
    tasks: tuple[str, ...]
    rows: tuple[PlannedRow, ...]
    trainings: tuple[Training, ...]
    seeds: tuple[int, ...]
    options: Options
    notes: tuple[str, ...]


def requested_comparison(arguments: Sequence[str], baseline: str | None) -> Comparison:
    """What `compare COMPARISON` or `compare TASK ALGORITHM...` means, the baseline added and last.

    `baseline` is what --baseline says: an algorithm or a row's label, `none`, or nothing for the default.
    """
    if len(arguments) == 1:
        comparison = _comparison(arguments[0])
    else:
        rows = tuple(Row(algorithm=name, label=stem(name)) for name in arguments[1:])
        comparison = Comparison(name="", summary="", tasks=(arguments[0],), rows=rows)
    return with_baseline(comparison, baseline)


def with_baseline(comparison: Comparison, baseline: str | None = None) -> Comparison:
    """The same with labels that are unique and its baseline, added where it is no row, in the last place.

    `baseline` is an algorithm or a row's label, `none`, or nothing for the comparison's own.
    """
    name = baseline or comparison.baseline or BASELINE
    if name == "none":
        return replace(comparison, rows=_unique(comparison.rows), baseline=None)
    rows = comparison.rows
    found = [row for row in rows if name in (row.label, row.algorithm)]
    added = found[0] if found else Row(algorithm=name, label=stem(name))
    ordered = _unique((*(row for row in rows if row is not added), added))
    return replace(comparison, rows=ordered, baseline=ordered[-1].label)


def _comparison(text: str) -> Comparison:
    """The comparison of that name; RequestError for a task alone says what belongs after it."""
    try:
        return load_comparison(text)
    except RequestError:
        try:
            load_preset("tasks", text)
        except RequestError:
            pass
        else:
            raise RequestError(
                f"{text} is a task: name algorithms after it, e.g. kshot compare {text} maml pretrain"
            ) from None
        raise


def plan(comparison: Comparison, options: Options, runs_dir: Path, data_dir: Path) -> Plan:
    """Resolves and checks every row, and decides for each (training, seed) whether a run there is serves it.

    Raises RequestError for anything that is wrong with the request; nothing has been started or written then.
    """
    overrides = Overrides(comparison.rows, options.overrides)
    notes: list[str] = []
    resolver = Resolver(comparison, options, overrides)
    seeds = _seeds(comparison, options, resolver.first_seed(), overrides)
    tested = {
        (task, row.label): _tested(row, task, comparison)
        for task in comparison.tasks
        for row in comparison.rows
    }
    shared: dict[str, str | None] = {}
    for test_task in dict.fromkeys(name for names in tested.values() for name in names):
        there = [
            row
            for row in comparison.rows
            if any(test_task in tested[task, row.label] for task in comparison.tasks)
        ]
        shared[test_task] = resolver.share_statistics(test_task, there, notes)
        _tell_unpaired(test_task, there, resolver, notes)
    there_are = () if options.fresh else list_runs(runs_dir)
    trainings: dict[tuple[str, int], Training] = {}
    rows = []
    for task in comparison.tasks:
        for row in comparison.rows:
            spec = resolver.spec(task, row, shared.get(task))
            tests = {name: resolver.test(spec, name, row, shared[name]) for name in tested[task, row.label]}
            for each in (spec, *tests.values()):
                check_task_fits(each, data_dir)
            label = row.label if len(comparison.tasks) == 1 else f"{row.label} (trained on {stem(task)})"
            used = tuple(_training(trainings, _seeded(spec, seed), label, there_are) for seed in seeds)
            rows.append(
                PlannedRow(
                    label=label if len(tests) > 1 or row.test_on else row.label,
                    algorithm=row.algorithm,
                    set={**row.set, **overrides.said(row)},
                    trained_on=stem(task),
                    trainings=used,
                    tests={
                        stem(name): tuple(_seeded(each, seed) for seed in seeds)
                        for name, each in tests.items()
                    },
                    is_baseline=row.label == comparison.baseline,
                )
            )
    tasks = tuple(dict.fromkeys(name for row in rows for name in row.tests))
    name = comparison.name or None
    return Plan(name, tasks, tuple(rows), tuple(trainings.values()), seeds, options, tuple(notes))


def _tell_unpaired(task: str, rows: Sequence[Row], resolver: Resolver, notes: list[str]) -> None:
    """Says which rows are tested on other episodes than the last one, the baseline, and so do not pair."""
    keys = {row.label: episodes_key(resolver.spec(task, row)) for row in rows}
    others = [label for label, key in keys.items() if key != keys[rows[-1].label]]
    if others:
        notes.append(
            f"{', '.join(others)}: tested on other episodes of {stem(task)} than {rows[-1].label} "
            "(task or evaluation.seed differ), so they are not paired"
        )


def plan_training(
    specs: Sequence[Spec], options: Options, runs_dir: Path, data_dir: Path
) -> tuple[Training, ...]:
    """The trainings of `kshot train`: one for each spec, checked, each reused or begun as in a comparison."""
    trainings: dict[tuple[str, int], Training] = {}
    there_are = () if options.fresh else list_runs(runs_dir)
    for spec in specs:
        check_task_fits(spec, data_dir)
        _training(trainings, spec, spec.origin.algorithm, there_are)
    return tuple(trainings.values())


def _training(
    trainings: dict[tuple[str, int], Training], spec: Spec, label: str, there_are: Sequence[Summary]
) -> Training:
    """The training that this spec shares with others of its key and seed, decided where it is the first."""
    key = training_key(spec)
    training = trainings.get((key, spec.seed))
    if training is None:
        check_device(spec.device, spec.training.precision)
        check_model(spec.model)
        found = choose(there_are, key, spec.seed)
        action: Action = "train" if found is None else ACTIONS[found[1]]
        run = found[0] if found is not None and action != "retrain" else None
        training = trainings[(key, spec.seed)] = Training(key, spec.seed, spec, action, run)
    if label not in training.labels:
        training.labels.append(label)
    return training


def _tested(row: Row, task: str, comparison: Comparison) -> tuple[str, ...]:
    """The tasks that a row trained on `task` is tested on; the baseline follows the others everywhere."""
    if row.test_on:
        return row.test_on
    if row.label != comparison.baseline:
        return (task,)
    return tuple(dict.fromkeys((task, *(name for other in comparison.rows for name in other.test_on))))


def _seeds(comparison: Comparison, options: Options, first: int, overrides: Overrides) -> tuple[int, ...]:
    """The seeds of every row, from `first` on unless the comparison lists its own and nobody asks."""
    if options.seeds is not None:
        return tuple(range(first, first + options.seeds))
    stated = comparison.seeds
    if isinstance(stated, int):
        return tuple(range(first, first + stated))
    said = options.seed is not None or any(overrides.names("seed", row) for row in comparison.rows)
    return tuple(stated) if stated and not said else (first,)


def _seeded(spec: Spec, seed: int) -> Spec:
    return spec.model_copy(update={"seed": seed})


def _unique(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows with labels that tell them apart: a second `maml` becomes `maml (2)`."""
    taken: set[str] = set()
    result = []
    for row in rows:
        label, number = row.label or stem(row.algorithm), 1
        while label in taken:
            number += 1
            label = f"{row.label or stem(row.algorithm)} ({number})"
        taken.add(label)
        result.append(replace(row, label=label))
    return tuple(result)
