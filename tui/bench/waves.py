"""Sine tasks as curves: a preset's family before anything runs, one task's fit while it trains."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tui.charts.series import Series
from tui.wave_family import family_mean, range_of, sign_of, wave_ranges

POINTS = 160
WAVES = 1000
LARGEST = 1e15
CLOUD = "#8a8a8a"
SAMPLES = ("#00afff", "#ffaf00", "#5fd75f")
TRUTH, SUPPORT = "#d0d0d0", "#ffaf00"


def family(section: Mapping[str, Any]) -> list[Series]:
    """Three sampled waves, a thousand as the band that holds nine of ten at each x, and the family's mean."""
    rng = np.random.default_rng(0)
    x = np.linspace(*range_of(section, "support_x", (-5.0, 5.0)), POINTS)
    amplitude, phase, frequency = (rng.uniform(*each, (WAVES, 1)) for each in wave_ranges(section))
    waves = amplitude * np.sin(frequency * x + sign_of(section) * phase)
    bottom, top = np.quantile(waves, (0.05, 0.95), axis=0)
    curves = [
        Series("family's mean, 5–95 %", x, family_mean(section, x), CLOUD, "┄", True, bottom, top),
    ]
    curves += [
        Series(f"task {number}", x, waves[number - 1], colour)
        for number, colour in enumerate(SAMPLES, start=1)
    ]
    return curves


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
