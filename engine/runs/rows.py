"""Rows to specs: what --set says for which row, and one source of batch statistics for a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import RequestError
from engine.nearest import suggestion
from engine.presets import Comparison, ImageTask, Row, SineTask, Spec, load_preset, resolve
from engine.runs.testing import spec_of_test


@dataclass(frozen=True)
class Options:
    """What the command line says for all rows; `overrides` are the texts of --set, some for one row only."""

    budget: str = "quick"
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    seeds: int | None = None
    device: str | None = None
    fresh: bool = False


class Overrides:
    """The texts of --set, told apart: those for every row and those for one algorithm or label."""

    def __init__(self, rows: Sequence[Row], texts: Sequence[str]) -> None:
        self.texts = [(*_scope(text), text) for text in texts]
        names = {name for row in rows for name in (row.algorithm, row.label)}
        for scope, _, text in self.texts:
            if scope is not None and scope not in names:
                meant = suggestion(scope, sorted(names), "there are")
                raise RequestError(f'--set {text}: no row is named "{scope}"{meant}')

    def of(self, row: Row) -> list[str]:
        """What applies to this row, in written order."""
        return [text for scope, text, _ in self.texts if scope is None or scope in (row.algorithm, row.label)]

    def own(self, row: Row) -> list[str]:
        """What was said for this row alone, as texts `path=value`."""
        return [text for scope, text, _ in self.texts if scope in (row.algorithm, row.label)]

    def names(self, path: str, row: Row) -> bool:
        """Whether that path was set for this row."""
        return any(text.partition("=")[0].strip() == path for text in self.of(row))

    def said(self, row: Row) -> dict[str, str]:
        """What was said for this row alone, by path."""
        return {
            text.partition("=")[0]: text.partition("=")[2]
            for text in self.own(row)
        }


@dataclass
class Resolver:
    """Resolves rows to specs, with one source of batch statistics for all unless a row names its own."""

    comparison: Comparison
    options: Options
    overrides: Overrides
    _specs: dict[tuple[str, str, str | None], Spec] = field(default_factory=dict, init=False, repr=False)

    def spec(self, task: str, row: Row, statistics: str | None = None) -> Spec:
        """The row's spec for training on that task, resolved once: planning asks for it again and again."""
        asked = (task, row.label, statistics)
        if asked not in self._specs:
            self._specs[asked] = self._spec(task, row, statistics)
        return self._specs[asked]

    def _spec(self, task: str, row: Row, statistics: str | None) -> Spec:
        texts = [text for text in self.overrides.of(row) if not self._elsewhere(text, task)]
        spec = self._resolved(task, row, texts)
        if statistics is None or self._names_statistics(row) or spec.evaluation.statistics == "running":
            return spec
        return self._resolved(task, row, [*texts, f"evaluation.statistics={statistics}"])

    def _resolved(self, task: str, row: Row, texts: Sequence[str]) -> Spec:
        return resolve(
            task,
            row.algorithm,
            budget=self.options.budget,
            comparison_set=self.comparison.set,
            row_set=row.set,
            overrides=texts,
            own=self.overrides.own(row),
            device=self.options.device,
        ).spec

    def test(self, trained: Spec, task: str, row: Row, statistics: str | None) -> Spec:
        """The spec that tests the trained row on a task; RequestError where it cannot be tested there."""
        return spec_of_test(trained, self.spec(task, row, statistics), row.label)

    def first_seed(self) -> int:
        """The first seed of every row: that of --seed, else that of the specs, which must agree."""
        if self.options.seed is not None:
            return self.options.seed
        seeds = {
            f"{row.label} on {stem(task)}": self.spec(task, row).seed
            for task in self.comparison.tasks
            for row in self.comparison.rows
        }
        if len(set(seeds.values())) > 1:
            said = ", ".join(f"{label} {seed}" for label, seed in seeds.items())
            raise RequestError(
                f"seed differs between rows ({said}), which pair by seed; give one with --seed"
            )
        return next(iter(seeds.values()))

    def share_statistics(self, task: str, rows: Sequence[Row], notes: list[str]) -> str | None:
        """The one source of batch statistics for the rows tested on a task; None where they agree.

        The rows' own where those agree (the baseline follows), else all queries of the task, which is said.
        Rows that keep running statistics to be tested by are what they are by them: they go on, said too.
        """
        free = [row for row in rows if not self._names_statistics(row)]
        used = {row.label: self.spec(task, row).evaluation.statistics for row in free}
        running = [label for label, name in used.items() if name == "running"]
        if running and len(running) < len(used):
            labels = ", ".join(running)
            notes.append(f"batch statistics in testing on {stem(task)}: training's running ones for {labels}")
            used = {label: name for label, name in used.items() if name != "running"}
        if len(set(used.values())) <= 1:
            return None
        others = {name for label, name in used.items() if label != self.comparison.baseline}
        shared = others.pop() if len(others) == 1 else "query"
        changed = [label for label, name in used.items() if name != shared]
        notes.append(
            f"batch statistics in testing on {stem(task)}: {shared} for all rows "
            f"({', '.join(changed)} would use another)"
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


def stem(name: str) -> str:
    """A preset's name from a name or a path."""
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name
