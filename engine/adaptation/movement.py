"""How far adaptation moves each layer: where a model adapts, and where it reuses what it has."""

from collections.abc import Callable, Sequence

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
    first = states[0]
    if not all(first.keys() == state.keys() for state in states):
        return {}
    layers: dict[str, list[str]] = {}
    for name in first:
        if first[name].is_floating_point():
            layers.setdefault(name.rpartition(".")[0] or name, []).append(name)
    squares = [_squares(states, names) for names in layers.values()]
    found: dict[str, list[float | None]] = {}
    for layer, lengths in zip(layers, summed(squares), strict=True):
        size, *distances = lengths.sqrt().tolist()
        if any(distances):
            found[layer] = [float(f"{d / size:.4g}") if size else None for d in distances]
    return found


def _squares(states: Sequence[State], names: list[str]) -> Tensor:
    """The squared lengths of a layer in the first state and of its way from there to each: float64 `[1 + S]`
    on the CPU."""
    first = states[0]
    lengths = [_norm([first[n] for n in names])]
    lengths += [_norm([state[n] - first[n] for n in names]) for state in states]
    return torch.tensor(lengths, dtype=torch.float64).square()


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.linalg.vector_norm(torch.cat([t.flatten() for t in tensors])))
