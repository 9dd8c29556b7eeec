"""How one inner step moves parameters along their gradients: plain descent, momentum, Adam.

What an update carries from step to step is part of the state, so that a chain through it is differentiable.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.adaptation.rule import State
from engine.models import Parameters
from engine.presets.schema import Adaptation

EPSILON = 1e-8
SECOND = "second."
"""What a carried second moment is called, in the state `[T, ...]` and among what is kept `[...]`."""
FIRST, VELOCITY = "first.", "velocity."
STEPS = "second.steps"
"""How many inner steps the kept second moments have seen: a number without axes."""
Rates = Callable[[str], float | Tensor]
StepsBefore = Callable[[str], float | Tensor]


def carried_names(adaptation: Adaptation) -> tuple[str, ...]:
    """What the update carries beside each parameter, as prefixes of its name."""
    return {"sgd": (), "momentum": (VELOCITY,), "adam": (FIRST, SECOND)}[adaptation.update]


def carried_start(adaptation: Adaptation, state: State, adapted: Sequence[str], kept: Parameters) -> State:
    """What an update carries before the first step: zeros, or second moments kept from training."""
    found: State = {}
    for prefix in carried_names(adaptation):
        for name in adapted:
            known = kept.get(prefix + name)
            zeros = torch.zeros_like(state[name])
            found[prefix + name] = zeros if known is None else known.expand_as(zeros)
    return found


def carried_moments(adapted: Parameters) -> Parameters:
    """Second moments that go on from task to task, before any: zeros, and no steps seen."""
    zeros = {SECOND + name: torch.zeros_like(parameter) for name, parameter in adapted.items()}
    return zeros | {STEPS: torch.zeros(())}


def updated(
    adaptation: Adaptation,
    state: State,
    gradients: Parameters,
    rates: Rates,
    number: int,
    steps_before: StepsBefore,
) -> State:
    """What step `number` (from 0) changes of a state: the parameters, and what is carried with them.

    Args:
        gradients: `[T, ...]` of each parameter that adapts.
        rates: the rate of a parameter by its name.
        steps_before: how many steps a parameter's second moment had seen before this task.
    """
    if adaptation.update == "sgd":
        return {n: _descended(state[n], g, rates(n)) for n, g in gradients.items()}
    if adaptation.update == "momentum":
        return _momentum(adaptation, state, gradients, rates)
    return _adam(adaptation, state, gradients, rates, number, steps_before)


def _descended(parameter: Tensor, direction: Tensor, rate: float | Tensor) -> Tensor:
    if isinstance(rate, Tensor):
        return torch.addcmul(parameter, rate, direction, value=-1)
    return torch.sub(parameter, direction, alpha=rate)


def _momentum(adaptation: Adaptation, state: State, gradients: Parameters, rates: Rates) -> State:
    """v ← μ v + g, θ ← θ − rate · v (the heavy ball, as torch.optim.SGD has it)."""
    found: State = {}
    for name, gradient in gradients.items():
        velocity = torch.add(gradient, state[VELOCITY + name], alpha=adaptation.momentum)
        found[VELOCITY + name] = velocity
        found[name] = _descended(state[name], velocity, rates(name))
    return found


def _adam(
    adaptation: Adaptation,
    state: State,
    gradients: Parameters,
    rates: Rates,
    number: int,
    steps_before: StepsBefore,
) -> State:
    """Adam (Kingma & Ba 2015, algorithm 1); first moments begin anew in each task."""
    decay, second_decay = adaptation.betas
    bias = 1 - decay ** (number + 1)
    found: State = {}
    for name, gradient in gradients.items():
        first = torch.lerp(gradient, state[FIRST + name], decay)
        second = torch.lerp(gradient.square(), state[SECOND + name], second_decay)
        found[FIRST + name], found[SECOND + name] = first, second
        second_bias = 1 - second_decay ** (steps_before(name) + number + 1)
        # The root's slope at zero is infinite: an entry that never had a gradient stays where it is.
        moved = second > 0
        root = torch.where(moved, second / second_bias, 1.0).sqrt()
        direction = torch.where(moved, first / bias / (root + EPSILON), 0.0)
        found[name] = _descended(state[name], direction, rates(name))
    return found
