"""Curves made ready to be drawn often: long ones from blocks, and what is the same is told without a look."""

import numpy as np
import pytest

from tui.charts.curve import LONG, Curve, same_series
from tui.charts.decimation import smoothed
from tui.charts.reach import mean_memory
from tui.charts.series import Series


def long_series(count: int = 3 * LONG + 17, spike: int = 54_321) -> Series:
    rng = np.random.default_rng(0)
    x = np.arange(1.0, count + 1)
    y = 2 * np.exp(-x / 30_000) + rng.normal(0, 0.05, count)
    y[spike] = 7.0
    y[spike + 200] = -3.0
    y[:5] = np.nan
    return Series("a", x, y, "#ffffff")


def test_blocks_lose_no_extremum_and_no_point_of_time() -> None:
    series = long_series()
    curve = Curve(series)
    few, block = curve.part((0.0, 1e6), smooth=False), curve.block
    assert len(few.x) < len(series.x) / 3
    assert (np.diff(few.x) >= 0).all() and few.x[0] == 1 and few.x[-1] == series.x[-1]
    for value in (7.0, -3.0):
        assert abs(few.x[np.nanargmax(few.y == value)] - series.x[series.y == value][0]) < block
    # Whatever stretch is looked at, its lowest and highest are there.
    for begin in range(0, len(series.x) - 2048, 2048):
        stretch = series.y[begin : begin + 2048]
        shown = few.y[(few.x > begin - block) & (few.x <= begin + 2048 + block)]
        assert np.nanmin(shown) <= np.nanmin(stretch) and np.nanmax(shown) >= np.nanmax(stretch)


def test_a_narrow_window_shows_every_point() -> None:
    series = long_series()
    part = Curve(series).part((50_000.0, 60_000.0), smooth=False)
    np.testing.assert_array_equal(part.y, series.y)


def test_short_curves_stay_as_they_are() -> None:
    x = np.arange(100.0)
    assert len(Curve(Series("a", x, x, "#fff")).part((0.0, 99.0), smooth=False).y) == 100


def test_a_long_band_reaches_as_far_in_blocks() -> None:
    series = long_series()
    low, high = series.y - 0.5, series.y + 0.25
    band = Series("a", series.x, series.y, "#fff", low=low, high=high)
    few = Curve(band).part((0.0, 1e6), smooth=False)
    assert few.low is not None and few.high is not None and len(few.x) == len(few.low) == len(few.high)
    assert np.nanmin(few.low) == -3.5 and np.nanmax(few.high) == 7.25
    known = np.isfinite(few.y)
    assert (few.low[known] <= few.y[known]).all() and (few.high[known] >= few.y[known]).all()


def test_the_running_mean_over_blocks_is_that_over_points() -> None:
    series = long_series()
    mean = Curve(series).mean
    assert mean is not None
    exact = smoothed(series.y, mean_memory(len(series.y)))
    found = exact[mean.x.astype(int) - 1]
    # Once its memory is full; the first blocks are short of points.
    behind = mean.x > 5000
    np.testing.assert_allclose(mean.y[behind], found[behind], atol=0.01)


@pytest.mark.parametrize("change", ["name", "colour", "value", "longer", "band"])
def test_what_draws_the_same_is_the_same(change: str) -> None:
    x = np.arange(1000.0)
    one = Series("a", x, np.sqrt(x), "#ffffff")
    assert same_series(one, Series("a", x.copy(), np.sqrt(x), "#ffffff"))
    other = {
        "name": Series("b", x, np.sqrt(x), "#ffffff"),
        "colour": Series("a", x, np.sqrt(x), "#fffffe"),
        "value": Series("a", x, np.sqrt(x) + (x == 500), "#ffffff"),
        "longer": Series("a", np.arange(1001.0), np.sqrt(np.arange(1001.0)), "#ffffff"),
        "band": Series("a", x, np.sqrt(x), "#ffffff", low=x, high=x),
    }[change]
    assert not same_series(one, other)


def test_a_long_view_is_known_again_by_where_it_lies() -> None:
    column = np.arange(2.0 * LONG)
    column.flags.writeable = False

    def view(count: int) -> Series:
        return Series("a", column[:count], column[:count], "#ffffff")

    assert same_series(view(2 * LONG), view(2 * LONG))
    assert not same_series(view(2 * LONG), view(2 * LONG - 1))
    assert not same_series(view(2 * LONG), Series("a", column.copy(), column.copy(), "#ffffff"))
