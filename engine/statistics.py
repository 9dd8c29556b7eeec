"""Means, 95 % intervals and paired differences, over test episodes and over training seeds.

With one training seed an interval is over episodes (the spread of tasks, one trained model). With several it
is over the seeds' means (the spread of trainings), because episodes are the same for every seed and so say
nothing about another training: Student's t under ten seeds, from ten on a bootstrap over seeds and episodes.

Over episodes there are two intervals. The normal one, mean ± 1.96 · sd / √episodes, is the literature's, and
covers accuracies well. Squared errors have a long tail, where it misses on one side: they and all paired
differences get the bootstrap-t interval (Efron & Tibshirani 1993, chapter 12), which is not symmetric.
Its draws are seeded: the same values have the same interval.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, erfc, sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

NORMAL_QUANTILE = 1.96
# Student's t, two-sided 95 %, for 1, 2, ... 8 degrees of freedom: two to nine seeds.
T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306)
DRAWS = 1999
"""Bootstrap draws: with 1,999 the 2.5 % points are the 50th from either end."""
FEWEST_RESAMPLED = 30
"""Episodes below which resamples without a spread of their own are too frequent: the normal interval then."""
MANY_SEEDS = 10
"""From here on seeds are resampled; with fewer a bootstrap over them is too narrow."""

Over = Literal["episodes", "seeds"]
Method = Literal["normal", "bootstrap-t", "t", "bootstrap"]
Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean with its 95 % interval; None where a single value has no spread.

    `ci95` is half the interval's width; `low` and `high` are its ends where these are not mean ± ci95.
    """

    mean: float
    ci95: float | None
    over: Over
    low: float | None = None
    high: float | None = None
    method: Method = "normal"


def mean_over_episodes(values: ArrayLike) -> Interval:
    """Mean of values [episodes] and 1.96 · sd / √episodes (sample deviation), as Finn 2017 has it."""
    array = _vector(values)
    return Interval(float(array.mean()), _half_width(array, NORMAL_QUANTILE), "episodes")


def mean_over_seeds(seed_means: ArrayLike) -> Interval:
    """Mean of values [seeds] and its 95 % interval by Student's t."""
    array = _vector(seed_means)
    return Interval(float(array.mean()), _half_width(array, seed_quantile(array.size)), "seeds", method="t")


def mean_with_interval(values_by_seed: Sequence[ArrayLike], long_tailed: bool = False) -> Interval:
    """Mean over [seeds][episodes]; the interval is over episodes for one seed, over seeds for several.

    `long_tailed` values, as squared errors are, get the bootstrap-t interval over episodes.
    """
    if len(values_by_seed) == 1:
        [values] = values_by_seed
        return bootstrap_t(values) if long_tailed else mean_over_episodes(values)
    arrays = [_vector(values) for values in values_by_seed]
    if len(arrays) >= MANY_SEEDS and len({array.size for array in arrays}) == 1:
        return _over_seeds_and_episodes(np.stack(arrays))
    return mean_over_seeds([float(array.mean()) for array in arrays])


def paired_difference(row_by_seed: Sequence[ArrayLike], baseline_by_seed: Sequence[ArrayLike]) -> Interval:
    """Row minus baseline, paired by episode within each seed: [seeds][episodes] each.

    Raises ValueError when the two were not tested on equally many episodes or seeds: these are no pairs.
    """
    return mean_with_interval(differences(row_by_seed, baseline_by_seed), long_tailed=True)


def differences(row_by_seed: Sequence[ArrayLike], baseline_by_seed: Sequence[ArrayLike]) -> list[Floats]:
    """Row minus baseline, episode by episode: [seeds][episodes]. Raises ValueError for what is no pair."""
    if len(row_by_seed) != len(baseline_by_seed):
        raise ValueError(f"{len(row_by_seed)} and {len(baseline_by_seed)} seeds cannot be paired")
    found = []
    for row, baseline in zip(row_by_seed, baseline_by_seed, strict=True):
        one, other = np.asarray(row, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
        if one.shape != other.shape:
            raise ValueError(f"{one.size} and {other.size} episodes cannot be paired")
        found.append(one - other)
    return found


def bootstrap_t(values: ArrayLike) -> Interval:
    """Mean of values [episodes] with its bootstrap-t interval; the normal one for fewer than 30 episodes."""
    array = _vector(values)
    normal = mean_over_episodes(array)
    if array.size < FEWEST_RESAMPLED or not np.isfinite(array).all() or not normal.ci95:
        return normal
    size, centred = array.size, array - array.mean()
    shifts, squares = _resampled(np.stack([centred, centred**2], 1)).T
    spreads = np.sqrt(np.maximum(squares - shifts**2, 0) / (size - 1))
    # A resample of equal values has no spread, up to rounding, and tells nothing.
    told = spreads > 1e-7 * normal.ci95
    if told.mean() < 0.95:
        return normal
    ratios = np.sort(shifts[told] / spreads[told])
    error = array.std(ddof=1) / sqrt(size)
    low, high = (normal.mean - error * ratios[at] for at in (_place(0.975, ratios), _place(0.025, ratios)))
    return _with_ends(normal.mean, low, high, "episodes", "bootstrap-t")


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


def _over_seeds_and_episodes(values: Floats) -> Interval:
    """The mean of values [seeds, episodes], both resampled: all seeds share the episodes that are drawn.

    Percentiles further out than 2.5 % make up for few seeds (the expanded percentile interval, Hesterberg
    2015, What Teachers Should Know About the Bootstrap).
    """
    mean, seeds = float(values.mean()), len(values)
    if not np.isfinite(values).all():
        return mean_over_seeds(values.mean(1))
    by_seed = _resampled(values.T - mean)
    means = np.sort((by_seed * _counts(seeds, 1)).sum(1) / seeds)
    tail = 0.5 * erfc(sqrt(seeds / (seeds - 1)) * seed_quantile(seeds) / sqrt(2))
    low, high = (mean + means[_place(share, means)] for share in (tail, 1 - tail))
    return _with_ends(mean, low, high, "seeds", "bootstrap")


def _resampled(values: Floats) -> Floats:
    """Means of DRAWS resamples of the rows of values [n, columns]: [DRAWS, columns]."""
    size = len(values)
    counts, block = _counts(size), max(1, 2**20 // size)
    parts = [counts[at : at + block].astype(np.float64) @ values for at in range(0, DRAWS, block)]
    return np.concatenate(parts) / size


@lru_cache(maxsize=8)
def _counts(size: int, stream: int = 0) -> NDArray[np.uint8]:
    """How often each of `size` things is drawn in each of DRAWS resamples, [DRAWS, size].

    From the generator's raw bits, whose order numpy keeps from version to version.
    """
    bits = np.random.PCG64([size, stream])
    counts = np.empty((DRAWS, size), np.uint8)
    for draw in range(DRAWS):
        drawn = np.asarray(bits.random_raw(size)) % np.uint64(size)
        counts[draw] = np.bincount(drawn.astype(np.int64), minlength=size)
    return counts


def _place(share: float, ordered: Floats) -> int:
    """Where that quantile lies among sorted values: the (n + 1) · share-th of them."""
    return min(len(ordered) - 1, max(0, ceil((len(ordered) + 1) * share - 1e-9) - 1))


def _with_ends(mean: float, low: float, high: float, over: Over, method: Method) -> Interval:
    # Ten digits: sums over thousands of draws may differ in the last ones from one processor to another.
    low, high = float(f"{low:.9e}"), float(f"{high:.9e}")
    return Interval(mean, float(f"{(high - low) / 2:.9e}"), over, low, high, method)


def _half_width(array: Floats, quantile: float) -> float | None:
    if array.size < 2:
        return None
    with np.errstate(invalid="ignore"):
        return float(quantile * array.std(ddof=1) / sqrt(array.size))


def _vector(values: ArrayLike) -> Floats:
    """The values as float64 [n]; where one is not finite the mean is not finite either, never hidden."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"expected a list of at least one number, got shape {array.shape}")
    return array
