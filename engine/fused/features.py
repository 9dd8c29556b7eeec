"""The body's features as a function that autograd can differentiate twice, by the calculus of `body`.

What an inner step differentiates is a slope, whose own way back asks for the change of features and slopes
along a direction. Autograd reaches the pass that gave the features last, with the change of their slope:
there both parts of the Hessian's product are found in one walk back through the net.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.fused.body import Change, Net, Pass, Slopes
from engine.models.blocks import Observed


class _Moved(NamedTuple):
    """What one slope's own way back leaves to be found: autograd's walk that it belongs to, what the slope
    kept, and the change of each block."""

    walk: int
    kept: list[Slopes]
    changes: list[Change]


class _Held:
    """One pass, what its parameters are called, and what the ways back of its slopes leave to be found."""

    def __init__(self, names: tuple[str, ...], passed: Pass) -> None:
        self.names, self.passed = names, passed
        self.moved: list[_Moved] = []


class _Slopes(torch.autograd.Function):
    """The slopes of the parameters from that of the features. The features stand among its inputs so that
    autograd goes on from here to their pass, also where the slope does not depend on them."""

    @staticmethod
    def forward(
        ctx: Any, held: _Held, wanted: tuple[str, ...], slope: Tensor, features: Tensor, *_: Tensor
    ) -> Any:
        ctx.held, ctx.wanted, ctx.like = held, wanted, (features.shape, features.dtype)
        ctx.set_materialize_grads(False)
        ctx.kept = [] if any(ctx.needs_input_grad) else None
        # Detached: what is kept of it must not lead back to this node.
        found = held.passed.back(slope.detach(), wanted, ctx.kept)
        return tuple(found[name] for name in wanted)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *direction: Tensor | None) -> Any:
        moving = {n: d for n, d in zip(ctx.wanted, direction, strict=True) if d is not None}
        change, changes = ctx.held.passed.along(moving)
        ctx.held.moved.append(_Moved(_walk(), ctx.kept, changes))
        shape, dtype = ctx.like
        return (None, None, change, torch.zeros(shape, dtype=dtype), *(None for _ in ctx.held.names))


class _Features(torch.autograd.Function):
    """The features, from the parameters in the order of `held.names`."""

    @staticmethod
    def forward(ctx: Any, held: _Held, *values: Tensor) -> Tensor:
        ctx.held = held
        features = held.passed.features()
        ctx.save_for_backward(features, *values)
        return features

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        held: _Held = ctx.held
        # A walk that asked for nothing of the pass itself leaves its part behind.
        moved, held.moved = [one for one in held.moved if one.walk == _walk()], []
        wanted = tuple(n for n, needs in zip(held.names, ctx.needs_input_grad[1:], strict=True) if needs)
        if not moved:
            slopes = _Slopes.apply(held, wanted, slope, *ctx.saved_tensors)
            return (None, *(dict(zip(wanted, slopes, strict=True)).get(name) for name in held.names))
        if torch.is_grad_enabled():
            raise RuntimeError("the kernels differentiate twice, not three times")
        # The slope's change counts once, whatever the number of slopes that were moved.
        slopes_of = [slope, *(None for _ in moved[1:])]
        parts = [
            held.passed.change(one.kept, one.changes, dslope, wanted)
            for one, dslope in zip(moved, slopes_of, strict=True)
        ]
        return (None, *(_added([part[n] for part in parts if n in part]) for n in held.names))


def _walk() -> int:
    """The number of autograd's walk back that this thread is in."""
    return torch._C._current_graph_task_id()


def _added(parts: list[Tensor]) -> Tensor | None:
    return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0] if parts else None


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
