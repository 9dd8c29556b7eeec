"""Comparison files: which algorithms, on which tasks, against which baseline."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.folders import at_home
from engine.nearest import suggestion
from engine.presets.fields import KeyPath, problems
from engine.presets.files import find_preset, is_path, load_preset, raise_first, text_problems
from engine.presets.layers import expanded, leaves
from engine.presets.messages import shown
from engine.presets.source import Source

MOST_SEEDS = 1000
"""Of one comparison; each is a training."""
_KEYS = ("summary", "paper", "tasks", "rows", "baseline", "seeds", "set")
_ROW_KEYS = ("algorithm", "label", "set", "test_on")


@dataclass(frozen=True)
class Row:
    """An algorithm in a comparison. `set` is by dotted path; `test_on` names other tasks to test."""

    algorithm: str
    label: str = ""
    set: Mapping[str, Any] = field(default_factory=dict)
    test_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A comparison file. `baseline` is a row's label, an algorithm, `none`, or nothing for the default one.

    `seeds` is how many, or which; `set` holds for all rows, by dotted path.
    """

    name: str
    summary: str
    tasks: tuple[str, ...]
    rows: tuple[Row, ...]
    baseline: str | None = None
    seeds: int | tuple[int, ...] | None = None
    set: Mapping[str, Any] = field(default_factory=dict)


def load_comparison(name_or_path: str) -> Comparison:
    """The comparison of a name or a path. A preset's path in it is taken from the file's own folder.

    RequestError names file, line and key, unknown tasks and algorithms included.
    """
    preset = load_preset("comparisons", name_or_path)
    content, folder = preset.content, preset.path.parent
    seeds = content.get("seeds")
    baseline = content.get("baseline")
    return Comparison(
        name=preset.name,
        summary=preset.summary,
        tasks=tuple(_located(task, folder) for task in content["tasks"]),
        rows=tuple(_row(row, folder) for row in content["rows"]),
        baseline=baseline and _located(baseline, folder),
        seeds=tuple(seeds) if isinstance(seeds, list) else seeds,
        set=_flat(content.get("set") or {}),
    )


def _located(name: str, folder: Path) -> str:
    """A name as it is; a path as seen from the comparison's folder."""
    return str(folder / at_home(name)) if is_path(name) else name


def _row(row: str | dict[str, Any], folder: Path) -> Row:
    if isinstance(row, str):
        return Row(_located(row, folder), Path(row).stem if is_path(row) else row)
    changes = _flat(row.get("set") or {})
    algorithm = _located(row["algorithm"], folder)
    said = ", ".join(f"{path}={shown(value)}" for path, value in changes.items())
    name = Path(row["algorithm"]).stem if is_path(row["algorithm"]) else row["algorithm"]
    label = row.get("label") or (f"{name}, {said}" if said else name)
    return Row(algorithm, label, changes, tuple(_located(task, folder) for task in row.get("test_on") or ()))


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    return {".".join(path): value for path, value in leaves(expanded(content, "set"))}


def check_comparison(source: Source, folder: Path) -> None:
    """RequestError for the first problem of a comparison file."""
    raise_first(source, list(_file_problems(source.content, folder)))


def _file_problems(content: Mapping[str, Any], folder: Path) -> Iterator[tuple[KeyPath, str]]:
    yield from text_problems(content)
    for key in content:
        if key not in _KEYS:
            yield (key,), f"{key} is not a key of a comparison file{suggestion(key, _KEYS, 'its keys')}"
    tasks = content.get("tasks")
    if not isinstance(tasks, list) or not tasks:
        yield ("tasks",), f"tasks must be a list of task presets, found {shown(tasks)}"
    else:
        yield from _name_problems("tasks", tasks, ("tasks",), folder)
    rows = content.get("rows")
    if not isinstance(rows, list) or not rows:
        yield ("rows",), f"rows must be a list of algorithms, found {shown(rows)}"
        rows = []
    in_rows = [each for n, row in enumerate(rows) for each in _row_problems(row, ("rows", n), folder)]
    yield from in_rows
    yield from _set_problems(content.get("set"), ("set",))
    yield from _option_problems(content)
    if not in_rows:
        yield from _label_problems(rows, folder)
        yield from _baseline_problems(content.get("baseline"), rows, folder)


def _name_problems(kind: Any, names: Any, path: KeyPath, folder: Path) -> Iterator[tuple[KeyPath, str]]:
    for number, name in enumerate(names):
        yield from _one_name(kind, name, (*path, number), folder)


def _one_name(kind: Any, name: Any, path: KeyPath, folder: Path) -> Iterator[tuple[KeyPath, str]]:
    if not isinstance(name, str):
        yield path, f"must be the name of a preset, found {shown(name)}"
        return
    try:
        found = find_preset(kind, _located(name, folder))
        there = found.is_file()
    except RequestError as error:
        yield path, str(error)
        return
    except OSError as error:
        yield path, f"{found}: {error.strerror}"
        return
    if not there:
        yield path, f"there is no file {found}"


def _row_problems(row: Any, path: KeyPath, folder: Path) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(row, str):
        yield from _one_name("algorithms", row, path, folder)
        return
    if not isinstance(row, Mapping):
        yield path, f"a row must be an algorithm or {{algorithm, label, set, test_on}}, found {shown(row)}"
        return
    for key in row:
        if key not in _ROW_KEYS:
            yield (*path, key), f"{key} is not a key of a row{suggestion(key, _ROW_KEYS, 'its keys')}"
    if "algorithm" not in row:
        yield path, "a row needs an algorithm"
    else:
        yield from _one_name("algorithms", row["algorithm"], (*path, "algorithm"), folder)
    label, test_on = row.get("label"), row.get("test_on")
    if label is not None and (not isinstance(label, str) or not label.strip() or "\n" in label):
        yield (*path, "label"), f"label must be one line of text, found {shown(label)}"
    if test_on is not None and not isinstance(test_on, list):
        yield (*path, "test_on"), f"test_on must be a list of task presets, found {shown(test_on)}"
    elif test_on:
        yield from _name_problems("tasks", test_on, (*path, "test_on"), folder)
    yield from _set_problems(row.get("set"), (*path, "set"))


def _set_problems(content: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if content is None:
        return
    if not isinstance(content, Mapping):
        yield path, f"set must be a mapping of keys to values, found {shown(content)}"
        return
    try:
        expanded(content, "set")
    except RequestError as error:
        yield path, str(error)
        return
    for key, value in content.items():
        for _, message in problems(expanded({key: value}, "set")):
            yield (*path, key), message


def _option_problems(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    seeds, baseline = content.get("seeds"), content.get("baseline")
    listed = seeds if isinstance(seeds, list) else [seeds]
    lowest = 0 if isinstance(seeds, list) else 1
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= lowest for seed in listed)
    if seeds is not None and (not whole or not listed or len(set(listed)) < len(listed)):
        yield ("seeds",), f"seeds must be how many (at least 1) or a list of seeds, found {shown(seeds)}"
    elif seeds is not None and (len(listed) > MOST_SEEDS or (lowest == 1 and seeds > MOST_SEEDS)):
        yield ("seeds",), f"seeds may be at most {MOST_SEEDS:,}, found {shown(seeds)}"
    if baseline is not None and not isinstance(baseline, str):
        yield ("baseline",), f"baseline must be a row's label, an algorithm or none, found {shown(baseline)}"


def _baseline_problems(baseline: Any, rows: list[Any], folder: Path) -> Iterator[tuple[KeyPath, str]]:
    """A baseline that is neither a row's label nor an algorithm."""
    if not isinstance(baseline, str) or baseline in ("", "none"):
        return
    known = {name for row in rows for name in (_row(row, folder).label, _row(row, folder).algorithm)}
    if _located(baseline, folder) not in known:
        yield from _one_name("algorithms", baseline, ("baseline",), folder)


def _label_problems(rows: list[Any], folder: Path) -> Iterator[tuple[KeyPath, str]]:
    """Two rows of one label could not be told apart in the table."""
    first: dict[str, int] = {}
    for number, row in enumerate(rows):
        label = _row(row, folder).label
        if label in first:
            yield ("rows", number), f'row {number + 1} has the label "{label}" of row {first[label] + 1}'
        first.setdefault(label, number)
