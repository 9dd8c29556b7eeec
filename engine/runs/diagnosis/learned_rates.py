"""Judging learned inner rates: those that left the range that they were begun in."""

from collections.abc import Iterator

import numpy as np

from engine.runs.diagnosis.facts import FEWEST, Facts
from engine.runs.diagnosis.finding import Finding, Severity, number
from engine.runs.diagnosis.gain import gain

FAR = 10.0
"""Times its start: rates are searched for by factors of ten, so that one farther away was begun wrongly or
ran away."""
BELOW = 0.1
"""Of its start: nearer to zero a negative rate is one that is being turned off."""


def rates(facts: Facts) -> Iterator[Finding | str]:
    """Learned rates that left their range: negative ones, and ones far above their start."""
    spec = facts.spec
    if spec is None or facts.early or not facts.history.rates:
        return
    given = spec.adaptation.learning_rate
    start = given if isinstance(given, float) else sum(given) / 2
    if start == 0 or spec.adaptation.learned_rates == "none":
        return
    found: dict[tuple[str, int], float] = {}
    for name, table in facts.history.rates.items():
        recent = facts.recent(table)
        if len(recent) >= FEWEST:
            with np.errstate(all="ignore"):
                medians = np.median(recent, axis=0) / start
            found |= {(name, at + 1): float(m) for at, m in enumerate(medians) if np.isfinite(m)}
    if not found:
        return
    large = {place: times for place, times in found.items() if abs(times) > FAR}
    negative = {place: times for place, times in found.items() if -FAR <= times < -BELOW}
    by_step = spec.adaptation.learned_rates == "layer-step"
    # Rates may end wherever they serve: it is a fault's likely cause, and of itself none.
    serves = facts.status.state != "failed" and any(isinstance(said, str) for said in gain(facts))
    severities: tuple[tuple[str, dict[tuple[str, int], float], Severity], ...] = (
        ("learned-rate-far-from-start", large, "hint" if serves else "warning"),
        ("learned-rate-negative", negative, "hint"),
    )
    for name, places, severity in severities:
        if places:
            yield _rate_finding(facts, name, places, severity, start, len(found), by_step)
    if not negative and not large:
        low, high = min(found.values()) * start, max(found.values()) * start
        yield f"learned rates between {number(min(low, high))} and {number(max(low, high))}"


def _rate_finding(
    facts: Facts,
    name: str,
    places: dict[tuple[str, int], float],
    severity: Severity,
    start: float,
    rates: int,
    by_step: bool,
) -> Finding:
    assert facts.spec is not None
    (tensor, step), times = max(places.items(), key=lambda item: abs(item[1]))
    place = f"{tensor} at step {step}" if by_step else tensor
    if facts.spec.adaptation.learned_rates == "parameter":
        place = f"{tensor} (the mean of its own)"
    others = f" ({len(places)} of {rates} learned rates)" if len(places) > 1 else ""
    outer = number(facts.spec.outer.learning_rate)
    if name == "learned-rate-negative":
        sentence = f"The learned rate of {place} is {number(times * start)}, begun at {number(start)}: that "
        sentence += f"tensor goes uphill{others}."
        advice = "Meta-SGD and MAML++ may learn that, but it is seldom meant: lower outer.learning_rate, or "
        advice += "keep the tensor out of adaptation.parameters"
    else:
        sentence = f"The learned rate of {place} is {number(times * start)}, {abs(times):.0f} times its "
        sentence += f"start of {number(start)}{others}."
        advice = "begin nearer to it (adaptation.learning_rate), or lower outer.learning_rate (now "
        advice += f"{outer}): Adam moves every rate by about that much an iteration"
    return Finding(
        name,
        severity,
        sentence,
        advice,
        {
            "iterations": [int(facts.begin), facts.done],
            "start": start,
            "rates": [
                {"tensor": at[0], **({"inner_step": at[1]} if by_step else {}), "value": each * start}
                for at, each in sorted(places.items())
            ],
        },
    )
