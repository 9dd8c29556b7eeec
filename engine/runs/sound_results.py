"""Evaluations made safe for arithmetic and text, whatever their files hold."""

from collections.abc import Mapping
from itertools import pairwise
from math import isfinite
from typing import Any

LARGEST = 1e12
CHOICES: Mapping[str, type | tuple[type, ...]] = {
    "learning_rate": (int, float),
    "head": str,
    "parameters": str,
    "steps": int,
    "tried": int,
    "episodes": int,
}
PLAIN = (str, int, float, bool, type(None))


def sound(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """The evaluation with steps rising, values that are numbers or null `[episodes][steps]`, and plain facts.

    None where no table can be made of it: no episodes, or steps and values of other kinds.
    """
    steps, values = result["steps"], result["values"]
    counts = all(type(step) is int and step >= 0 for step in steps)
    if not values or not counts or any(a >= b for a, b in pairwise(steps)):
        return None
    return {
        **result,
        "values": [[_value(value) for value in episode] for episode in values],
        "protocol": {
            key: value
            for key, value in result["protocol"].items()
            # Tables write these two themselves, for a training that its time limit ended.
            if isinstance(value, PLAIN) and key not in ("iterations_done", "time_limit")
        },
        "split": result["split"] if isinstance(result.get("split"), str) else "",
        "chosen": _choice(result.get("chosen")),
        "train_seconds": number(result.get("train_seconds")),
        "train_iterations": whole if type(whole := result.get("train_iterations")) is int else None,
    }


def number(value: Any) -> float | None:
    """The value as a number that can be counted with; None where it is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < LARGEST:
        return None
    return float(value)


def _value(value: Any) -> float | None:
    """One episode's value; what a float cannot hold counts as not finite."""
    if value is None or abs(value) > 1e300 or not isfinite(value):
        return None
    return float(value)


def _choice(choice: Any) -> dict[str, Any] | None:
    if not isinstance(choice, dict):
        return None
    return {key: choice[key] for key, kind in CHOICES.items() if isinstance(choice.get(key), kind)} or None
