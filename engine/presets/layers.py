"""Layers of a spec and their merging: which value wins, and which layer it came from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from engine.errors import RequestError
from engine.nearest import suggestion
from engine.presets.fields import SETTABLE, KeyPath, dotted, problems
from engine.presets.files import Preset
from engine.presets.schema import ImageTask, SineTask
from engine.presets.source import read_text


@dataclass(frozen=True)
class Layer:
    """A fragment of a spec with a readable name; `where` says on which file and line a path stands."""

    name: str
    content: Mapping[str, Any]
    where: Callable[[KeyPath], str]


@dataclass(frozen=True)
class Leaf:
    """One merged value, the layer that gave it and its place; `restored` marks a `null`."""

    value: Any
    layer: str
    where: str
    restored: bool = False


_LABEL = 200
Tree = dict[str, Any]
"""Nested mappings whose leaves are `Leaf`."""


def preset_layers(preset: Preset, task: Preset, budget: str) -> tuple[list[Layer], list[Layer]]:
    """A preset's layers for a task: its base and matching `for` entries, and the budgets of each.

    A `for` pattern matches the task preset's name, its data set's, or the name that a shipped preset of its
    ways and shots would have: a task of one's own may have any name.
    """
    matched = (task.name, task.content["task"]["dataset"], _standard_name(task.content["task"]))
    name = f"{'task' if preset.kind == 'tasks' else 'algorithm'} {preset.name}"
    entries: list[tuple[str, Mapping[str, Any], KeyPath]] = [(name, preset.content, ())]
    for glob, entry in (preset.content.get("for") or {}).items():
        if any(fnmatchcase(candidate, glob) for candidate in matched):
            entries.append((f"{name}, for {glob}", entry, ("for", glob)))
    base, budgets = [], []
    for label, content, at in entries:
        sections = {key: value for key, value in content.items() if key in SETTABLE}
        base.append(Layer(label, sections, _placer(preset, at)))
        chosen = (content.get("budgets") or {}).get(budget)
        if chosen:
            where = _placer(preset, (*at, "budgets", budget))
            budgets.append(Layer(f"budget {budget} of {label}", chosen, where))
    return base, budgets


def _standard_name(task: Mapping[str, Any]) -> str:
    """`omniglot-5way-1shot`, `sine-10shot`: what tasks are called by their data set, ways and shots."""
    section = SineTask if task["dataset"] == "sine" else ImageTask
    shape = {name: task.get(name, field.default) for name, field in section.model_fields.items()}
    ways = "" if section is SineTask else f"-{shape['ways']}way"
    return f"{task['dataset']}{ways}-{shape['shots']}shot"


def _placer(preset: Preset, at: KeyPath) -> Callable[[KeyPath], str]:
    return lambda path: preset.source.where((*at, *path))


def check_budget(budget: str, presets: Sequence[Preset]) -> None:
    """RequestError for a budget that none of the presets has; `quick` is always there: it is the default."""
    known = {"quick": None}
    for preset in presets:
        for content in (preset.content, *(preset.content.get("for") or {}).values()):
            known.update(dict.fromkeys(content.get("budgets") or {}))
    if budget not in known:
        names = " and ".join(preset.name for preset in presets)
        raise RequestError(f'{names} have no budget "{budget}"{suggestion(budget, known, "they have")}')


def given_layer(name: str, content: Mapping[str, Any]) -> Layer:
    """A layer from a mapping with dotted or nested keys, checked; `name` is what errors call it."""
    layer = Layer(name, expanded(content, name), lambda path: name)
    for _, message in problems(layer.content):
        raise RequestError(f"{name}: {message}")
    return layer


def override_label(text: str) -> str:
    """What errors call one `--set`: the beginning of it, where it is a book."""
    return " ".join(f"--set {text if len(text) <= _LABEL else f'{text[:_LABEL]}...'}".splitlines())


def override_layer(text: str) -> Layer:
    """The layer of one `--set path.to.key=value`; the value is read as YAML."""
    label = override_label(text)
    path_text, equals, value_text = text.partition("=")
    if not equals or not all(part.strip() for part in path_text.split(".")):
        raise RequestError(f"{label}: must be path.to.key=value")
    if not value_text.strip():
        raise RequestError(f"{label}: there is no value; null restores the default")
    path = path_text.strip().split(".")
    try:
        value = read_text(value_text, "").content
    except RequestError as error:
        raise RequestError(f"{label}: the value is not readable: {str(error).removeprefix(', ')}") from None
    content = expanded({path_text.strip(): value}, label)
    for at, message in problems(content):
        same = f"{'.'.join(path)} must "
        short = message.removeprefix(f"{'.'.join(path)} ") if message.startswith(same) else message
        raise RequestError(f"{label}: {short}" if at[: len(path)] == tuple(path) else f"{label}: {message}")
    return Layer("--set", content, lambda _: label)


def option_layer(option: str, key: str, value: Any) -> Layer:
    """The layer of `--seed` or `--device`."""
    label = f"{option} {value}"
    for _, message in problems({key: value}):
        raise RequestError(f"{label}: {message.removeprefix(f'{key} ')}")
    return Layer(option, {key: value}, lambda _: label)


def expanded(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """`{adaptation.steps: 5}` as `{adaptation: {steps: 5}}`, at any depth; a key given twice is refused."""
    result: dict[str, Any] = {}
    for key, value in content.items():
        inner = expanded(value, name) if isinstance(value, Mapping) else value
        for part in reversed(str(key).split(".")[1:]):
            inner = {part: inner}
        _join(result, str(key).split(".")[0], inner, name, ())
    return result


def _join(target: dict[str, Any], key: str, value: Any, name: str, above: KeyPath) -> None:
    if key not in target:
        target[key] = value
    elif isinstance(target[key], dict) and isinstance(value, dict):
        for inner_key, inner in value.items():
            _join(target[key], inner_key, inner, name, (*above, key))
    else:
        raise RequestError(f"{name}: {dotted((*above, key))} is given twice")


def merge(tree: Tree, layer: Layer) -> None:
    """Lays a layer over `tree`: mappings key by key, all else replaces, `null` restores the default."""
    _merge(tree, layer.content, layer, ())


def _merge(tree: Tree, content: Mapping[str, Any], layer: Layer, above: KeyPath) -> None:
    for key, value in content.items():
        path = (*above, key)
        if isinstance(value, Mapping):
            if not isinstance(tree.get(key), dict):
                tree[key] = {}
            _merge(tree[key], value, layer, path)
        else:
            tree[key] = Leaf(value, layer.name, layer.where(path), restored=value is None)


def values_of(tree: Tree) -> dict[str, Any]:
    """The values of a tree; what a `null` restored is left out, so that the schema's default stands."""
    return {
        key: values_of(node) if isinstance(node, dict) else node.value
        for key, node in tree.items()
        if isinstance(node, dict) or not node.restored
    }


def leaf_at(tree: Tree, path: Sequence[str]) -> Leaf | None:
    """The leaf at a path, or the `null` above it; None where no layer said anything."""
    node: Any = tree
    for part in path:
        if isinstance(node, Leaf):
            return node
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    return node if isinstance(node, Leaf) else None


def leaves(content: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of every leaf of nested mappings."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def changes_task(layers: Sequence[Layer]) -> bool:
    """Whether any of these layers makes it another task, of which published figures say nothing."""
    return any(
        path[0] == "task" and path[1:] != ("queries",) for a in layers for path, _ in leaves(a.content)
    )
