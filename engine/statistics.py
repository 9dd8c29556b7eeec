"""Means, 95 % intervals and paired differences, over test episodes and over training seeds.

An interval is a half-width. With one training seed it is over episodes (the spread of tasks, one trained
model); with several it is over the seeds' means (the spread of trainings), because episodes are the same for
every seed and so say nothing about another training.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

NORMAL_QUANTILE = 1.96
# Student's t, two-sided 95 %, for 1, 2, ... 8 degrees of freedom: two to nine seeds.
T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306)

Over = Literal["episodes", "seeds"]


class Interval(NamedTuple):
    """A mean with the half-width of its 95 % interval; None where a single value has no spread."""

    mean: float
    ci95: float | None
    over: Over


def mean_over_episodes(values: ArrayLike) -> Interval:
    """Mean of values [episodes] and 1.96 · sd / √episodes (sample deviation), as Finn 2017 has it."""
    array = _vector(values)
    return Interval(float(array.mean()), _half_width(array, NORMAL_QUANTILE), "episodes")


def mean_over_seeds(seed_means: ArrayLike) -> Interval:
    """Mean of values [seeds] and its 95 % interval by Student's t."""
    array = _vector(seed_means)
    return Interval(float(array.mean()), _half_width(array, seed_quantile(array.size)), "seeds")


def mean_with_interval(values_by_seed: Sequence[ArrayLike]) -> Interval:
    """Mean over [seeds][episodes]; the interval is over episodes for one seed, over seeds for several."""
    if len(values_by_seed) == 1:
        return mean_over_episodes(values_by_seed[0])
    return mean_over_seeds(
        [float(np.mean(np.asarray(values, dtype=np.float64))) for values in values_by_seed]
    )


def paired_difference(row_by_seed: Sequence[ArrayLike], baseline_by_seed: Sequence[ArrayLike]) -> Interval:
    """Row minus baseline, paired by episode within each seed: [seeds][episodes] each.

    Raises ValueError when the two were not tested on equally many episodes or seeds: these are no pairs.
    """
    if len(row_by_seed) != len(baseline_by_seed):
        raise ValueError(f"{len(row_by_seed)} and {len(baseline_by_seed)} seeds cannot be paired")
    differences = []
    for row, baseline in zip(row_by_seed, baseline_by_seed, strict=True):
        one, other = np.asarray(row, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
        if one.shape != other.shape:
            raise ValueError(f"{one.size} and {other.size} episodes cannot be paired")
        differences.append(one - other)
    return mean_with_interval(differences)


def seed_quantile(seeds: int) -> float:
    """The two-sided 95 % quantile for the mean of that many seeds (two or more)."""
    if 2 <= seeds < 10:
        return T_QUANTILES[seeds - 2]
    # The expansion of t in 1/ν (Abramowitz & Stegun 26.7.5, three terms).
    z, freedom = 1.959964, max(seeds - 1, 1)
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    return z + first + second + third


def _half_width(array: np.ndarray, quantile: float) -> float | None:
    if array.size < 2:
        return None
    with np.errstate(invalid="ignore"):
        return float(quantile * array.std(ddof=1) / sqrt(array.size))


def _vector(values: ArrayLike) -> np.ndarray:
    """The values as float64 [n]; where one is not finite the mean is not finite either, never hidden."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"expected a list of at least one number, got shape {array.shape}")
    return array
