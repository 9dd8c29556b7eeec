"""Walks the schema: which keys there are, and whether a fragment of a spec (of a file, a `--set`) fits it."""

import functools
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from engine.presets.messages import shown, unknown_key, wrong_value
from engine.presets.schema import ImageTask, Section, SineTask, Spec

KeyPath = tuple[str | int, ...]
Field = tuple[type[Section], str]
SETTABLE = tuple(name for name in Spec.model_fields if name not in ("kind", "origin"))


def dotted(path: KeyPath) -> str:
    """`evaluation.tune.learning_rate[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


@functools.cache
def fields_of(section: type[Section]) -> dict[str, FieldInfo]:
    """A section's fields by the names that files use."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def sections_in(annotation: Any) -> list[type[Section]]:
    """The sections that a field's type may hold: none for a plain value, two for `task`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    if get_origin(annotation) is Annotated:
        return sections_in(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [section for arm in get_args(annotation) for section in sections_in(arm)]
    return []


def _holds_only_sections(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _holds_only_sections(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return all(arm is types.NoneType or _holds_only_sections(arm) for arm in get_args(annotation))
    return bool(sections_in(annotation))


@functools.cache
def _adapter(field: Field) -> TypeAdapter[Any]:
    info = fields_of(field[0])[field[1]]
    annotated: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return TypeAdapter(annotated, config={"strict": True})


@functools.cache
def every_key() -> tuple[str, ...]:
    """The full path of every key that may be set, sections included."""

    def walk(section: type[Section], prefix: str) -> Iterator[str]:
        for name, field in fields_of(section).items():
            yield prefix + name
            for inner in sections_in(field.annotation):
                yield from walk(inner, f"{prefix}{name}.")

    found = [key for key in walk(Spec, "") if key.split(".")[0] in SETTABLE]
    return tuple(dict.fromkeys(found))


def task_sections(content: Mapping[str, Any]) -> list[type[Section]]:
    """The kind of task that a mapping of task keys can be: one where it names its data set, else both."""
    if content.get("dataset") is None:
        return [ImageTask, SineTask]
    return [SineTask] if content["dataset"] == "sine" else [ImageTask]


def problems(content: Mapping[str, Any], prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """(path, message) of each key or value in a fragment of a spec that does not fit the schema.

    Messages name the key by its full path. `null` fits everywhere: it restores the default.
    """
    for name, value in content.items():
        if name in SETTABLE:
            yield from _field_problems([(Spec, name)], value, (*prefix, name))
        else:
            known = dict.fromkeys(SETTABLE)
            yield (*prefix, name), unknown_key(name, "a spec", known, every_key())


def _field_problems(candidates: list[Field], value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if value is None:
        return
    annotations = [fields_of(section)[name].annotation for section, name in candidates]
    sections = [section for annotation in annotations for section in sections_in(annotation)]
    if sections and isinstance(value, Mapping):
        narrowed = task_sections(value) if ImageTask in sections else sections
        yield from section_problems(narrowed, value, path)
    elif sections and all(_holds_only_sections(annotation) for annotation in annotations):
        keys = ", ".join(fields_of(sections[0]))
        yield path, f"{dotted(path)} must be a mapping of keys ({keys}), found {shown(value)}"
    elif isinstance(value, Mapping) and value:
        yield (*path, next(iter(value))), f"{dotted(path)} holds a value and has no keys of its own"
    else:
        yield from _value_problems(candidates, value, path)


def section_problems(
    sections: list[type[Section]], content: Mapping[str, Any], path: KeyPath
) -> Iterator[tuple[KeyPath, str]]:
    """(path, message) of what does not fit in a mapping at `path` that one of these sections describes."""
    keys = {name: field for section in sections for name, field in fields_of(section).items()}
    for name, value in content.items():
        full = (*path, name)
        if name in keys:
            candidates = [(section, name) for section in sections if name in fields_of(section)]
            yield from _field_problems(candidates, value, full)
        else:
            yield full, unknown_key(dotted(full), _described(sections, name, path), keys, every_key())


def _described(sections: list[type[Section]], name: str, path: KeyPath) -> str:
    """What a section is called where `name` is no key of it."""
    if sections == [SineTask] and name in fields_of(ImageTask):
        return "a sine task"
    if sections == [ImageTask] and name in fields_of(SineTask):
        return "a task of images"
    return dotted(path)


def _value_problems(candidates: list[Field], value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    failures = []
    for section, name in candidates:
        try:
            _adapter((section, name)).validate_python(value)
            return
        except ValidationError as failure:
            failures.append((failure, fields_of(section)[name]))
    error, info = failures[0]
    annotation: Any = info.annotation
    if len(failures) > 1 and path[-1] == "dataset":
        annotation = Union[tuple(other.annotation for _, other in failures)]  # noqa: UP007
    elif info.metadata:
        annotation = Annotated[info.annotation, *info.metadata]
    inside, message = wrong_value(error, annotation, value)
    full = (*path, *inside)
    yield full, f"{dotted(full)} {message}"
