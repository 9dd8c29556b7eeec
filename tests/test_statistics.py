"""Intervals against arithmetic done by hand, quantiles against the printed table."""

import math

import pytest

from engine.statistics import (
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
    assert mean_over_episodes([0.5]) == (0.5, None, "episodes")
    assert mean_over_seeds([0.5]) == (0.5, None, "seeds")


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
