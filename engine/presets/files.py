"""Preset files: where they lie, what they may hold, and the preset of a name or a path."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import engine
from engine.errors import RequestError
from engine.folders import at_home
from engine.nearest import nearest, suggestion
from engine.presets.fields import SETTABLE, KeyPath, dotted, problems, section_problems
from engine.presets.messages import shown
from engine.presets.schema import Published
from engine.presets.source import Source, read_file

Kind = Literal["tasks", "algorithms", "comparisons"]
SINGULAR = {"tasks": "task", "algorithms": "algorithm", "comparisons": "comparison"}
SHIPPED = Path(engine.__file__).resolve().parent.parent / "presets"
_TEXTS = ("summary", "paper", "family")
_KEYS = {
    "tasks": (*_TEXTS, "published", *SETTABLE, "budgets"),
    "algorithms": (*_TEXTS, *SETTABLE, "for", "budgets"),
}


@dataclass(frozen=True)
class Preset:
    """A preset file. `path` tells a shipped one from the user's; `problem` says why it cannot be used."""

    name: str
    kind: Kind
    path: Path
    summary: str
    paper: str
    family: str
    content: dict[str, Any] = field(repr=False)
    source: Source = field(repr=False, compare=False)
    problem: str = ""


def folders() -> list[Path]:
    """Where presets are looked for: the shipped folder, then that of KSHOT_PRESETS, which wins."""
    given = os.environ.get("KSHOT_PRESETS")
    if not given:
        return [SHIPPED]
    folder = at_home(given)
    if not folder.is_dir():
        raise RequestError(f"KSHOT_PRESETS={given}: there is no such folder")
    return [SHIPPED, folder]


def preset_paths(kind: Kind) -> dict[str, Path]:
    """Every preset's file by its name, in order of names; the user's where both have one of that name."""
    found = {}
    for folder in folders():
        for path in (folder / kind).glob("*.yaml"):
            if not path.name.startswith("."):
                found[path.stem] = path
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sorts `sine-5shot` before `sine-10shot`."""
    parts = name.replace("-", " ").replace("way", " way").replace("shot", " shot").split()
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def find_preset(kind: Kind, name_or_path: str) -> Path:
    """The file of a preset's name, or the path itself; RequestError names the nearest one."""
    if is_path(name_or_path):
        return at_home(name_or_path)
    paths = preset_paths(kind)
    if name_or_path in paths:
        return paths[name_or_path]
    return _unknown(kind, name_or_path, paths)


def is_path(text: str) -> bool:
    """Whether a text names a file rather than a preset."""
    return os.sep in text or Path(text).suffix in (".yaml", ".yml")


def _unknown(kind: Kind, name: str, paths: Mapping[str, Path]) -> Path:
    one = SINGULAR[kind]
    text = f"there is no {one} preset {shown(name)}"
    for other in get_args(Kind):
        if other != kind and name in preset_paths(other):
            article = "an" if SINGULAR[other][0] in "aeiou" else "a"
            raise RequestError(
                f"{text}: {name} is {article} {SINGULAR[other]}; kshot {kind} lists the {kind}"
            )
    match = nearest(name, paths)
    raise RequestError(f"{text}{f' (nearest: {match})' if match else ''}; kshot {kind} lists them")


def load_preset(kind: Kind, name_or_path: str) -> Preset:
    """The preset of a name or a path, its every key checked. RequestError names file, line and key."""
    path = find_preset(kind, name_or_path)
    return _read(kind, path)


def list_presets(kind: Kind) -> list[Preset]:
    """All presets of a kind; one that cannot be used is listed with its `problem`."""
    found = []
    for name, path in preset_paths(kind).items():
        try:
            found.append(_read(kind, path))
        except RequestError as error:
            found.append(Preset(name, kind, path, "", "", "", {}, Source(path.name, {}), problem=str(error)))
    return found


def display_name(path: Path) -> str:
    """What errors call a file: a shipped preset by its name alone, any other by its path as given."""
    return path.name if path.is_relative_to(SHIPPED) else str(path)


_Stamp = tuple[int, int, int, int]
_read_before: dict[tuple[Kind, Path], tuple[_Stamp, Preset]] = {}


def _stamp(path: Path) -> _Stamp | None:
    """What changes with a file's content: which file it is, its size and its time; None where it is gone."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _read(kind: Kind, path: Path) -> Preset:
    """The preset in a file: read and checked once, and again when the file has changed."""
    stamp = _stamp(path)
    known = _read_before.get((kind, path))
    if known is None or known[0] != stamp:
        preset = _read_anew(kind, path)
        if stamp is not None:
            _read_before[kind, path] = stamp, preset
        return preset
    if kind == "comparisons":  # it names other presets, which may have come or gone since
        _check(kind, known[1].source, path)
    return known[1]


def _check(kind: Kind, source: Source, path: Path) -> None:
    if kind == "comparisons":
        from engine.presets.comparisons import check_comparison

        check_comparison(source, path.parent)
    else:
        raise_first(source, list(_file_problems(kind, source)))


def _read_anew(kind: Kind, path: Path) -> Preset:
    source = read_file(path, display_name(path))
    _check(kind, source, path)
    content = source.content
    summary, paper, family = (content.get(key) or "" for key in _TEXTS)
    if kind == "tasks" and not family:
        family = content["task"]["dataset"]
    return Preset(path.stem, kind, path, summary, paper, family, content, source)


def raise_first(source: Source, found: list[tuple[KeyPath, str]]) -> None:
    """RequestError for the first of a file's problems, saying how many more there are."""
    if found:
        path, message = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise RequestError(" ".join(f"{source.where(path)}: {message}{more}".splitlines()))


def text_problems(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Problems of `summary`, `paper` and `family`, which are texts of one line."""
    for key in _TEXTS:
        value = content.get(key)
        if value is not None and not isinstance(value, str):
            yield (key,), f"{key} must be a text, found {shown(value)}"
        elif isinstance(value, str) and ("\n" in value.strip() or not value.strip()):
            yield (key,), f"{key} must be one line of text"


def _file_problems(kind: Kind, source: Source) -> Iterator[tuple[KeyPath, str]]:
    content = source.content
    yield from text_problems(content)
    for key in content:
        if key not in _KEYS[kind]:
            one = f"{'an' if kind == 'algorithms' else 'a'} {SINGULAR[kind]} file"
            yield (key,), f"{key} is not a key of {one}{suggestion(key, _KEYS[kind], 'its keys')}"
    yield from _fragment_problems(content, ())
    if kind == "tasks":
        yield from _task_problems(content)
    for glob, entry in _mapping(content, "for").items():
        if isinstance(entry, Mapping):
            keys = (*SETTABLE, "budgets")
            for key in entry:
                if key not in keys:
                    yield (
                        ("for", glob, key),
                        f"{key} is not a key of a `for` entry{suggestion(key, keys, 'its keys')}",
                    )
            yield from _fragment_problems(entry, ("for", glob))
        else:
            yield ("for", glob), f'for."{glob}" must be a mapping of keys to values, found {shown(entry)}'
    if "for" in content and not isinstance(content["for"], Mapping):
        yield ("for",), f"for must be a mapping of name patterns to keys, found {shown(content['for'])}"


def _mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    return value if isinstance(value, Mapping) else {}


def _fragment_problems(content: Mapping[str, Any], at: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Problems of the spec keys in a mapping that lies at `at` in its file, and of its budgets."""
    known = {key: value for key, value in content.items() if key in SETTABLE}
    yield from _placed(known, at)
    if content.get("budgets") is None:
        return
    if not isinstance(content["budgets"], Mapping):
        yield (
            (*at, "budgets"),
            f"budgets must be a mapping of names to keys, found {shown(content['budgets'])}",
        )
        return
    for name, entry in content["budgets"].items():
        if isinstance(entry, Mapping):
            yield from _placed(entry, (*at, "budgets", name))
        elif entry is not None:
            message = f"budgets.{name} must be a mapping of keys to values, found {shown(entry)}"
            yield (*at, "budgets", name), message


def _placed(content: Mapping[str, Any], at: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    for path, message in problems(content):
        yield (*at, *path), message


def _task_problems(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    if _mapping(content, "task").get("dataset") is None:
        yield ("task",), "task.dataset is missing: a task file says where its tasks come from"
    published = content.get("published")
    if published is None:
        return
    if not isinstance(published, Mapping):
        yield (
            ("published",),
            f"published must be a mapping of algorithms to figures, found {shown(published)}",
        )
        return
    for name, figure in published.items():
        path = ("published", name)
        if isinstance(figure, Mapping):
            yield from section_problems([Published], figure, path)
            for key in ("value", "source"):
                if figure.get(key) is None:
                    yield path, f"{dotted(path)}.{key} is missing"
        else:
            yield path, f"{dotted(path)} must be a mapping {{value, ci95, source}}, found {shown(figure)}"
