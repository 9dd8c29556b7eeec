"""Sine tasks as curves: a preset's family before anything runs, one task's fit while it trains."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tui.charts.series import Series

POINTS = 160
WAVES = 1000
LARGEST = 1e15
CLOUD = "#8a8a8a"
SAMPLES = ("#00afff", "#ffaf00", "#5fd75f")
TRUTH, SUPPORT = "#d0d0d0", "#ffaf00"


def family(section: Mapping[str, Any]) -> list[Series]:
    """Three sampled waves, a thousand as the band that holds nine of ten at each x, and their mean."""
    rng = np.random.default_rng(0)
    low, high = _range(section, "support_x", (-5.0, 5.0))
    x = np.linspace(low, high, POINTS)
    amplitude = rng.uniform(*_range(section, "amplitude", (0.1, 5.0)), (WAVES, 1))
    phase = rng.uniform(*_range(section, "phase", (0.0, np.pi)), (WAVES, 1))
    frequency = rng.uniform(*_range(section, "frequency", (1.0, 1.0)), (WAVES, 1))
    sign = 1.0 if section.get("shift") == "plus" else -1.0
    waves = amplitude * np.sin(frequency * x + sign * phase)
    bottom, top = np.quantile(waves, (0.05, 0.95), axis=0)
    curves = [
        Series("mean of 1,000 tasks, 5–95 %", x, waves.mean(axis=0), CLOUD, "┄", True, bottom, top),
    ]
    curves += [
        Series(f"task {number}", x, waves[number - 1], colour)
        for number, colour in enumerate(SAMPLES, start=1)
    ]
    return curves


def _range(section: Mapping[str, Any], key: str, default: tuple[float, float]) -> tuple[float, float]:
    value = section.get(key)
    return (float(value[0]), float(value[1])) if isinstance(value, list | tuple) else default


def fit_curves(fit: Mapping[str, Any], colour: str, shape: str) -> list[Series]:
    """One validation task: its true curve, the prediction before and after adaptation, the support points.

    `fit` has x [n], truth [n], support_x [s], support_y [s], steps [m], predictions [m][n]; what does not fit
    together gives no curves.
    """
    try:
        x, truth = _numbers(fit["x"]), _numbers(fit["truth"])
        support_x, support_y = _numbers(fit["support_x"]), _numbers(fit["support_y"])
        steps, predictions = list(fit["steps"]), [_numbers(values) for values in fit["predictions"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        return []
    if not all(type(step) is int and 0 <= step < LARGEST for step in steps):
        return []
    whole = [truth, *predictions]
    if any(values.shape != x.shape for values in whole) or support_x.shape != support_y.shape:
        return []
    if len(steps) != len(predictions):
        return []
    order, across = np.argsort(x), np.argsort(support_x)
    curves = [Series("true", x[order], truth[order], TRUTH, dashed=True)]
    if predictions:
        last = predictions[-1][order]
        name = f"after {steps[-1]}" if len(steps) > 1 else "predicted"
        if len(predictions) > 1:
            curves.append(Series("before", x[order], predictions[0][order], CLOUD))
        curves.append(Series(name, x[order], last, colour, shape))
    curves.append(
        Series("support", support_x[across], support_y[across], SUPPORT, "•", kind="points"),
    )
    return curves


def _numbers(values: Any) -> np.ndarray:
    """A row of numbers, NaN for those that no chart can reach. Raises ValueError for anything else."""
    found = np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)
    if found.ndim != 1:
        raise ValueError("no row of numbers")
    found[np.abs(found) > LARGEST] = np.nan
    return found
