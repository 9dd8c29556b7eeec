"""A spec for people: without what nothing reads, and without empty defaults."""

from collections.abc import Mapping
from typing import Any

from engine.errors import RequestError
from engine.presets import Spec, spec_from_dict, spec_to_dict
from engine.presets.readers import needs


def told(spec: Spec) -> tuple[dict[str, Any], int]:
    """The keys that have an effect, nested as files have them; and how many are left out."""
    return _told(spec_to_dict(spec), spec, "")


def told_content(content: Mapping[str, Any], name: str) -> tuple[dict[str, Any], int] | None:
    """The same of a spec as its file has it; None where it is none that can be read."""
    try:
        return told(spec_from_dict(content, name))
    except RequestError:
        return None


def _told(content: Mapping[str, Any], spec: Spec, path: str) -> tuple[dict[str, Any], int]:
    kept: dict[str, Any] = {}
    number = 0
    for key, value in content.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and value:
            inner, fewer = _told(value, spec, here)
            number += fewer
            kept |= {key: inner} if inner else {}
        elif value is None or (path and needs(here, spec)):
            number += 1
        else:
            kept[key] = value
    return kept, number
