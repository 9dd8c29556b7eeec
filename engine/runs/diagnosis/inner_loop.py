"""Judging the inner loop: whether its loss falls, and whether every layer moves."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from engine.runs.diagnosis.facts import FEWEST, Facts
from engine.runs.diagnosis.finding import Finding, counted, iteration, number
from engine.runs.diagnosis.gain import adapts

if TYPE_CHECKING:
    from engine.presets import Spec

RISE = 0.02
"""Of the loss before the first step: smaller rises are below what a meta-batch's mean can tell."""
OFTEN = 0.5
"""Of the recent records: a rise in every second meta-batch is the rate, in a few it is the batch."""
STILL = 1e-6
"""Of a layer's own size: float32 holds weights to 6e-8 of theirs, so this is some ten of its last digits."""


def overshoot(facts: Facts) -> Iterator[Finding | str]:
    """A loss that rises within the inner loop: the rate is too high, unless training wants it so."""
    if not adapts(facts):
        return
    assert facts.spec is not None
    adaptation = facts.spec.adaptation
    rate = adaptation.learning_rate
    if isinstance(rate, float) and rate < 0:
        return  # It goes uphill on purpose.
    support, query = facts.recent(facts.history.support_loss), facts.recent(facts.history.query_loss)
    if len(support) < FEWEST or support.shape[1] < 2 or query.shape != support.shape:
        return
    if adaptation.batch is not None:
        # Each step's loss is of its own examples; only the ends compare.
        support, query = support[:, [0, -1]], query[:, [0, -1]]
    allowed = RISE * np.abs(support[:, :1])
    rises = np.diff(support, axis=1) > allowed
    # Where the query loss falls by such a step, the outer loop has learned to take it.
    unhelpful = np.diff(query, axis=1) > -RISE * np.abs(query[:, :1])
    shares = (rises & unhelpful).mean(0)
    worst = int(shares.argmax())
    if shares[worst] < OFTEN:
        first, last = np.nanmedian(support[:, 0]), np.nanmedian(support[:, -1])
        if last < (1 - RISE) * first:
            yield f"the inner loss falls from {number(first)} to {number(last)}"
        return
    before, after = (float(np.nanmedian(support[:, at])) for at in (worst, worst + 1))
    ways = "the inner loop" if support.shape[1] == 2 else f"inner step {worst + 1}"
    learned = adaptation.learned_rates != "none"
    yield Finding(
        "inner-rate-too-high",
        "warning",
        f"The support loss rises in {ways}: {number(before)} before and {number(after)} after it, in "
        f"{shares[worst]:.0%} of the records since {iteration(facts.begin)}.",
        "lower outer.learning_rate, with which the inner rates are learned"
        if learned
        else f"lower adaptation.learning_rate (now {rate}) two or three times",
        {
            "iterations": [int(facts.begin), facts.done],
            "inner_step": worst + 1,
            "before": before,
            "after": after,
            "share": float(shares[worst]),
        },
    )


def dead_layers(facts: Facts) -> Iterator[Finding | str]:
    """Layers that are meant to adapt and do not move."""
    if not adapts(facts):
        return
    assert facts.spec is not None
    if _blocked(facts.spec):
        yield Finding(
            "dead-layer",
            "hint",
            "The head alone adapts: a head of zeros hands no gradient down in its first step, the only one.",
            "take two steps, or adaptation.head=learned; adaptation.parameters=head says that it is meant",
            {"inner_steps": facts.spec.adaptation.steps, "head": facts.spec.adaptation.head},
        )
        return
    largest: dict[str, float] = {}
    for layer, column in facts.history.moved.items():
        recent = facts.recent(column)
        recent = recent[np.isfinite(recent)]
        if len(recent) >= FEWEST:
            largest[layer] = float(recent.max())
    if not largest:
        return
    for layer in _adapting_layers(facts):
        # A layer that never moved at all is not among those told.
        if layer not in facts.history.moved:
            largest[layer] = 0.0
    dead = sorted(layer for layer, most in largest.items() if most <= STILL)
    if not dead:
        yield f"all {counted(len(largest), 'layer')} move" if len(largest) > 1 else "its layer moves"
        return
    yield Finding(
        "dead-layer",
        "warning",
        f"{', '.join(dead[:4])}{' and more' if len(dead) > 4 else ''} of {counted(len(largest), 'layer')} "
        f"{'does' if len(dead) == 1 else 'do'} not move in the inner loop: by at most "
        f"{max(largest[layer] for layer in dead):.1e} of its size since {iteration(facts.begin)}.",
        "its gradient or its rate is zero: look for units that died (lower outer.learning_rate), and "
        "leave out of adaptation.parameters what is not meant to adapt",
        {
            "iterations": [int(facts.begin), facts.done],
            "layers": dead,
            "moved": {layer: largest[layer] for layer in dead},
            "most_moved": max(largest.values()),
        },
    )


def _blocked(spec: "Spec") -> bool:
    """Whether no gradient reaches the body: no records are needed to know it."""
    adaptation = spec.adaptation
    return adaptation.head == "zero" and adaptation.steps == 1 and adaptation.parameters != "head"


def _adapting_layers(facts: Facts) -> list[str]:
    """The layers that the spec lets adapt, where every record would tell their movement."""
    from engine.presets.names import parameter_names

    assert facts.spec is not None
    adaptation, chosen = facts.spec.adaptation, facts.spec.adaptation.parameters
    layers: dict[str, None] = {}
    for name in parameter_names(facts.spec.model):
        head = name.startswith("head.")
        if adaptation.per_step_norms and name.endswith((".scale", ".shift")):
            continue  # The outer loop alone moves these.
        if head and adaptation.head != "learned":
            continue  # Of a layer that begins at zero the movement has no size to be told in.
        fits = chosen == "all" or (chosen == "head") == head
        if not isinstance(chosen, str):
            fits = any(fnmatchcase(name, pattern) for pattern in chosen)
        if fits:
            layers[name.rpartition(".")[0]] = None
    return list(layers)
