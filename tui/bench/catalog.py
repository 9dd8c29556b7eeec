"""What can be chosen, as plain values: made from the preset files off the event loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from tui.choices import adaptation_text, order_text, outer_text, part_of, tasks_text
from tui.names import preset_names
from tui.output import plain


@dataclass(frozen=True)
class AlgorithmEntry:
    """One algorithm: `word` says in a word or two what is particular; `adaptation`, `outer` and `tasks` are
    its three choices in words; `problem` says why it cannot be used."""

    name: str
    family: str = ""
    summary: str = ""
    paper: str = ""
    word: str = ""
    adaptation: str = ""
    outer: str = ""
    tasks: str = ""
    problem: str = ""


@dataclass(frozen=True)
class TaskEntry:
    """One task: whether its data are here (None: not looked yet) with a line about that and how to get them;
    `section` is its `task` mapping, `tasks` the task distribution in words."""

    name: str
    family: str = ""
    summary: str = ""
    tasks: str = ""
    present: bool | None = None
    detail: str = ""
    how: str = ""
    problem: str = ""
    section: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_sine(self) -> bool:
        """Whether its tasks are waves."""
        return self.section.get("dataset") == "sine"


@dataclass(frozen=True)
class Catalog:
    """Everything that can be chosen; `error` says why the lists may be short."""

    algorithms: tuple[AlgorithmEntry, ...] = ()
    tasks: tuple[TaskEntry, ...] = ()
    error: str = ""

    def with_words(self, text: str) -> "Catalog":
        """What has all these words in its name, family or description, whatever their case."""
        words = text.casefold().split()
        if not words:
            return self
        algorithms = tuple(
            entry
            for entry in self.algorithms
            if _has(words, entry.name, entry.family, entry.summary, entry.paper, entry.word, entry.outer)
        )
        tasks = tuple(
            entry for entry in self.tasks if _has(words, entry.name, entry.family, entry.summary, entry.tasks)
        )
        return Catalog(algorithms, tasks, self.error)

    def algorithm(self, name: str) -> AlgorithmEntry | None:
        """The algorithm of that name."""
        return next((entry for entry in self.algorithms if entry.name == name), None)

    def task(self, name: str) -> TaskEntry | None:
        """The task of that name."""
        return next((entry for entry in self.tasks if entry.name == name), None)


def _has(words: list[str], *texts: str) -> bool:
    together = " ".join(texts).casefold()
    return all(word in together for word in words)


def names_alone() -> Catalog:
    """The names, by looking at folders alone: there within a few milliseconds."""
    try:
        algorithms, tasks = preset_names("algorithms"), preset_names("tasks")
    except OSError as fault:
        return Catalog(error=str(fault))
    return Catalog(
        tuple(AlgorithmEntry(name) for name in algorithms),
        tuple(TaskEntry(name) for name in tasks),
    )


def load_catalog(data_dir: Path) -> Catalog:
    """All presets read, and for each task whether its data are here. Raises nothing."""
    from engine.presets import list_presets

    try:
        algorithms = [_algorithm(preset) for preset in list_presets("algorithms")]
        tasks = [_task(preset, data_dir) for preset in list_presets("tasks")]
    except (RequestError, OSError) as fault:
        return Catalog(error=str(fault))
    return Catalog(_grouped(algorithms), _grouped(tasks))


def looked_again(catalog: Catalog, data_dir: Path) -> Catalog:
    """The catalog with what can be said now of each task's data. Presets are not read again."""
    return replace(catalog, tasks=tuple(_with_presence(entry, data_dir) for entry in catalog.tasks))


def _with_presence(entry: TaskEntry, data_dir: Path) -> TaskEntry:
    if entry.problem or not entry.section:
        return entry
    present, detail, how = _presence(entry.section, data_dir)
    return replace(entry, present=present, detail=plain(detail), how=plain(how))


def _grouped(entries: list[Any]) -> tuple[Any, ...]:
    """In the order of families as they first appear, the gradient-based ones first."""
    families = list(dict.fromkeys(entry.family for entry in entries))
    first = ("gradient-based", "sine", "glyphs", "omniglot")
    families.sort(key=lambda family: first.index(family) if family in first else len(first))
    return tuple(entry for family in families for entry in entries if entry.family == family)


def _algorithm(preset: Any) -> AlgorithmEntry:
    if preset.problem:
        return AlgorithmEntry(preset.name, "cannot be used", problem=plain(preset.problem))
    adaptation = part_of(preset.content, "adaptation")
    tested = part_of(part_of(preset.content, "evaluation"), "adaptation")
    outer = part_of(preset.content, "outer")
    return AlgorithmEntry(
        name=preset.name,
        family=plain(preset.family) or "others",
        summary=plain(preset.summary),
        paper=plain(preset.paper),
        word=_word(adaptation, outer),
        adaptation=adaptation_text(adaptation, tested),
        outer=outer_text(adaptation, outer),
        tasks=tasks_text(preset.content),
    )


def _word(adaptation: Mapping[str, Any], outer: Mapping[str, Any]) -> str:
    rule, parameters = adaptation.get("rule", "gradient"), adaptation.get("parameters", "all")
    if outer.get("rule") == "joint":
        return "joint"
    if outer.get("rule") == "none":
        return "untrained"
    if rule != "gradient":
        return plain(str(rule))
    if outer.get("rule") == "interpolate":
        return "interpolated"
    if parameters in ("head", "body"):
        return f"{parameters} alone"
    return order_text(adaptation.get("order", 2))


def _task(preset: Any, data_dir: Path) -> TaskEntry:
    if preset.problem:
        return TaskEntry(preset.name, "cannot be used", problem=plain(preset.problem))
    section = part_of(preset.content, "task")
    present, detail, how = _presence(section, data_dir)
    return TaskEntry(
        name=preset.name,
        family=plain(preset.family),
        summary=plain(preset.summary),
        tasks=_tasks_text(section),
        present=present,
        detail=plain(detail),
        how=plain(how),
        section=section,
    )


def _presence(section: Mapping[str, Any], data_dir: Path) -> tuple[bool | None, str, str]:
    if section.get("dataset") == "sine":
        return True, "drawn, nothing to fetch", ""
    from engine.data import inspect
    from engine.presets.schema import ImageTask

    given = {key: value for key, value in section.items() if value is not None}
    try:
        found = inspect(ImageTask.model_validate(given), data_dir)
    except (RequestError, OSError, ValueError) as fault:
        return None, str(fault).splitlines()[0], ""
    return found.present, found.detail, found.how


def _tasks_text(section: Mapping[str, Any]) -> str:
    dataset, shots = plain(str(section.get("dataset", ""))), section.get("shots")
    if dataset == "sine":
        return f"sine waves, {shots or 10} support points"
    return f"{dataset}, {section.get('ways') or 5} classes, {shots or 1} shots"
