"""How far adaptation moves each layer: where a model adapts, and where it reuses what it has."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.adaptation.rule import State


@torch.no_grad()
def moved(states: Sequence[State]) -> dict[str, list[float | None]]:
    """For each layer that moves, |θ − θ₀| / |θ₀| in each state, over all tasks in it together; None where θ₀
    is zero. Nothing where states do not hold the same parameters."""
    first = states[0]
    if not all(first.keys() == state.keys() for state in states):
        return {}
    layers: dict[str, list[str]] = {}
    for name in first:
        if first[name].is_floating_point():
            layers.setdefault(name.rpartition(".")[0] or name, []).append(name)
    found: dict[str, list[float | None]] = {}
    for layer, names in layers.items():
        size = _norm([first[n] for n in names])
        distances = [_norm([state[n] - first[n] for n in names]) for state in states]
        if any(distances):
            found[layer] = [float(f"{d / size:.4g}") if size else None for d in distances]
    return found


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.linalg.vector_norm(torch.cat([t.flatten() for t in tensors])))
