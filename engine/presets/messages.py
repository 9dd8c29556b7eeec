"""The answer to a wrong value or key: what was found, what is allowed, and the nearest right one."""

import json
import re
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from engine.nearest import nearest, suggestion

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
}
_SHOWN = 60
"""Characters of a value that is shown."""


def shown(value: Any) -> str:
    """A value as it would be written in YAML, cut short."""
    text = json.dumps(_beginning(value), ensure_ascii=False, default=str)
    text = text.encode("utf-8", "backslashreplace").decode()  # bytes of a name that are no UTF-8
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _beginning(value: Any) -> Any:
    """As much of a value as can be shown: aliases make gigabytes of a few kilobytes."""
    if isinstance(value, str):
        return value[: _SHOWN + 1]
    if isinstance(value, list | tuple):
        return [_beginning(item) for item in value[:_SHOWN]]
    if isinstance(value, Mapping):
        return {str(key)[:_SHOWN]: _beginning(item) for key, item in list(value.items())[:_SHOWN]}
    return value


def _bounds(metadata: Iterable[Any]) -> str:
    """` of at least 0`, from a field's constraints."""
    parts = []
    for item in metadata:
        if isinstance(item, FieldInfo):
            parts.append(_bounds(item.metadata))
        elif isinstance(item, annotated_types.Ge):
            parts.append(f" of at least {item.ge:g}")
        elif isinstance(item, annotated_types.Gt):
            parts.append(f" above {item.gt:g}")
        elif isinstance(item, annotated_types.Le):
            parts.append(f" and at most {_bound(item.le)}")
    return "".join(parts)


def _bound(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def allowed(annotation: Any) -> str:
    """What a field of this type takes, in words."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        return allowed(inner) + _bounds(metadata)
    if get_origin(annotation) is Literal:
        return _one_of(get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return ", or ".join(allowed(arm) for arm in get_args(annotation) if arm is not types.NoneType)
    if get_origin(annotation) is tuple:
        items = get_args(annotation)
        if items[-1] is Ellipsis:
            return "a list of texts" if items[0] is str else f"a list, each {allowed(items[0])}"
        return "two numbers [low, high]"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        names = [field.alias or name for name, field in annotation.model_fields.items()]
        return f"a mapping {{{', '.join(names)}}}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[annotation]


def _one_of(choices: tuple[Any, ...]) -> str:
    texts = [str(choice) for choice in choices]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def _simple(error: ErrorDetails) -> str | None:
    """What is wrong by the kind of one error; None where the kind alone does not say it."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}"
    if kind == "greater_than_equal":
        return f"must be at least {context['ge']:g}"
    if kind == "greater_than":
        return f"must be above {context['gt']:g}"
    if kind == "less_than_equal":
        return f"must be at most {_bound(context['le'])}"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "")
        return f"must be {choices}"
    if kind == "too_short" and context.get("actual_length") == 0:
        return "must not be empty"
    return None


def wrong_value(failure: ValidationError, annotation: Any, value: Any) -> tuple[tuple[str | int, ...], str]:
    """(path within the value, `must be at least 0, found -1`) for a value that its field's type refused."""
    errors = failure.errors(include_url=False)
    if isinstance(value, str) and "|cuda" in str(errors[0].get("ctx", {}).get("pattern", "")):
        return (), f'must be auto, cpu, mps, cuda or cuda:N, found "{value}"'
    if len(errors) == 1 or all(isinstance(error["loc"][:1] and error["loc"][0], int) for error in errors):
        text = _simple(errors[0])
        if text is not None:
            place = tuple(part for part in errors[0]["loc"] if isinstance(part, int))
            return place, f"{text}, found {shown(errors[0]['input'])}{_near_choice(errors[0])}"
    return (), f"must be {allowed(annotation)}, found {shown(value)}{_near_choice(errors[0])}"


def _near_choice(error: ErrorDetails) -> str:
    """` (nearest: classes)` where a text is almost one of the choices."""
    if error["type"] != "literal_error" or not isinstance(error["input"], str):
        return ""
    choices = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    match = nearest(error["input"], choices)
    return f" (nearest: {match})" if match else ""


def unknown_key(path: str, section: str, keys: Mapping[str, Any], elsewhere: Iterable[str]) -> str:
    """`task.wyas is not a key of task (nearest: ways)`; `elsewhere` holds the full paths of all keys."""
    name = path.rpartition(".")[2]
    same = [other for other in elsewhere if other.rpartition(".")[2] == name and other != path]
    if same:
        # The sections themselves, not the copies of one that others hold (evaluation.adaptation.steps).
        depth = min(other.count(".") for other in same)
        near = ", ".join(other for other in same if other.count(".") == depth)
        return f"{path} is not a key of {section} (nearest: {near})"
    return f"{path} is not a key of {section}{suggestion(name, keys, 'its keys')}"
