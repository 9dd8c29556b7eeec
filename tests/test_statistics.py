"""Intervals against arithmetic done by hand, quantiles against the printed table."""

import math

import numpy as np
import pytest

from engine.statistics import (
    bootstrap_t,
    mean_over_episodes,
    mean_over_seeds,
    mean_with_interval,
    paired_difference,
    seed_quantile,
)


def test_interval_over_episodes_is_196_sample_deviations_over_root_n():
    # Deviations from 5 are -3 -1 -1 -1 0 0 2 4: squares sum to 32, 32 / 7 is the sample variance.
    interval = mean_over_episodes([2, 4, 4, 4, 5, 5, 7, 9])
    assert interval.mean == 5
    assert interval.ci95 == pytest.approx(1.96 * math.sqrt(32 / 7) / math.sqrt(8))
    assert interval.over == "episodes"


def test_one_value_has_no_interval():
    assert mean_over_episodes([0.5])[:3] == (0.5, None, "episodes")
    assert mean_over_seeds([0.5])[:3] == (0.5, None, "seeds")


def test_three_seeds_use_student_t():
    # 90, 92, 94: deviation 2, standard error 2/√3, t for two degrees of freedom 4.303.
    interval = mean_over_seeds([90, 92, 94])
    assert interval.mean == 92
    assert interval.ci95 == pytest.approx(4.303 * 2 / math.sqrt(3))
    assert interval.over == "seeds"


@pytest.mark.parametrize("seeds", [*range(2, 14), 20, 31, 60])
def test_quantiles_cover_95_percent_of_student_t(seeds):
    """The density of Student's t, integrated numerically between ± the quantile, holds 95 %."""
    freedom = seeds - 1
    scale = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    quantile, pieces = seed_quantile(seeds), 20_000
    width = quantile / pieces
    heights = (
        scale * (1 + ((i + 0.5) * width) ** 2 / freedom) ** (-(freedom + 1) / 2) for i in range(pieces)
    )
    assert 2 * width * sum(heights) == pytest.approx(0.95, abs=2e-4)


def test_several_seeds_are_reduced_to_their_means_first():
    many = mean_with_interval([[0, 1, 0, 1], [1, 1, 0, 1]])
    assert many == mean_over_seeds([0.5, 0.75])
    assert mean_with_interval([[0, 1, 0, 1]]) == mean_over_episodes([0, 1, 0, 1])


def test_pairing_takes_out_what_episodes_share():
    """Two rows that differ by exactly one point everywhere differ by one point without any uncertainty."""
    hard_and_easy = [10.0, 50.0, 90.0, 30.0]
    difference = paired_difference([[value + 1 for value in hard_and_easy]], [hard_and_easy])
    assert difference.mean == pytest.approx(1)
    assert difference.ci95 == pytest.approx(0, abs=1e-12)
    assert mean_over_episodes(hard_and_easy).ci95 > 30


def test_pairing_is_by_episode_and_within_seeds():
    # Seed 0: differences 1, 3 (mean 2); seed 1: differences 0, 2 (mean 1).
    difference = paired_difference([[2, 5], [3, 3]], [[1, 2], [3, 1]])
    assert difference == mean_over_seeds([2, 1])
    assert paired_difference([[2, 5]], [[1, 2]]) == mean_over_episodes([1, 3])


@pytest.mark.parametrize(("row", "baseline"), [([[1, 2]], [[1, 2, 3]]), ([[1, 2]], [[1, 2], [1, 2]])])
def test_what_is_no_pair_is_refused(row, baseline):
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference(row, baseline)


def test_a_value_that_is_not_finite_is_not_hidden():
    assert math.isnan(mean_over_episodes([1.0, float("nan")]).mean)
    assert mean_over_episodes([1.0, float("inf")]).mean == math.inf


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]]])
def test_no_list_of_numbers_is_refused(values):
    with pytest.raises(ValueError, match="list of at least one"):
        mean_over_episodes(values)


def long_tailed(number: int = 0, episodes: int = 600) -> np.ndarray:
    return np.exp(1.2 * np.random.default_rng(number).normal(size=episodes))


def test_bootstrap_t_is_what_resampling_one_by_one_gives():
    """Against a plain loop with a generator of its own: ends agree within a few percent of the width."""
    values, generator = long_tailed(), np.random.default_rng(7)
    mean, error = values.mean(), values.std(ddof=1) / math.sqrt(600)
    ratios = []
    for _ in range(5000):
        drawn = generator.choice(values, 600)
        ratios.append((drawn.mean() - mean) / (drawn.std(ddof=1) / math.sqrt(600)))
    lowest, highest = np.quantile(ratios, [0.025, 0.975])
    found = bootstrap_t(values)
    assert found.low == pytest.approx(mean - highest * error, abs=0.03 * 2 * found.ci95)
    assert found.high == pytest.approx(mean - lowest * error, abs=0.03 * 2 * found.ci95)
    assert found.mean == pytest.approx(mean) and found.ci95 == pytest.approx((found.high - found.low) / 2)
    # The tail is above: there is more room there than below.
    assert found.high - mean > 1.2 * (mean - found.low)


def test_a_bootstrap_is_the_same_every_time_and_in_every_unit():
    values = long_tailed(1)
    found = bootstrap_t(values)
    assert found == bootstrap_t(values.copy())
    scaled = bootstrap_t(100 * values + 3)
    assert (scaled.low, scaled.high) == pytest.approx((100 * found.low + 3, 100 * found.high + 3))


@pytest.mark.parametrize("values", [[1.0] * 40, [0.1, 0.5] * 10, [0.0] * 599 + [1.0]])
def test_what_resampling_tells_nothing_of_has_the_normal_interval(values):
    assert bootstrap_t(values) == mean_over_episodes(values)


def test_a_bootstrap_of_what_is_not_finite_is_not_finite():
    assert math.isnan(bootstrap_t([*long_tailed(), math.nan]).mean)


def test_ten_seeds_are_resampled_together_with_their_episodes():
    """Trainings of deviation 1, episodes of deviation 20 that all seeds share: 1/10 + 400/600 is the mean's
    variance, of which Student's t over seed means sees the first part alone."""
    generator = np.random.default_rng(3)
    seeds, episodes = 12, 600
    shared = generator.normal(0, 20, episodes)
    values = [shared + generator.normal() + generator.normal(0, 2, episodes) for _ in range(seeds)]
    found = mean_with_interval(values)
    assert (found.over, found.method) == ("seeds", "bootstrap")
    expected = seed_quantile(seeds) * math.sqrt(1 / seeds + 400 / episodes + 4 / (seeds * episodes))
    assert found.ci95 == pytest.approx(expected, rel=0.15)
    assert found == mean_with_interval(values) and mean_with_interval(values[:9]).method == "t"


def test_errors_are_long_tailed_and_accuracies_are_not():
    values = long_tailed(2)
    assert mean_with_interval([values]) == mean_over_episodes(values)
    assert mean_with_interval([values], long_tailed=True) == bootstrap_t(values)
    assert paired_difference([values], [np.zeros(600)]) == bootstrap_t(values)
