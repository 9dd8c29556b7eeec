"""The mean function of a family of waves, in closed form: what a model learns that cannot tell them apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
DEFAULTS = {"amplitude": (0.1, 5.0), "phase": (0.0, np.pi), "frequency": (1.0, 1.0)}


def wave_ranges(section: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """(lowest, highest) amplitude, phase and frequency of a task's section; a missing one is Finn's."""
    return tuple(range_of(section, key, default) for key, default in DEFAULTS.items())


def range_of(section: Mapping[str, Any], key: str, default: tuple[float, float]) -> tuple[float, float]:
    """(lowest, highest) that the section has under that key."""
    value = section.get(key)
    return (float(value[0]), float(value[1])) if isinstance(value, list | tuple) else default


def sign_of(section: Mapping[str, Any]) -> float:
    """The phase's sign in sin(frequency · x ± phase)."""
    return 1.0 if section.get("shift") == "plus" else -1.0


def family_mean(section: Mapping[str, Any], x: Numbers) -> Numbers:
    """E[amplitude · sin(frequency · x ± phase)] at `x [n]`, each parameter uniform in its range.

    The mean of exp(iθu) over u in [low, high] is exp(iθ · middle) · sin(θw)/(θw), w half the range's width.
    """
    amplitude, phase, frequency = wave_ranges(section)
    damped = _sinc(_half(phase)) * _sinc(_half(frequency) * x)
    return _middle(amplitude) * damped * np.sin(_middle(frequency) * x + sign_of(section) * _middle(phase))


def _middle(of: tuple[float, float]) -> float:
    return (of[0] + of[1]) / 2


def _half(of: tuple[float, float]) -> float:
    return (of[1] - of[0]) / 2


def _sinc(angle: Any) -> Any:
    return np.sinc(np.asarray(angle) / np.pi)
