"""Judging how a run is tested and how fast it trains: batch statistics across queries, lost speed."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from engine.runs.diagnosis.facts import FEWEST, Facts
from engine.runs.diagnosis.finding import Finding, iteration, number
from engine.runs.reports import episodes_at
from engine.statistics import paired_difference

MANY = 10
"""Queries of a task that are normalised together: their mean then tells what classes there are."""
MATTERS = 0.5
"""Points of accuracy that other queries may give before it is said: the last digit of published tables."""
MUCH = 2.0
"""Points from which on it is more than many published methods differ by."""
SLOW = 2.0
"""Times slower than before: turbo clocks and neighbours make up to half of that, a lost device or memory
that is swapped more."""


def batch_statistics(facts: Facts) -> Iterator[Finding | str]:
    """Batch statistics that leak across queries: measured where a checkpoint was tested both ways."""
    spec = facts.spec
    if spec is None or spec.model.norm != "batch" or spec.model.name == "pixels":
        return
    from engine.presets.shapes import tested_shape

    shape = tested_shape(spec.task)
    queries = shape.ways * shape.queries
    pair = _both_ways(facts)
    if pair is not None:
        together, alone = pair
        values = [episodes_at(result, result["after_step"]) for result in (together, alone)]
        difference = paired_difference([values[0]], [values[1]])
        worth, width = facts.measure.sign * difference.mean, difference.ci95
        if width is None or not np.isfinite(worth):
            return
        how = "one at a time" if alone["protocol"]["statistics"] == "one" else "each by the support set alone"
        unit = " points" if facts.measure.metric == "accuracy" else ""
        if worth <= max(width, MATTERS if facts.measure.metric == "accuracy" else 0.0):
            yield f"queries together and {how} test alike ({worth:+.1f} ± {width:.1f}{unit})"
            return
        yield Finding(
            "statistics-leak",
            "warning" if worth > MUCH else "hint",
            f"Its queries help one another: {values[0].mean():.1f} with the statistics of all {queries} "
            f"queries of a task, {values[1].mean():.1f} {how}, {worth:.1f} ± {width:.1f}{unit} more, at "
            f"{iteration(together['checkpoint_step'])}.",
            "say which of them a figure is, and compare it only with figures of the same "
            "evaluation.statistics",
            {
                "iteration": together["checkpoint_step"],
                "queries": queries,
                "together": float(values[0].mean()),
                "alone": float(values[1].mean()),
                "statistics": alone["protocol"]["statistics"],
                "difference": worth,
                "ci95": width,
            },
        )
    elif spec.evaluation.statistics == "query" and queries >= MANY and facts.evaluations:
        yield Finding(
            "statistics-of-all-queries",
            "hint",
            f"It is tested with the batch statistics of all {queries} queries of a task together, so that "
            "each answer knows of the others.",
            f"kshot evaluate {facts.run.id} --set evaluation.statistics=one says what that is worth",
            {"queries": queries, "statistics": "query"},
        )


def _both_ways(facts: Facts) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The newest two tests of one checkpoint that differ in nothing but whether queries were normalised
    together."""
    for first in reversed(facts.evaluations):
        if first["protocol"].get("statistics") != "query":
            continue
        others = [e for e in facts.evaluations if e["protocol"].get("statistics") in ("one", "support")]
        for other in reversed(others):
            if _identity(first) == _identity(other):
                return first, other
    return None


def _identity(result: Mapping[str, Any]) -> tuple[Any, ...]:
    protocol = {key: value for key, value in result["protocol"].items() if key != "statistics"}
    names = ("checkpoint", "task", "split_hash", "images_hash", "episodes_key", "after_step")
    return (*(result.get(name) for name in names), len(result["values"]), sorted(protocol.items(), key=str))


def speed(facts: Facts) -> Iterator[Finding | str]:
    """A training that is much slower than it was."""
    series = facts.speed
    begin = 0.0
    order = facts.spec.adaptation.order if facts.spec is not None else 2
    if not isinstance(order, int):
        # Second-order iterations take longer: only those since the change compare.
        begin = order.at * facts.planned
        before = series.step[series.step <= begin]
        begin = float(series.step[len(before)]) if len(before) < len(series.step) else begin
    known = series.step > begin
    steps, values = series.step[known], series.value[known]
    late = max(3, len(values) // 5)
    if len(values) < late + FEWEST:
        return
    usual = [float(np.median(values[at : at + FEWEST])) for at in range(len(values) - late - FEWEST + 1)]
    fastest, now = max(usual), float(np.median(values[-late:]))
    if now * SLOW > fastest:
        yield f"{number(now)} iterations a second, as before"
        return
    yield Finding(
        "slower-than-before",
        "hint",
        f"Its speed since {iteration(float(steps[-late]))} is {number(now)} iterations a second, "
        f"{fastest / now:.1f} times less than the {number(fastest)} of before.",
        "look for other programs on the device, memory that is swapped, and a machine that throttles; "
        "kshot runs pause and kshot runs resume lose nothing",
        {"iteration": int(steps[-late]), "now": now, "before": fastest},
    )
