"""How far adaptation moves each layer: where a model adapts, and where it reuses what it has."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.adaptation.rule import State

Summed = Callable[[Sequence[Tensor]], Sequence[Tensor]]


@torch.no_grad()
def moved(states: Sequence[State], summed: Summed = lambda squares: squares) -> dict[str, list[float | None]]:
    """For each layer that moves, |θ − θ₀| / |θ₀| in each state, over all tasks in it together; None where θ₀
    is zero. Nothing where states do not hold the same parameters.

    `summed` adds squared lengths up over the tasks of other processes.
    """
    return shown(lengths(states), summed)


@torch.no_grad()
def lengths(states: Sequence[State]) -> dict[str, Tensor]:
    """The length of each layer in the first state, and of its way from there to each: `[1 + S]`, on their
    device. Nothing where states do not hold the same parameters."""
    first = states[0]
    if not all(first.keys() == state.keys() for state in states):
        return {}
    layers: dict[str, list[str]] = {}
    for name in first:
        if first[name].is_floating_point():
            layers.setdefault(name.rpartition(".")[0] or name, []).append(name)
    return {layer: _lengths(states, names) for layer, names in layers.items()}


def added(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The lengths over all tasks from those over parts of them."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: torch.stack([part[name] for part in parts]).square().sum(0).sqrt() for name in parts[0]}


def shown(found: Mapping[str, Tensor], summed: Summed = lambda squares: squares) -> dict[str, Any]:
    """What `moved` says of `lengths`, in sums and roots of the CPU's float64."""
    if not found:
        return {}
    squares = torch.stack([*found.values()]).cpu().to(torch.float64).square()
    moves: dict[str, list[float | None]] = {}
    for layer, (size, *distances) in zip(found, summed([squares])[0].sqrt().tolist(), strict=True):
        if any(distances):
            moves[layer] = [float(f"{d / size:.4g}") if size else None for d in distances]
    return moves


def _lengths(states: Sequence[State], names: list[str]) -> Tensor:
    first = states[0]
    ways = [[first[n] for n in names], *([state[n] - first[n] for n in names] for state in states)]
    return torch.stack([torch.linalg.vector_norm(torch.cat([t.flatten() for t in way])) for way in ways])
