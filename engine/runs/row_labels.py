"""Labels that tell a table's rows apart: the algorithm, and in what several trainings of it differ."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.presets import Spec

RowKey = tuple[str, str, str]
"""Algorithm, training key, task trained on."""
LABEL_SETTINGS = 2
"""How many differing settings a row's label names."""


def labelled(
    rows: Mapping[RowKey, "Spec | None"],
) -> tuple[dict[RowKey, str], dict[RowKey, dict[str, Any]]]:
    """A unique label for each row, and the settings in which rows of one algorithm differ.

    `rows` are their specs, None where one cannot be read.
    """
    settings: dict[RowKey, dict[str, Any]] = {}
    for key in rows:
        alike = [other for other in rows if (other[0], other[2]) == (key[0], key[2])]
        settings[key] = _differing(key, alike, rows) if len(alike) > 1 else {}
    words = _words({path for differing in settings.values() for path in differing})
    labels: dict[RowKey, str] = {}
    task_names = {key[2] for key in rows}
    for key in rows:
        # What is not set has no words: the rows that it differs from say what they set.
        named = [f"{words[path]} {value}" for path, value in settings[key].items() if value is not None]
        trained_on = [f"trained on {key[2]}"] if len(task_names) > 1 else []
        label = ", ".join([key[0], *trained_on, *named[:LABEL_SETTINGS]])
        number, taken = 1, set(labels.values())
        while (unique := label if number == 1 else f"{label} ({number})") in taken:
            number += 1
        labels[key] = unique
    return labels, settings


def _words(paths: Collection[str]) -> dict[str, str]:
    """As much of each path's end as no other path here ends with: `outer learning rate` beside
    `adaptation learning rate`, `learning rate` where it is the only one."""
    shared = Counter(end for path in paths for end in _ends(path))
    ends = {path: next((end for end in _ends(path) if shared[end] == 1), path) for path in paths}
    return {path: re.sub("[._]", " ", end) for path, end in ends.items()}


def _ends(path: str) -> list[str]:
    """`learning_rate`, `outer.learning_rate`."""
    parts = path.split(".")
    return [".".join(parts[first:]) for first in reversed(range(len(parts)))]


def _differing(key: RowKey, alike: Sequence[RowKey], rows: Mapping[RowKey, "Spec | None"]) -> dict[str, Any]:
    """The row's values at the paths where rows of its algorithm do not agree."""
    flat = {other: _settings(rows[other]) for other in alike}
    return {
        path: value
        for path, value in flat[key].items()
        if any(other.get(path) != value for other in flat.values() if other)
    }


def _settings(spec: "Spec | None") -> dict[str, Any]:
    """What a training reads, by dotted path; empty without a spec."""
    if spec is None:
        return {}
    from engine.presets import spec_to_dict

    flat: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [
        (name, section)
        for name, section in spec_to_dict(spec).items()
        if name in ("task", "model", "adaptation", "outer", "training")
    ]
    while waiting:
        path, value = waiting.pop(0)
        if isinstance(value, Mapping):
            waiting += [(f"{path}.{name}", inner) for name, inner in value.items()]
        else:
            flat[path] = value
    return flat
