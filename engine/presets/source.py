"""YAML as presets are written: PyYAML's safe reading, with the line and column of every key and value kept.

Taught that `1e-3` is a number and to refuse a key given twice; bounded, so that a hostile file costs nothing.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.errors import RequestError

LARGEST_FILE = 512 * 1024
DEEPEST = 30
MOST_VALUES = 20_000
PlacePath = tuple[str | int, ...]


@dataclass(frozen=True)
class Source:
    """What a YAML text says, and where: `content`, and (line, column) by path, both counted from 1."""

    name: str
    content: Any
    places: dict[PlacePath, tuple[int, int]] = field(default_factory=dict, repr=False)

    def where(self, path: PlacePath = ()) -> str:
        """`my-task.yaml, line 4`: the place of a key, or of the nearest mapping that holds it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return f"{self.name}, line {self.places[path[:length]][0]}"
        return self.name


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with bounded depth; numbers as people write them, dates left as texts."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {DEEPEST} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*$")
_FLOAT = re.compile(
    r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|\.(inf|Inf|INF))$|\.(nan|NaN|NAN)$"
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node).replace("_", ""))


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}


class _Reader:
    """Builds plain values from YAML nodes and notes where each stood."""

    def __init__(self, loader: _Loader, name: str) -> None:
        self.loader, self.name, self.values = loader, name, 0
        self.places: dict[PlacePath, tuple[int, int]] = {}

    def refuse(self, node: yaml.Node, problem: str) -> RequestError:
        return RequestError(f"{self.name}, line {node.start_mark.line + 1}: {problem}")

    def value(self, node: yaml.Node, path: PlacePath) -> Any:
        self.values += 1
        if self.values > MOST_VALUES:
            raise self.refuse(node, f"more than {MOST_VALUES:,} values once its aliases are written out")
        if len(path) > DEEPEST:
            raise self.refuse(node, f"nested deeper than {DEEPEST} levels")
        if path not in self.places:
            self.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return self.scalar(node)
        raise self.refuse(node, f"a value of the YAML type {_short_tag(node.tag)} has no meaning here")

    def scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            return self.loader.construct_object(node)
        except (ValueError, KeyError, yaml.YAMLError):
            kind = _short_tag(node.tag)
            raise self.refuse(node, f"{_clip(node.value)} is not a value of the type {kind}") from None

    def mapping(self, node: yaml.MappingNode, path: PlacePath) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.key(key_node)
            if key in content:
                first = self.places[(*path, key)][0]
                raise self.refuse(key_node, f'the key "{key}" is given twice (first on line {first})')
            self.places[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            content[key] = self.value(value_node, (*path, key))
        return content

    def key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:merge":
            raise self.refuse(node, "the merge key << has no meaning here; write the keys out")
        if not isinstance(node, yaml.ScalarNode):
            raise self.refuse(node, "a key must be a text, found a list or a mapping")
        if node.tag != "tag:yaml.org,2002:str":
            kind = _short_tag(node.tag)
            raise self.refuse(
                node, f"the key {_clip(node.value)} reads as {kind}, not as a text; put it in quotes"
            )
        return str(node.value)


def _short_tag(tag: str) -> str:
    return tag.removeprefix("tag:yaml.org,2002:")


def _clip(text: str) -> str:
    return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}..."'


def _problem(error: yaml.YAMLError) -> str:
    """`line 3, column 5: what is wrong`, from PyYAML's error."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part) or "not YAML"
        return (
            f"line {mark.line + 1}, column {mark.column + 1}: not YAML: {what}"
            if mark
            else f"not YAML: {what}"
        )
    return f"not YAML: {error}".splitlines()[0]


def read_text(text: str, name: str) -> Source:
    """The one YAML document in `text`; `name` is what errors call it. RequestError where it is not YAML."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise RequestError(f"{name}, line {line}: a character that YAML does not allow") from None
    except yaml.YAMLError as error:
        separator = ": " if _problem(error).startswith("not") else ", "
        raise RequestError(f"{name}{separator}{_problem(error)}") from None
    if node is None:
        return Source(name, None)
    reader = _Reader(loader, name)
    content = reader.value(node, ())
    return Source(name, content, reader.places)


def read_file(path: Path, name: str | None = None) -> Source:
    """The YAML document in the file at `path`, which must be a mapping."""
    name = name or str(path)
    try:
        if not path.is_file():
            raise RequestError(
                f"{name}: {'this is not a file' if path.exists() else 'there is no such file'}"
            )
        raw = path.read_bytes() if path.stat().st_size <= LARGEST_FILE else None
    except OSError as error:
        raise RequestError(f"{name}: cannot be read ({error.strerror})") from None
    if raw is None:
        raise RequestError(f"{name}: larger than {LARGEST_FILE // 1024} KiB, which is no preset")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise RequestError(f"{name}, line {line}: not text in UTF-8") from None
    source = read_text(text, name)
    if not isinstance(source.content, dict):
        found = "nothing" if source.content is None else "a single value or a list"
        raise RequestError(f"{name}: must be a mapping of keys to values, found {found}")
    return source
