"""The outer rate as a function of the iteration."""

from math import cos, pi
from typing import Literal

from engine.presets.schema import Adaptation, AnnealedOrder, Outer


def outer_rate(outer: Outer, iteration: int, iterations: int) -> float:
    """The rate of iteration `iteration` (from 0) of `iterations`.

    `cosine` (Loshchilov & Hutter 2017, without restarts) and `linear` go from `learning_rate` to
    `final_learning_rate`; `drops` multiplies the rate by a factor at given fractions.
    """
    done, first, last = iteration / iterations, outer.learning_rate, outer.final_learning_rate
    if outer.schedule == "cosine":
        return last + (first - last) * (1 + cos(pi * done)) / 2
    if outer.schedule == "linear":
        return first + (last - first) * done
    if outer.schedule == "drops":
        return first * outer.drops.factor ** sum(done >= fraction for fraction in outer.drops.at)
    return first


def order_at(order: Literal[1, 2] | AnnealedOrder, iteration: int, iterations: int) -> int:
    """1 or 2: the order of the meta-gradient at an iteration; annealed orders change at their fraction of
    training."""
    if isinstance(order, int):
        return order
    return order.to if iteration / iterations >= order.at else order.start


def step_weights(adaptation: Adaptation, iteration: int, iterations: int) -> tuple[float, ...]:
    """The weights of the query losses after steps 1..k at an iteration; none where the last alone counts.

    All begin at 1/k; until the given fraction of training the earlier ones fall linearly, not below floor/k,
    and the last one's rises by what they lose; after that it alone counts (Antoniou 2019, as released).
    """
    steps, multi_step = adaptation.steps, adaptation.multi_step
    done = iteration / iterations
    if adaptation.loss == "last" or adaptation.rule != "gradient" or steps < 2 or done >= multi_step.until:
        return ()
    earlier = max((1 - done / multi_step.until) / steps, multi_step.floor / steps)
    return (*(earlier for _ in range(steps - 1)), 1 - (steps - 1) * earlier)
