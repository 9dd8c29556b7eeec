"""What a comparison needs: rows resolved, and each training reused, waited for, resumed or begun.

Everything is decided and checked here, before anything starts. Starting and following: `execution.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from engine.data import check_task_fits, image_shape
from engine.errors import RequestError
from engine.presets import Comparison, Row, Spec, load_comparison, load_preset, resolve, training_key
from engine.presets.schema import ImageTask, SineTask
from engine.runs.reuse import find_reusable
from engine.runs.store import Run

DEFAULT_BASELINE = "pretrain"
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


@dataclass(frozen=True)
class Options:
    """What the command line says for all rows; `overrides` are the texts of --set, some for one row only."""

    budget: str = "quick"
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    seeds: int | None = None
    device: str | None = None
    fresh: bool = False


@dataclass
class Training:
    """One training that rows need: a run there is, or one to begin. `labels` are the rows that share it."""

    key: str
    seed: int
    spec: Spec
    action: Action
    run: Run | None = None
    labels: list[str] = field(default_factory=list)


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
        comparison = load_comparison(arguments[0])
    else:
        rows = tuple(Row(algorithm=name, label=_stem(name)) for name in arguments[1:])
        comparison = Comparison(name="", summary="", tasks=(arguments[0],), rows=rows)
    name = baseline or comparison.baseline or DEFAULT_BASELINE
    if name == "none":
        return replace(comparison, rows=_unique(comparison.rows), baseline=None)
    rows = comparison.rows
    found = [row for row in rows if name in (row.label, row.algorithm)]
    added = found[0] if found else Row(algorithm=name, label=_stem(name))
    ordered = _unique((*(row for row in rows if row is not added), added))
    return replace(comparison, rows=ordered, baseline=ordered[-1].label)


def plan(comparison: Comparison, options: Options, runs_dir: Path, data_dir: Path) -> Plan:
    """Resolves and checks every row, and decides for each (training, seed) whether a run there is serves it.

    Raises RequestError for anything that is wrong with the request; nothing has been started or written then.
    """
    seeds = _seeds(comparison, options)
    overrides = _Overrides(comparison.rows, options.overrides)
    notes: list[str] = []
    resolver = _Resolver(comparison, options, overrides)
    shared = resolver.share_statistics(notes)
    trainings: dict[tuple[str, int], Training] = {}
    rows = []
    for task in comparison.tasks:
        for row in comparison.rows:
            spec = resolver.spec(task, row, shared)
            tests = {name: resolver.test(spec, name, row, shared) for name in _tested(row, task, comparison)}
            for tested in (spec, *tests.values()):
                check_task_fits(tested, data_dir)
            label = row.label if len(comparison.tasks) == 1 else f"{row.label} (trained on {_stem(task)})"
            used = tuple(
                _training(trainings, _seeded(spec, seed), label, options, runs_dir) for seed in seeds
            )
            rows.append(
                PlannedRow(
                    label=label if len(tests) > 1 or row.test_on else row.label,
                    algorithm=row.algorithm,
                    set={**row.set, **overrides.said(row)},
                    trained_on=_stem(task),
                    trainings=used,
                    tests={
                        _stem(name): tuple(_seeded(tested, seed) for seed in seeds)
                        for name, tested in tests.items()
                    },
                    is_baseline=row.label == comparison.baseline,
                )
            )
    tasks = tuple(dict.fromkeys(name for row in rows for name in row.tests))
    name = comparison.name or None
    return Plan(name, tasks, tuple(rows), tuple(trainings.values()), seeds, options, tuple(notes))


def plan_training(
    specs: Sequence[Spec], options: Options, runs_dir: Path, data_dir: Path
) -> tuple[Training, ...]:
    """The trainings of `kshot train`: one for each spec, checked, each reused or begun as in a comparison."""
    trainings: dict[tuple[str, int], Training] = {}
    for spec in specs:
        check_task_fits(spec, data_dir)
        _training(trainings, spec, spec.origin.algorithm, options, runs_dir)
    return tuple(trainings.values())


def _training(
    trainings: dict[tuple[str, int], Training], spec: Spec, label: str, options: Options, runs_dir: Path
) -> Training:
    """The training that this spec shares with others of its key and seed, decided where it is the first."""
    key = training_key(spec)
    training = trainings.get((key, spec.seed))
    if training is None:
        found = None if options.fresh else find_reusable(runs_dir, key, spec.seed)
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


class _Overrides:
    """The texts of --set, told apart: those for every row and those for one algorithm or label."""

    def __init__(self, rows: Sequence[Row], texts: Sequence[str]) -> None:
        self.texts = [(*_scope(text), text) for text in texts]
        names = {name for row in rows for name in (row.algorithm, row.label)}
        for scope, _, text in self.texts:
            if scope is not None and scope not in names:
                near = get_close_matches(scope, sorted(names), 1)
                hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(sorted(names))}"
                raise RequestError(f'--set {text}: no row is named "{scope}"; {hint}')

    def of(self, row: Row) -> list[str]:
        """What applies to this row, in written order."""
        return [text for scope, text, _ in self.texts if scope is None or scope in (row.algorithm, row.label)]

    def said(self, row: Row) -> dict[str, str]:
        """What was said for this row alone, by path."""
        return {
            text.partition("=")[0]: text.partition("=")[2]
            for scope, text, _ in self.texts
            if scope in (row.algorithm, row.label)
        }


@dataclass
class _Resolver:
    """Resolves rows to specs, with one source of batch statistics for all unless a row names its own."""

    comparison: Comparison
    options: Options
    overrides: _Overrides

    def spec(self, task: str, row: Row, statistics: str | None = None) -> Spec:
        """The row's spec for training on that task."""
        texts = [text for text in self.overrides.of(row) if not self._elsewhere(text, task)]
        if statistics is not None and not self._names_statistics(row):
            texts = [*texts, f"evaluation.statistics={statistics}"]
        return resolve(
            task,
            row.algorithm,
            budget=self.options.budget,
            comparison_set=self.comparison.set,
            row_set=row.set,
            overrides=texts,
            device=self.options.device,
        ).spec

    def test(self, trained: Spec, task: str, row: Row, statistics: str | None) -> Spec:
        """The spec that tests the trained row on a task: its training, that task's episodes and protocol."""
        spec = self.spec(task, row, statistics)
        if _shape(spec) != _shape(trained):
            raise RequestError(
                f"{row.label}: a model trained on {trained.origin.task} cannot be tested on "
                f"{spec.origin.task}: "
                f"their inputs differ ({_shape(trained)} and {_shape(spec)})"
            )
        origin = trained.origin.model_copy(
            update={"task": spec.origin.task, "published": spec.origin.published}
        )
        return trained.model_copy(update={"task": spec.task, "evaluation": spec.evaluation, "origin": origin})

    def share_statistics(self, notes: list[str]) -> str | None:
        """The one source of batch statistics for all rows; None where they agree as they stand.

        The rows' own where those agree (the baseline follows), else all queries of the task, which is said.
        """
        free = [row for row in self.comparison.rows if not self._names_statistics(row)]
        task = self.comparison.tasks[0]
        used = {row.label: self.spec(task, row).evaluation.statistics for row in free}
        if len(set(used.values())) <= 1:
            return None
        others = {name for label, name in used.items() if label != self.comparison.baseline}
        shared = others.pop() if len(others) == 1 else "query"
        changed = [label for label, name in used.items() if name != shared]
        notes.append(
            f"batch statistics in testing: {shared} for all rows ({', '.join(changed)} would use another)"
        )
        return shared

    def _elsewhere(self, text: str, task: str) -> bool:
        """Whether a --set is for the other kind of task, of which the comparison has one too."""
        if len({_is_sine(name) for name in self.comparison.tasks}) < 2:
            return False
        path = text.partition("=")[0].strip().split(".")
        kinds = (ImageTask, SineTask) if _is_sine(task) else (SineTask, ImageTask)
        foreign = set(kinds[0].model_fields) - set(kinds[1].model_fields)
        return len(path) > 1 and path[0] == "task" and path[1] in foreign

    def _names_statistics(self, row: Row) -> bool:
        section = row.set.get("evaluation")
        nested = isinstance(section, Mapping) and "statistics" in section
        return nested or "evaluation.statistics" in {**row.set, **self.overrides.said(row)}


def _is_sine(task: str) -> bool:
    return bool(load_preset("tasks", task).content["task"].get("dataset") == "sine")


def _scope(text: str) -> tuple[str | None, str]:
    """`ALGORITHM:path=value` as (ALGORITHM, `path=value`); (None, text) where no algorithm is named."""
    head, separator, value = text.partition("=")
    name, colon, path = head.rpartition(":")
    return (name, f"{path}{separator}{value}") if colon else (None, text)


def _shape(spec: Spec) -> str:
    """What a model's input depends on, as text."""
    if not isinstance(spec.task, ImageTask):
        return "numbers"
    size, channels = image_shape(spec.task)
    return f"{channels} x {size} x {size}"


def _seeds(comparison: Comparison, options: Options) -> tuple[int, ...]:
    first = options.seed or 0
    if options.seeds is not None:
        return tuple(range(first, first + options.seeds))
    stated = comparison.seeds
    if isinstance(stated, int):
        return tuple(range(first, first + stated))
    return tuple(stated) if stated and options.seed is None else (first,)


def _seeded(spec: Spec, seed: int) -> Spec:
    return spec.model_copy(update={"seed": seed})


def _unique(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows with labels that tell them apart: a second `maml` becomes `maml (2)`."""
    taken: set[str] = set()
    result = []
    for row in rows:
        label, number = row.label or _stem(row.algorithm), 1
        while label in taken:
            number += 1
            label = f"{row.label or _stem(row.algorithm)} ({number})"
        taken.add(label)
        result.append(replace(row, label=label))
    return tuple(result)


def _stem(name: str) -> str:
    """A preset's name from a name or a path."""
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name
