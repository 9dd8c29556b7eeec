"""What would settle a difference that its interval leaves open: more test episodes or more training seeds."""

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.statistics import seed_quantile

MOST_EPISODES = 1_000_000
MOST_SEEDS = 1_000

Floats = NDArray[np.float64]


def episodes_needed(difference: Mapping[str, Any], episodes: int) -> int | None:
    """Episodes at which this mean difference would leave its 95 % interval, were mean and spread the same.

    n · (half-width / |mean|)², the half-width being that of n episodes; None where no number would.
    """
    mean, half_width = difference["mean"], difference["ci95"]
    if not mean or half_width is None or difference["over"] != "episodes":
        return None
    needed = episodes * (half_width / abs(mean)) ** 2
    return ceil(needed) if needed < MOST_EPISODES else None


def seeds_needed(difference: Mapping[str, Any], seeds: int) -> int | None:
    """Training seeds at which this mean difference would leave its 95 % interval (Student's t below ten)."""
    mean, half_width = difference["mean"], difference["ci95"]
    if not mean or half_width is None or difference["over"] != "seeds" or seeds < 2:
        return None
    deviation = half_width * sqrt(seeds) / seed_quantile(seeds)
    counts = range(seeds, MOST_SEEDS)
    return next((n for n in counts if seed_quantile(n) * deviation / sqrt(n) < abs(mean)), None)


def to_settle(difference: Mapping[str, Any], paired: Sequence[Floats]) -> dict[str, Any]:
    """What is worth adding where a difference is undecided: `worth_adding` "episodes" or "seeds", and about
    how many `episodes` or `seeds` in all would settle it (None: no number would, or none is known).

    `paired` are the differences [seeds][episodes] that `difference` is the mean of.

    Over several seeds the spread of their means is of two parts: trainings differ (σ²), and each is tested on
    n episodes only (τ²/n, τ² what is left of a difference once its seed's and its episode's means are taken
    off). More episodes lessen the second alone; they are worth adding where it is the larger one.
    """
    seeds, episodes = len(paired), min(values.size for values in paired)
    if seeds == 1:
        needed = episodes_needed(difference, episodes)
        return {"worth_adding": "episodes", "episodes": needed, "seeds": None}
    found: dict[str, Any] = {"worth_adding": "seeds", "episodes": None}
    found["seeds"] = seeds_needed(difference, seeds)
    if any(values.size != episodes for values in paired) or episodes < 2:
        return found
    of_means, of_episodes = _spreads(np.stack(paired))
    if of_episodes / episodes > of_means / 2:
        found["worth_adding"] = "episodes"
        found["episodes"] = _episodes_for(difference["mean"], seeds, episodes, of_means, of_episodes)
    return found


def _spreads(values: Floats) -> tuple[float, float]:
    """Of differences [seeds, episodes]: the variance of the seeds' means, and τ², that of what is left once
    seeds' and episodes' means are taken off."""
    seeds, episodes = values.shape
    left = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    return float(values.mean(1).var(ddof=1)), float((left**2).sum() / ((seeds - 1) * (episodes - 1)))


def _episodes_for(mean: float, seeds: int, episodes: int, of_means: float, of_episodes: float) -> int | None:
    """Episodes at which the interval over this many seeds would leave out zero; None where none would."""
    trainings = max(0.0, of_means - of_episodes / episodes)
    room = seeds * (mean / seed_quantile(seeds)) ** 2 - trainings
    if room <= 0 or of_episodes / room >= MOST_EPISODES:
        return None
    return max(episodes + 1, ceil(of_episodes / room))


def rounded(number: int) -> int:
    """Two significant digits, rounded up: 2,861 becomes 2,900."""
    size: int = 10 ** max(0, len(str(number)) - 2)
    return -(-number // size) * size
