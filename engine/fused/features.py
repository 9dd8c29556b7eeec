"""The body's features as a function that autograd can differentiate twice, by the calculus of `body`.

What an inner step differentiates is a slope, whose own way back asks for the change of features and slopes
along a direction. Autograd reaches the pass that gave the features last, with the change of their slope:
there both parts of the Hessian's product are found in one walk back through the net.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.fused.body import Change, Net, Pass
from engine.models.blocks import Observed


class _Held:
    """One pass, by what its parameters are called; and the changes along the direction that its second way
    back has still to take."""

    def __init__(self, names: tuple[str, ...], passed: Pass) -> None:
        self.names, self.passed = names, passed
        self.changes: list[Change] | None = None
        self.has_kept = False


class _Slopes(torch.autograd.Function):
    """The slopes of the parameters from that of the features."""

    @staticmethod
    def forward(ctx: Any, held: _Held, wanted: tuple[str, ...], slope: Tensor, *_: Tensor) -> Any:
        ctx.held, ctx.wanted = held, wanted
        ctx.set_materialize_grads(False)
        keep = any(ctx.needs_input_grad)
        if keep and held.has_kept:
            raise NotImplementedError("one pass through the body is differentiated twice in two ways")
        held.has_kept |= keep
        # Detached: what is kept of it must not lead back to this node.
        found = held.passed.back(slope.detach(), wanted, keep)
        return tuple(found[name] for name in wanted)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *direction: Tensor | None) -> Any:
        moving = {n: d for n, d in zip(ctx.wanted, direction, strict=True) if d is not None}
        features, ctx.held.changes = ctx.held.passed.along(moving)
        # What this means for the parameters is found when the pass itself is reached.
        return (None, None, features, *(None for _ in ctx.held.names))


class _Features(torch.autograd.Function):
    """The features, from the parameters in the order of `held.names`."""

    @staticmethod
    def forward(ctx: Any, held: _Held, *values: Tensor) -> Tensor:
        ctx.held = held
        ctx.save_for_backward(*values)
        return held.passed.features()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        held: _Held = ctx.held
        wanted = tuple(n for n, needs in zip(held.names, ctx.needs_input_grad[1:], strict=True) if needs)
        if held.changes is not None:
            changes, held.changes = held.changes, None
            found = held.passed.change(changes, slope, wanted)
        else:
            found = dict(zip(wanted, _Slopes.apply(held, wanted, slope, *ctx.saved_tensors), strict=True))
        return (None, *(found.get(name) for name in held.names))


def features(
    net: Net, parameters: Mapping[str, Tensor], x: Tensor, observed: Observed | None = None
) -> Tensor:
    """Features `[T, B, D]` of `x [T, B, C, H, W]`, each task's examples normalised together.

    `parameters` hold `convN.weight [O, C, 3, 3]`, `normN.scale` and `normN.shift [O]`, each with or without a
    leading task axis. What the normalisations find is written into `observed`.
    """
    names = tuple(
        f"{name}{number}.{part}"
        for number in range(1, net.blocks + 1)
        for name, part in (("conv", "weight"), ("norm", "scale"), ("norm", "shift"))
    )
    values = tuple(parameters[name] for name in names)
    with torch.no_grad():
        passed = Pass(net, {n: v.detach() for n, v in zip(names, values, strict=True)}, x)
    if observed is not None:
        observed.update(passed.statistics())
    return _Features.apply(_Held(names, passed), *values)
