"""Numbers that are not finite: what stops a training, and when parameters have to be looked at."""

import torch

from engine.models import Parameters

RECKLESS = 1e18
"""A step of this size may take a parameter out of float32's range; smaller ones would need 10^20 of them."""


class Diverged(Exception):
    """A loss, a gradient or parameters that are not finite, in iteration `iteration` (from 1), with nothing
    changed by it; `what` says which, `layers` names the parameters where they are known already."""

    def __init__(self, iteration: int, what: str, layers: list[str] | None = None) -> None:
        verb = "are" if what == "parameters" else "is"
        super().__init__(f"the {what} of iteration {iteration:,} {verb} not finite")
        self.iteration, self.what, self.layers = iteration, what, layers or []


def is_reckless(rate: float, norm: float) -> bool:
    """Whether an outer step at this rate, of a gradient of this norm, can make finite parameters infinite.

    Known from two numbers at hand: looking at every parameter after every step costs waves a fiftieth.
    """
    return rate * max(norm, 1.0) > RECKLESS


def not_finite(parameters: Parameters) -> list[str]:
    """The names of the tensors that hold a NaN or an infinity."""
    return [name for name, tensor in parameters.items() if not torch.isfinite(tensor).all()]
