"""Judging the meta-gradient: finite, steady along the inner steps and over training."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.runs.diagnosis.facts import FEWEST, Facts
from engine.runs.diagnosis.finding import Finding, counted, iteration, number

ALONG = 10.0
"""Times larger at the first inner step than at the last: each of five steps then multiplies it by 1.6. In
sound runs the two are within a factor of 2."""
FADED = 0.01
"""Of its norm at the last inner step: the first then learns from a hundredth of what reaches the last one."""
NOTHING = 1e-6
"""A norm of the whole meta-gradient: over 10,000 entries each is then 1e-8, as small as Adam's epsilon."""
GROWN = 10.0
"""Times its early norm: it should fall as the loss does, and a median over meta-batches hardly swings."""
SPIKE, SPIKES = 10.0, 0.01
"""Times the median, and in one of a hundred records: a rarer one is a hard meta-batch, and Adam's second
moments, a mean over 1,000 iterations, have forgotten it before the next."""


def finite(facts: Facts) -> Iterator[Finding | str]:
    """A training that ended at a loss or gradient that is not finite, or validates to none."""
    error = facts.status.error or ""
    spec, history = facts.spec, facts.history
    if facts.status.state == "failed" and "not finite" in error:
        fault = error.partition(";")[0]
        norms = facts.gradient.value[np.isfinite(facts.gradient.value)]
        last = f"; the last recorded norm of its gradient was {number(norms[-1])}" if len(norms) else ""
        usual = f", usually {number(float(np.median(norms)))}" if len(norms) >= FEWEST else ""
        clipped = spec is not None and spec.outer.clip is not None
        advice = (
            "lower outer.learning_rate"
            if clipped
            else "clip the meta-gradient (outer.clip=10 is usual for MAML) and lower outer.learning_rate"
        )
        if spec is not None and spec.adaptation.learned_rates != "none":
            advice += ", which moves the learned inner rates too"
        elif spec is not None and spec.adaptation.rule == "gradient" and spec.outer.rule != "joint":
            advice += f"; or lower adaptation.learning_rate (now {spec.adaptation.learning_rate})"
        yield Finding(
            "not-finite",
            "fault",
            f"It ended with a number gone bad: {fault}{last}{usual}.",
            advice,
            {
                "iteration": facts.status.step + 1,
                "last_norm": float(norms[-1]) if len(norms) else None,
                "usual_norm": float(np.median(norms)) if len(norms) else None,
            },
        )
        return
    if history.validation.size and not np.isfinite(history.validation[-1, -1]):
        step = int(history.validation_step[-1])
        yield Finding(
            "validation-not-finite",
            "fault",
            f"Validation is not finite after {counted(history.validation_steps[-1], 'inner step')} at "
            f"{iteration(step)}: the inner loop diverges on classes or waves that it has not seen.",
            "lower adaptation.learning_rate, or validate with as many steps as are trained",
            {"iteration": step, "inner_steps": list(history.validation_steps)},
        )


def along_steps(facts: Facts) -> Iterator[Finding | str]:
    """A meta-gradient that explodes or vanishes on its way back through the inner steps."""
    norms = facts.recent(facts.history.norms)
    if facts.spec is None or norms.ndim != 2 or norms.shape[1] < 2:
        return
    norms = norms[np.isfinite(norms).all(1) & (norms[:, -1] > 0)]
    if len(norms) < FEWEST:
        return
    first, last = float(np.median(norms[:, 0])), float(np.median(norms[:, -1]))
    factor = float(np.median(norms[:, 0] / norms[:, -1]))
    steps = norms.shape[1]
    # Where each step adds its own loss, k steps add up to k times as much without any fault.
    summed = steps if facts.spec.adaptation.loss == "multi-step" else 1
    figures = {
        "iterations": [int(facts.begin), facts.done],
        "norm_at_first_step": first,
        "norm_at_last_step": last,
        "factor": factor,
        "inner_steps": steps,
    }
    way = f"from {number(last)} at inner step {steps} to {number(first)} at step 1"
    since = f"since {iteration(facts.begin)}"
    rate = facts.spec.adaptation.learning_rate
    if factor > ALONG * summed:
        yield Finding(
            "meta-gradient-explodes",
            "warning",
            f"The meta-gradient explodes on its way back: {way}, {factor:.0f} times, {since}.",
            f"lower adaptation.learning_rate (now {rate}), take fewer steps, clip it (outer.clip=10), or let "
            "each step's loss count (adaptation.loss=multi-step)",
            figures,
        )
    elif factor < FADED:
        yield Finding(
            "meta-gradient-vanishes",
            "warning",
            f"The meta-gradient vanishes on its way back: {way}, {1 / factor:.0f} times less, {since}.",
            "let each step's loss count (adaptation.loss=multi-step), take fewer steps, or train by "
            "adaptation.order=1, which hands it through unchanged",
            figures,
        )
    else:
        yield f"the meta-gradient holds along {counted(steps, 'step')} (times {number(factor)})"


def over_training(facts: Facts) -> Iterator[Finding | str]:
    """A meta-gradient that grows over training, is next to nothing, or spikes."""
    whole, unit = facts.gradient, facts.planned / 10
    early, late = whole.between(unit, 3 * unit), whole.between(0.8 * facts.done, facts.done)
    ripe = whole.between(unit, facts.done)
    if facts.spec is None or len(late) < FEWEST:
        return
    now = float(np.median(late))
    findings = list(_trend(facts, early, now)) + list(_spikes(facts, ripe))
    yield from findings
    if not findings:
        before = f"{number(float(np.median(early)))} early and " if len(early) >= FEWEST else ""
        yield f"the outer gradient's norm is {before}{number(now)} now"


def _trend(facts: Facts, early: NDArray[np.float64], now: float) -> Iterator[Finding]:
    begin = int(0.8 * facts.done)
    if now < NOTHING:
        yield Finding(
            "meta-gradient-nothing",
            "warning",
            f"The outer gradient is next to nothing: its norm is {now:.1e} since {iteration(begin)}.",
            "nothing is learned any more: look for a loss of exactly zero, layers that died, or an inner "
            "loop that does not depend on what the outer loop learns",
            {"iterations": [begin, facts.done], "norm": now},
        )
    elif len(early) >= FEWEST and facts.done >= 0.5 * facts.planned and now > GROWN * np.median(early):
        before = float(np.median(early))
        yield Finding(
            "meta-gradient-grows",
            "warning",
            f"The outer gradient grows: its norm is {number(now)} since {iteration(begin)}, "
            f"{now / before:.0f} times the {number(before)} early in training.",
            "lower outer.learning_rate or anneal it (outer.schedule=cosine), and clip it (outer.clip)",
            {"iterations": [begin, facts.done], "norm": now, "early_norm": before},
        )


def _spikes(facts: Facts, norms: NDArray[np.float64]) -> Iterator[Finding]:
    assert facts.spec is not None
    if facts.spec.outer.clip is not None or len(norms) < 10 * FEWEST:
        return
    usual = float(np.median(norms))
    spikes = norms[norms > SPIKE * usual]
    if usual > 0 and len(spikes) >= max(3, SPIKES * len(norms)):
        series = facts.gradient
        largest = int(series.step[np.nanargmax(np.where(series.step > facts.planned / 10, series.value, 0))])
        yield Finding(
            "meta-gradient-spikes",
            "warning",
            f"The outer gradient spikes: {len(spikes)} of {len(norms)} records are more than {SPIKE:.0f} "
            f"times the usual {number(usual)}, up to {number(float(spikes.max()))} at {iteration(largest)}.",
            "clip it (outer.clip=10 is usual for MAML), or take more tasks to a batch",
            {
                "iteration": largest,
                "largest": float(spikes.max()),
                "usual": usual,
                "records": len(norms),
                "spikes": len(spikes),
            },
        )
