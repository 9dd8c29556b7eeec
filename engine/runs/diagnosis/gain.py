"""Judging what adaptation gains: against guessing, against no step, and with more steps in testing."""

from collections.abc import Iterator
from math import hypot
from typing import Any

import numpy as np

from engine.runs.diagnosis.facts import FEWEST, Facts
from engine.runs.diagnosis.finding import Finding, counted, iteration
from engine.runs.reports import episodes_at
from engine.statistics import mean_over_episodes, paired_difference

SPOILT = 0.1
"""Of the metric before: a mean that adaptation makes so much worse, and yet within its interval, is spoilt by
a few tasks on which the inner loop diverges."""
VALIDATED = "on validation"
FITS = 0.1
"""Of the support loss: steps that lower it by more do learn their examples."""


def adapts(facts: Facts) -> bool:
    """Whether training takes inner steps that are meant to gain something.

    Joint training has none, an oracle is told beforehand what adaptation would find.
    """
    spec = facts.spec
    return (
        spec is not None
        and spec.outer.rule in ("meta-gradient", "interpolate")
        and spec.adaptation.rule == "gradient"
        and spec.adaptation.steps > 0
        and not getattr(spec.task, "oracle", False)
    )


def at_chance(facts: Facts) -> float | None:
    """The accuracy of guessing, as a fraction, where the newest validation is no better; else None."""
    steps, values, widths = facts.validations
    ways = getattr(facts.spec.task, "ways", None) if facts.spec is not None else None
    if ways is None or not len(steps) or facts.is_early(steps[-1]):
        return None
    return 1 / ways if values[-1] - widths[-1] <= 1 / ways else None


def chance(facts: Facts) -> Iterator[Finding | str]:
    """A model that guesses."""
    guess = at_chance(facts)
    if guess is None:
        return
    steps, values, widths = facts.validations
    measure = facts.measure
    yield Finding(
        "at-chance",
        "warning",
        f"It guesses: {measure.pair(values[-1], widths[-1])} on validation at {iteration(steps[-1])}, where "
        f"guessing gives {measure.text(guess)}.",
        "lower outer.learning_rate and see whether the training loss falls at all; for an inner loop also "
        "try adaptation.learning_rate ten times smaller and larger",
        {
            "iteration": int(steps[-1]),
            "value": measure.told(values[-1]),
            "ci95": measure.told(widths[-1]),
            "chance": measure.told(guess),
        },
    )


def gain(facts: Facts) -> Iterator[Finding | str]:
    """What adaptation gains: of the newest test, paired by episode, else of the newest validation."""
    if not adapts(facts) or facts.early or at_chance(facts) is not None:
        return
    found = _tested_gain(facts) or _validated_gain(facts)
    if found is None:
        return
    before, after, width, step, steps, where = found
    measure = facts.measure
    change = measure.sign * (after - before)
    told = f"{measure.text(before)} before and {measure.text(after)} after {counted(steps, 'step')}"
    at = f"{where} at {iteration(step)}"
    figures = {
        "iteration": step,
        "inner_steps": steps,
        "before": measure.told(before),
        "after": measure.told(after),
        "gain": measure.told(change),
        "ci95": measure.told(width),
    }
    gained = f"a gain of {measure.change(change, width)}"
    if change < -max(width, _negligible(facts, before)):
        sentence = f"Adaptation makes it worse: {told}, {gained}, {at}."
        yield Finding("adaptation-harms", "warning", sentence, _advice(facts, before, change), figures)
    elif change > max(width, _negligible(facts, before)):
        yield f"adaptation gains {measure.change(change, width)} ({at})"
    elif where == VALIDATED and (in_training := _trained_gain(facts)):
        yield f"adaptation gains {in_training} (in training; {measure.change(change, width)} {at})"
    else:
        sentence = f"Adaptation gains nothing: {told}, {gained}, {at}."
        advice = _advice(facts, before, change)
        yield Finding("adaptation-gains-nothing", "warning", sentence, advice, figures)


def _negligible(facts: Facts, before: float) -> float:
    """Changes of the metric that are of no matter, however sure: half a point, or a fiftieth of an error."""
    return 0.005 if facts.measure.metric == "accuracy" else 0.02 * abs(before)


def _advice(facts: Facts, before: float, change: float) -> str:
    """What to try against an inner loop that gains nothing: a lower or a higher rate."""
    assert facts.spec is not None
    now = f"now {facts.spec.adaptation.learning_rate}"
    learned = facts.spec.adaptation.learned_rates != "none"
    lower = f"lower {'outer.learning_rate' if learned else f'adaptation.learning_rate ({now})'}"
    if change < -SPOILT * abs(before):
        return f"{lower} or take fewer steps: on some tasks it diverges"
    support = facts.recent(facts.history.support_loss)
    if len(support) and np.nanmedian(support[:, -1]) < (1 - FITS) * np.nanmedian(support[:, 0]):
        return f"{lower}, take fewer steps or give more shots: its steps fit the support set and nothing else"
    return (
        f"try a larger adaptation.learning_rate ({now}) or more adaptation.steps; a model that is good "
        "before its first step answers without the support set: look whether tasks differ enough"
    )


def _trained_gain(facts: Facts) -> str:
    """The gain on training waves, where it is sure and matters; empty where it is not, and for images, whose
    classes in training are others.

    It is paired by meta-batch: waves differ by more than adaptation may gain, so that validations before and
    after it, whose intervals are over waves, cannot tell what this can.
    """
    if facts.measure.metric != "mse":
        return ""
    metric = facts.recent(facts.history.metric)
    if len(metric) < 2 * FEWEST or metric.shape[1] < 2:
        return ""
    found = mean_over_episodes(facts.measure.sign * (metric[:, -1] - metric[:, 0]))
    if found.ci95 is None or not found.mean - found.ci95 > _negligible(facts, float(metric[:, 0].mean())):
        return ""
    return facts.measure.change(found.mean, found.ci95)


Gain = tuple[float, float, float, int, int, str]
"""Before, after, half-width of their difference, iteration, inner steps, where."""


def _tested_gain(facts: Facts) -> Gain | None:
    for result in reversed(_own_tests(facts)):
        begin, end = result.get("before_step"), result["after_step"]
        # A training that went on since then is judged by its validations.
        if begin is None or begin == end or result["checkpoint_step"] < 0.5 * facts.done:
            continue
        before, after = (episodes_at(result, step) / _scale(result) for step in (begin, end))
        difference = paired_difference([after], [before])
        if np.isfinite(difference.mean) and difference.ci95 is not None:
            means = float(before.mean()), float(after.mean())
            return *means, difference.ci95, result["checkpoint_step"], end - begin, "in testing"
    return None


def _own_tests(facts: Facts) -> list[Any]:
    """The evaluations on the run's own task, the newest last."""
    task = facts.spec.origin.task if facts.spec is not None else None
    return [result for result in facts.evaluations if result["task"] == task]


def _scale(result: Any) -> float:
    return 100.0 if result["metric"] == "accuracy" else 1.0


def _validated_gain(facts: Facts) -> Gain | None:
    history = facts.history
    if len(history.validation_steps) < 2 or not len(history.validation_step):
        return None
    if facts.is_early(history.validation_step[-1]):
        return None
    ends = [0, -1]
    before, after = (float(value) for value in history.validation[-1, ends])
    # Not paired, since validations tell no episodes: wider than it need be, so that nothing is said too soon.
    width = hypot(*(float(value) for value in history.validation_ci95[-1, ends]))
    if not np.isfinite([before, after, width]).all():
        return None
    steps = history.validation_steps[-1] - history.validation_steps[0]
    return before, after, width, int(history.validation_step[-1]), steps, VALIDATED


def beyond(facts: Facts) -> Iterator[Finding | str]:
    """Steps in testing that make the answer worse again."""
    if not adapts(facts):
        return
    assert facts.spec is not None
    for result in reversed(_own_tests(facts)):
        steps, after = list(result["steps"]), result["after_step"]
        if result.get("chosen") or after not in steps or len(steps) < 3:
            continue
        sign = facts.measure.sign
        columns = {step: episodes_at(result, step) / _scale(result) for step in steps if step <= after}
        known = {step: values for step, values in columns.items() if np.isfinite(values).all()}
        if not known or after == 0:
            return
        best = max(known, key=lambda step: sign * float(known[step].mean()))
        if best in (after, 0):
            return
        measure, at_best = facts.measure, float(known[best].mean())
        trained = facts.spec.adaptation.steps
        advice = (
            f"test with evaluation.steps={best}; it was trained for {counted(trained, 'step')}, and what "
            "rates and norms do beyond those nobody has trained"
        )
        figures = {"best_step": best, "best": measure.told(at_best), "after_step": after}
        if after not in known:
            sentence = f"In testing it is no longer finite after {counted(after, 'step')}"
        else:
            last = float(known[after].mean())
            loss = paired_difference([known[after]], [known[best]])
            if loss.ci95 is None or abs(loss.mean) <= loss.ci95 or _slight(facts, at_best, last):
                return
            sentence = f"In testing {counted(after, 'step')} are worse than {best}: {measure.text(last)}"
            figures |= {"after": measure.told(last), "ci95": measure.told(loss.ci95)}
        yield Finding(
            "too-many-test-steps", "hint", f"{sentence}, against {measure.text(at_best)}.", advice, figures
        )
        return


def _slight(facts: Facts, best: float, last: float) -> bool:
    """Less than half a point or a twentieth of an error: significant over many episodes, but of no matter."""
    return abs(best - last) < (0.005 if facts.measure.metric == "accuracy" else 0.05 * best)
