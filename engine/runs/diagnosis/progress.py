"""Judging how validation went: overfitting, a plateau, noise, and checkpoints chosen by luck."""

from collections.abc import Iterator
from math import log10, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.runs.diagnosis.facts import FEWEST, Facts
from engine.runs.diagnosis.finding import Finding, iteration, number

Column = NDArray[np.float64]

APART = sqrt(2.0)
"""Times a half-width: that of a difference of two validations. Theirs are the same episodes, so it is wider
than it need be, and what exceeds it is no chance."""
GAP = 0.10
"""Of accuracy, between training and validation classes: more than any choice of algorithm here is worth."""
GAP_ERROR = 2.0
"""Times the training error, for tasks that are measured by one."""
SLIGHT, SLIGHT_ERROR = 0.25, 0.03
"""Of a half-width: what a validation may still gain and yet be called flat; of an error, whose half-width is
mostly that waves differ, a thirtieth of it at most."""
NOISY = 1.0
"""Times the deviation that episodes explain: validations share their episodes, so that swings as large
come from the training."""
WIDE, WIDE_ERROR = 0.01, 0.10
"""A half-width of one point, or of a tenth of an error, up to which checkpoints can be told apart well enough
for any table of published figures."""
QUANTILE = 1.96


def overfitting(facts: Facts) -> Iterator[Finding | str]:
    """Validation that falls since its best while training classes go on, and a gap between the two."""
    steps, values, widths = facts.validations
    if facts.spec is None or facts.early or not len(steps):
        return
    measure = facts.measure
    gap, fall = _gap(facts), _fall(facts)
    apart, fell = gap[0] if gap else "", fall[0] if fall else ""
    figures = {**(gap[1] if gap else {}), **(fall[1] if fall else {})}
    finite = facts.spec.training.tasks is not None
    images = measure.metric == "accuracy"
    tasks = "tasks" if finite or not images else "classes"
    more = "endless tasks (training.tasks=null)" if finite else "more tasks"
    if images and not finite:
        more = "more classes or training.augment"
    if gap and fall:
        yield Finding(
            "overfits-training-classes",
            "warning",
            f"It overfits the {tasks} that it trains on: {apart}, and {fell}.",
            f"the best checkpoint on validation is the one that is tested; to gain more: {more}, "
            "a smaller model, or fewer iterations",
            figures,
        )
    elif fall:
        yield Finding(
            "validation-fell",
            "warning",
            f"Since its best {fell} at {iteration(steps[-1])}.",
            "the best checkpoint is the one that is tested; lower outer.learning_rate, anneal it "
            "(outer.schedule=cosine), or stop earlier",
            figures,
        )
    elif gap:
        yield Finding(
            "generalisation-gap",
            "hint",
            f"It knows the {tasks} that it trains on better than others: {apart}.",
            f"{more} narrow it; validation has not fallen, so it is no reason to stop",
            figures,
        )
    else:
        judged = ", not below its best" if len(values) >= FEWEST else ""
        yield f"validation is at {measure.pair(values[-1], widths[-1])}{judged}"


Said = tuple[str, dict[str, Any]]
"""A part of a sentence, and its figures."""


def _fall(facts: Facts) -> Said | None:
    """How far validation is below its best, both as means of three neighbours: the best of many single ones
    is high by luck."""
    steps, values, widths = facts.validations
    if len(values) < FEWEST:
        return None
    measure = facts.measure
    smooth = np.convolve(values, np.ones(3) / 3, "valid")
    best = int((measure.sign * smooth).argmax())
    fallen = measure.sign * (smooth[best] - smooth[-1])
    if fallen <= APART * float(np.median(widths)):
        return None
    best_value, now = float(smooth[best]), float(smooth[-1])
    best_step = int(steps[best + int((measure.sign * values[best : best + 3]).argmax())])
    about = f"{measure.text(best_value)} around {iteration(best_step)}"
    return f"validation fell from {about} to {measure.text(now)}", {
        "best": measure.told(best_value),
        "best_iteration": best_step,
        "validation": measure.told(now),
        "iteration": int(steps[-1]),
    }


def _gap(facts: Facts) -> Said | None:
    """Training classes against validation's, where both are measured alike; None where they are not or there
    is none."""
    from engine.presets import validation_adaptation
    from engine.presets.shapes import tested_shape, training_shape

    spec = facts.spec
    assert spec is not None
    validated = validation_adaptation(spec)
    mine, theirs = training_shape(spec), tested_shape(spec.task)
    metric = facts.recent(facts.history.metric)
    if (
        spec.outer.rule == "joint"
        or (mine.ways, mine.shots) != (theirs.ways, theirs.shots)
        or (validated.rule, validated.steps) != (spec.adaptation.rule, spec.adaptation.steps)
        # Training is normalised by its own batch: with other statistics the gap may be theirs.
        or (spec.model.norm == "batch" and spec.evaluation.statistics != "query")
        or len(metric) < FEWEST
    ):
        return None
    steps, values, widths = facts.validations
    trained, value = float(np.nanmean(metric[:, -1])), float(values[-1])
    apart = trained - value > GAP if facts.measure.metric == "accuracy" else value > GAP_ERROR * trained
    if not apart or abs(trained - value) <= widths[-1]:
        return None
    measure = facts.measure
    validated_at = f"{measure.pair(value, float(widths[-1]))} on validation at {iteration(float(steps[-1]))}"
    return f"{measure.text(trained)} there and {validated_at}", {
        "training": measure.told(trained),
        "validation": measure.told(value),
        "iteration": int(steps[-1]),
    }


def plateau(facts: Facts) -> Iterator[Finding | str]:
    """Validation that has been flat since a third of training.

    An annealed rate gains at its end: a training that has one is judged once it has ended.
    """
    spec = facts.spec
    if spec is None or not facts.planned:
        return
    judged = facts.ended if spec.outer.schedule != "constant" else facts.done >= 2 / 3 * facts.planned
    steps, values, widths = facts.validations
    since = steps > facts.planned / 3
    if not judged or since.sum() < FEWEST or _fall(facts) is not None:
        return
    steps, values, width = steps[since], values[since], float(np.median(widths[since]))
    gained, error = _line(steps, facts.measure.sign * values)
    measure = facts.measure
    slight = SLIGHT * width
    if measure.metric == "mse":
        slight = min(slight, SLIGHT_ERROR * abs(float(values.mean())))
    flat = gained <= slight or (gained <= width and gained <= 2 * error)
    if not flat:
        yield f"validation still gained {measure.points(gained)} since {iteration(steps[0])}"
        return
    yield Finding(
        "plateau",
        "hint",
        f"Validation is flat since a third of training: {measure.text(values[0])} at {iteration(steps[0])}, "
        f"{measure.text(values[-1])} at {iteration(steps[-1])}, each ± {measure.points(width)}.",
        "more iterations will not help: a third of them would do, and what can still gain is the model, the "
        "rates or more to train on",
        {
            "iterations": [int(steps[0]), int(steps[-1])],
            "first": measure.told(float(values[0])),
            "last": measure.told(float(values[-1])),
            "gained": measure.told(gained),
            "ci95": measure.told(width),
        },
    )


def _line(steps: Column, values: Column) -> tuple[float, float]:
    """How much a straight line through the values rises from the first to the last, and the standard error
    of that."""
    place = (steps - steps.mean()) / (steps[-1] - steps[0])
    slope = float((place * values).sum() / (place**2).sum())
    rest = values - values.mean() - slope * place
    return slope, sqrt(float((rest**2).sum()) / max(len(values) - 2, 1) / float((place**2).sum()))


def swings(values: Column) -> float:
    """The standard deviation of values about their own smooth course, from their second differences."""
    # Those of independent noise of deviation s have 6 s² as variance; a straight course leaves none.
    second = np.abs(np.diff(values, 2))
    return float(np.median(second)) / (0.6745 * sqrt(6.0))


def noise(facts: Facts) -> Iterator[Finding | str]:
    """Validation that swings: by a rate that was never annealed, or by too few episodes to choose by."""
    spec = facts.spec
    steps, values, widths = facts.validations
    if spec is None or not len(steps) or facts.done < 0.9 * facts.planned:
        return
    late = steps > facts.done / 2
    if late.sum() < FEWEST:
        return
    measure = facts.measure
    spread, width = swings(values[late]), float(np.median(widths[late]))
    episodes = spec.training.validation.episodes
    explained = width / QUANTILE
    figures = {
        "iterations": [int(steps[late][0]), int(steps[-1])],
        "swings": measure.told(spread),
        "ci95": measure.told(width),
        "episodes": episodes,
    }
    if spec.outer.schedule == "constant" and spec.outer.rule != "none" and spread > NOISY * explained > 0:
        yield Finding(
            "never-annealed",
            "hint",
            f"Validation swings by {measure.points(spread)} from one to the next since "
            f"{iteration(steps[late][0])}, more than the {measure.points(explained)} of its {episodes:,} "
            "episodes, and the outer learning rate is never annealed.",
            "outer.schedule=cosine lets it come to rest",
            figures,
        )
    best = np.sort(measure.sign * values)[::-1][:FEWEST]
    among = float(best[0] - best[-1])
    wide = width > (WIDE if measure.metric == "accuracy" else WIDE_ERROR * abs(float(values[-1])))
    if wide and spread > 0.5 * explained and among <= APART * width:
        wanted = episodes * (APART * width / max(among, SLIGHT * width)) ** 2
        yield Finding(
            "too-few-validation-episodes",
            "hint",
            f"{episodes:,} validation episodes (± {measure.points(width)}) cannot tell its five best "
            f"checkpoints apart, which lie within {measure.points(among)}: it is chance which is tested.",
            f"about {_rounded(wanted)} would: training.validation.episodes; or test several together "
            "(evaluation.ensemble=5)",
            figures | {"five_best_within": measure.told(among), "episodes_wanted": _rounded_number(wanted)},
        )


def _rounded_number(value: float) -> int:
    scale = 10 ** max(0, int(log10(max(value, 1))) - 1)
    return int(-(-value // scale) * scale)


def _rounded(value: float) -> str:
    return number(_rounded_number(value))
