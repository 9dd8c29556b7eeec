"""What a train event says by name: learned inner rates by parameter tensor, movement by layer.

The names are those of whatever model was trained, so they are taken as they come: at most `MOST_NAMES` of
each, of text that can be shown, and what is no such value counts as absent.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

MOST_NAMES = 64
MOST_STEPS = 64
LONGEST_NAME = 100
OUTER = "outer"
"""The one name among an event's rates that is no learned one."""


def is_name(name: Any) -> bool:
    """Whether a key can be the name of a parameter tensor or layer."""
    return type(name) is str and 0 < len(name) <= LONGEST_NAME and name.isprintable()


def rates_in(event: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Learned rates by parameter tensor, a value for each inner step; values may be anything."""
    rates = event.get("rates")
    if type(rates) is not dict or (len(rates) == 1 and OUTER in rates):
        return {}
    found = ((name, each) for name, each in rates.items() if name != OUTER and is_name(name))
    return dict(islice(((name, each) for name, each in found if is_steps(each)), MOST_NAMES))


def moves_in(event: Mapping[str, Any]) -> dict[str, int | float]:
    """How far the inner loop moved each layer, relative to where it began; values may be not finite."""
    moved = event.get("moved")
    if type(moved) is not dict:
        return {}
    found = ((name, each) for name, each in moved.items() if is_name(name))
    return dict(islice(((name, each) for name, each in found if type(each) in (int, float)), MOST_NAMES))


def is_steps(value: Any) -> bool:
    """Whether a value is a list for inner steps."""
    return type(value) is list and 0 < len(value) <= MOST_STEPS
