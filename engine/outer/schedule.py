"""The outer rate as a function of the iteration."""

from math import cos, pi

from engine.presets.schema import Outer


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


def order_at(order: object, iteration: int, iterations: int) -> int:
    """1 or 2: the order of the meta-gradient at an iteration; annealed orders change at their fraction of
    training."""
    if isinstance(order, int):
        return order
    start, to, at = (getattr(order, name) for name in ("start", "to", "at"))
    return to if iteration / iterations >= at else start
