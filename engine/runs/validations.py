"""A run's validations by seconds of training, which the checkpoint that follows each tells."""

from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Any

from engine.runs.events import LONGEST_LINE
from engine.runs.files import from_json, open_regular
from engine.runs.sound_results import number
from engine.runs.store import Run

KINDS = (b'"validation"', b'"checkpoint"')


@dataclass(frozen=True)
class Validation:
    """One validation: iterations done, seconds of training until then, the metric after adaptation.

    `value` and its half-width `ci95` are as events have them: accuracy is a fraction; what was not finite is
    NaN, and an unknown half-width None.
    """

    step: int
    seconds: float
    value: float
    ci95: float | None


def read_validations(run: Run) -> tuple[Validation, ...]:
    """The run's validations whose seconds its checkpoints tell, by rising iteration; none without a file.

    Of the same iteration the event of the highest `seq` counts, as after a resume.
    """
    latest: dict[tuple[str, int], dict[str, Any]] = {}
    for event in _events(run.events_path):
        key = (event["kind"], event["step"])
        if key not in latest or latest[key]["seq"] <= event["seq"]:
            latest[key] = event
    found = []
    for kind, step in sorted(latest):
        value = _last(latest[kind, step].get("metric"))
        seconds = number(latest.get(("checkpoint", step), {}).get("seconds"))
        if kind == "validation" and value is not None and seconds is not None:
            width = _last(latest[kind, step].get("ci95"))
            known = width if width is not None and isfinite(width) else None
            found.append(Validation(step, seconds, value, known))
    return tuple(found)


def _events(path: Path) -> list[dict[str, Any]]:
    """The validation and checkpoint events with a step; other lines, nearly all, are not parsed."""
    found: list[dict[str, Any]] = []
    try:
        with open_regular(path) as file:
            while line := file.readline(LONGEST_LINE):
                if any(kind in line for kind in KINDS) and line.endswith(b"\n"):
                    found += _event(line)
    except OSError:
        pass  # A run without events has no validations.
    return found


def _event(line: bytes) -> list[dict[str, Any]]:
    try:
        event = from_json(line)
    except ValueError:
        return []
    wanted = isinstance(event, dict) and event.get("kind") in ("validation", "checkpoint")
    return [event] if wanted and type(event.get("step")) is type(event.get("seq")) is int else []


def _last(values: Any) -> float | None:
    """The value after the last inner step: NaN where it was not finite, None where none is told."""
    if not isinstance(values, list) or not values:
        return None
    found = number(values[-1])
    return nan if found is None else found
