"""Specs as files and plain values, and the adaptation that testing and validation use."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import RequestError
from engine.nearest import suggestion
from engine.presets.contradiction import Contradiction
from engine.presets.contradictions import contradiction
from engine.presets.fields import SETTABLE, KeyPath, dotted, fields_of, problems, section_problems
from engine.presets.files import raise_first
from engine.presets.layers import Layer, Leaf, Tree, changes_task, leaf_at, merge, override_layer, values_of
from engine.presets.messages import shown
from engine.presets.schema import ImageTask, Origin, SineTask, Spec
from engine.presets.source import Source, read_file

_RUN_KEYS = ("key",)
"""What a run directory writes beside the spec's own keys."""


def spec_to_dict(spec: Spec) -> dict[str, Any]:
    """Plain mappings, lists, numbers, texts and nulls under the names that files use; every key is there."""
    return spec.model_dump(mode="json", by_alias=True)


def load_spec(path: Path | str, overrides: Sequence[str] = ()) -> Spec:
    """The spec of a `spec.yaml`, with `--set` texts on top. RequestError names file, line and key."""
    source = read_file(Path(path), str(path))
    return _checked(source, overrides)


def spec_from_dict(content: Mapping[str, Any], name: str) -> Spec:
    """The spec that `spec_to_dict` wrote; `name` is what errors call it."""
    return _checked(Source(name, content), ())


def _checked(source: Source, overrides: Sequence[str]) -> Spec:
    content = {key: value for key, value in source.content.items() if key not in _RUN_KEYS}
    raise_first(source, list(_spec_problems(content)))
    tree: Tree = {}
    settable = {key: value for key, value in content.items() if key in SETTABLE}
    merge(tree, Layer(source.name, settable, source.where))
    asked = [override_layer(text) for text in overrides]
    for layer in asked:
        merge(tree, layer)
    about = {key: content[key] for key in ("kind", "origin") if content.get(key) is not None}
    if "origin" in about and changes_task(asked):
        about["origin"] = {**about["origin"], "published": None}
    return checked_spec(tree, about)


def _spec_problems(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    known = tuple(Spec.model_fields)
    for key in content:
        if key not in known:
            yield (key,), f"{key} is not a key of a spec{suggestion(key, known, 'its keys')}"
    yield from problems({key: value for key, value in content.items() if key in SETTABLE})
    kind = content.get("kind", "train")
    if kind != "train":
        yield ("kind",), f"kind must be train, found {shown(kind)}"
    origin = content.get("origin") or {}
    if isinstance(origin, Mapping):
        yield from section_problems([Origin], origin, ("origin",))
    else:
        yield ("origin",), f"origin must be a mapping of keys, found {shown(origin)}"


def checked_spec(tree: Tree, about: Mapping[str, Any]) -> Spec:
    """The spec of merged layers and of `about` (kind, origin), refused where layers do not go together."""
    check_task_kind(tree)
    try:
        spec = Spec.model_validate({**values_of(tree), **about})
    except ValidationError as failure:
        # Each layer was checked alone: only what layers make together can fail here.
        error = failure.errors(include_url=False)[0]
        path = tuple(str(part) for part in error["loc"] if part not in ("images", "sine"))
        leaf = leaf_at(tree, path)
        raise RequestError(
            f"{f'{leaf.where}: ' if leaf else ''}{dotted(path)}: {error['msg'].lower()}"
        ) from None
    refuse(contradiction(spec), tree)
    return spec


def refuse(found: Contradiction | None, tree: Tree) -> None:
    """RequestError with a contradiction's reason and where its keys stand, if there is one."""
    if found is not None:
        raise RequestError(f"{found.reason}{_places(tree, found.keys)}")


def check_task_kind(tree: Tree) -> None:
    """Refuses keys that belong to another kind of task than `task.dataset` says."""
    section = tree.get("task")
    dataset = section.get("dataset") if isinstance(section, dict) else section
    if not isinstance(section, dict) or not isinstance(dataset, Leaf) or dataset.restored:
        place = f"{dataset.where}: " if isinstance(dataset, Leaf) else ""
        raise RequestError(f"{place}task.dataset has no default: it says where the tasks come from")
    sine = dataset.value == "sine"
    known = fields_of(SineTask if sine else ImageTask)
    strange = [key for key in section if key not in known]
    if not strange:
        return
    node = section[strange[0]]
    place = node.where if isinstance(node, Leaf) else dataset.where
    kind, other = ("a sine task", "tasks of images") if sine else ("a task of images", "sine tasks")
    if dataset.layer == "--set":
        keys = ", ".join(f"task.{key}" for key in strange)
        has = f"{place} gives it {keys}, which only {other} have"
        raise RequestError(f"{dataset.where}: {has}; name another task preset instead")
    near = suggestion(strange[0], known, "its keys")
    raise RequestError(f"{place}: task.{strange[0]} is not a key of {kind}{near}")


def _places(tree: Tree, keys: Sequence[str]) -> str:
    """` [adaptation.head: --set adaptation.head=stored]`: where those of the keys stand that a layer gave."""
    found = [(key, leaf_at(tree, key.split("."))) for key in keys]
    places = [f"{key}: {leaf.where}" for key, leaf in found if leaf is not None]
    return f" [{'; '.join(places)}]" if places else ""
