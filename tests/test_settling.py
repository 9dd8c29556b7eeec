"""What would settle an undecided difference: against simulations whose spreads are known, and in words."""

import numpy as np
import pytest
from test_reports import made, result, row

from engine.runs.settling import to_settle
from engine.statistics import mean_over_episodes, mean_over_seeds, seed_quantile
from tui import tables
from tui.numbers import interval
from tui.undecided import cannot_tell


def difference_of(paired):
    found = mean_over_episodes(paired[0]) if len(paired) == 1 else mean_over_seeds([v.mean() for v in paired])
    return {**found._asdict(), "episodes": paired[0].size, "seeds": len(paired)}


def simulated(mean, of_trainings, of_episodes, seeds=5, episodes=600, number=0):
    """Differences [seeds][episodes] with exactly these spreads: of trainings, and of what is left."""
    generator = np.random.default_rng(number)
    left = generator.normal(size=(seeds, episodes))
    left -= left.mean(0)
    left -= left.mean(1, keepdims=True)
    left *= of_episodes / np.sqrt((left**2).sum() / ((seeds - 1) * (episodes - 1)))
    means = generator.normal(size=seeds)
    means = (means - means.mean()) / means.std(ddof=1) * np.sqrt(of_trainings**2 + of_episodes**2 / episodes)
    return [mean + shift + rest for shift, rest in zip(means, left, strict=True)]


def test_one_seed_wants_episodes():
    """Deviation 8, mean 0.3 over 600: 1.96 · 8 / √n is 0.3 at n = 2,732."""
    values = np.random.default_rng(0).normal(size=600)
    values = 0.3 + 8 * (values - values.mean()) / values.std(ddof=1)
    wanted = to_settle(difference_of([values]), [values])
    assert wanted["worth_adding"] == "episodes" and wanted["seeds"] is None
    assert wanted["episodes"] == pytest.approx((1.96 * 8 / 0.3) ** 2, abs=2)
    said = cannot_tell({**difference_of([values]), "to_settle": wanted})
    assert said == "600 episodes cannot tell these apart; about 2,800 would"


def test_trainings_that_differ_want_seeds():
    paired = simulated(mean=0.5, of_trainings=1.0, of_episodes=2.0)
    wanted = to_settle(difference_of(paired), paired)
    assert wanted["worth_adding"] == "seeds" and wanted["episodes"] is None
    deviation = np.std([each.mean() for each in paired], ddof=1)
    fewest = next(n for n in range(2, 99) if seed_quantile(n) * deviation / np.sqrt(n) < 0.5)
    assert wanted["seeds"] == fewest > 5
    said = cannot_tell({**difference_of(paired), "to_settle": wanted})
    assert said == (
        f"5 seeds cannot tell these apart; about {fewest} would; seeds, not episodes, are worth adding"
    )


def test_alike_trainings_on_few_episodes_want_episodes():
    """The promised number of episodes is where Student's t over five seeds reaches the mean."""
    paired = simulated(mean=0.4, of_trainings=0.1, of_episodes=10.0)
    wanted = to_settle(difference_of(paired), paired)
    assert wanted["worth_adding"] == "episodes"
    number = wanted["episodes"]
    half_width = seed_quantile(5) * np.sqrt((0.1**2 + 10.0**2 / number) / 5)
    assert number > 600 and half_width == pytest.approx(0.4, rel=0.01)
    said = cannot_tell({**difference_of(paired), "to_settle": wanted})
    assert said.startswith("5 seeds of 600 episodes cannot tell these apart; about ")


def test_where_trainings_alone_are_too_unlike_no_number_of_episodes_is_promised():
    paired = simulated(mean=0.01, of_trainings=0.3, of_episodes=10.0)
    wanted = to_settle(difference_of(paired), paired)
    assert wanted["worth_adding"] == "episodes" and wanted["episodes"] is None
    said = cannot_tell({**difference_of(paired), "to_settle": wanted})
    assert said.endswith("more episodes are worth adding")


def rows_of(mean, spread, episodes=60):
    generator = np.random.default_rng(5)
    values = generator.normal(0.7, 0.05, episodes)
    other = values + mean + spread * (noise := generator.normal(size=episodes)) - spread * noise.mean()
    mine, theirs = (result([[0.2, value] for value in each]) for each in (other, values))
    return [row("maml", mine), row("pretrain", theirs)]


def test_tables_say_what_would_decide():
    table = made(rows_of(0.001, 0.05))
    maml = table["rows"][0]
    assert maml["vs_baseline"]["episodes"] == 60 and maml["vs_baseline"]["seeds"] == 1
    assert maml["vs_baseline"]["to_settle"]["episodes"] > 60
    for text in (tables.text(table, 100), tables.markdown(table)):
        assert "60 episodes cannot tell these apart; about" in " ".join(text.split())
    decided = made(rows_of(0.1, 0.05))
    assert "to_settle" not in decided["rows"][0]["vs_baseline"]
    assert "cannot tell" not in tables.text(decided, 100)


def test_every_interval_says_what_it_is_over():
    maml = result([[0.2, 0.9], [0.4, 1.0], [0.3, 0.8]])
    mixed = made([row("maml", maml, maml), row("pretrain", maml)])
    text = " ".join(tables.text(mixed, 200).split())
    assert "one seed: its interval is over test episodes" in text
    assert "one seed in common: the difference's interval is over test episodes" in text
    assert "± 95 % interval over training seeds, of one seed over test episodes (Student's t)" in text
    errors = [[4.0, v] for v in np.random.default_rng(0).exponential(size=40)]
    error = made([row("maml", result(errors, metric="mse"))], baseline=None, metric="mse")
    assert "± 95 % interval over test episodes (bootstrap-t)" in " ".join(tables.text(error, 200).split())
    after = error["rows"][0]["after"]
    assert after["low"] < after["mean"] < after["high"] and after["over"] == "episodes"


def test_an_interval_of_uneven_sides_shows_its_ends():
    even = {"mean": 0.629, "ci95": 0.1, "low": 0.53, "high": 0.73}
    assert interval(even, "mse") == "0.629 ± 0.100"
    uneven = {"mean": 0.629, "ci95": 0.144, "low": 0.511, "high": 0.799}
    assert interval(uneven, "mse") == "0.629 [0.511, 0.799]"
    lower = {"mean": -0.477, "ci95": 0.136, "low": -0.637, "high": -0.365}
    assert interval(lower, "mse", signed=True) == "-0.477 [-0.637, -0.365]"
    for nothing in (-0.0004, 0.0004):
        assert interval({"mean": nothing, "ci95": 0.0003}, "accuracy", signed=True) == "0.0 ± 0.0"
