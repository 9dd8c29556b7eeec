"""What every body is: parameters by name, and a pure function from them and a batch to features."""

from typing import Protocol

import torch
from torch import Tensor

from engine.models.blocks import BatchStatistics

Parameters = dict[str, Tensor]


class Body(Protocol):
    """A feature extractor for all tasks at once.

    `feature_size` is D, `widest_layer` the most values that a layer gives for one example.
    `initial_parameters(generator)` draws float32 parameters on the CPU, without a task axis. Calling it with
    parameters (each with or without a leading task axis) and `x [T, B, ...]` gives features `[T, B, D]`.
    """

    feature_size: int
    widest_layer: int

    def initial_parameters(self, generator: torch.Generator) -> Parameters: ...

    def __call__(self, parameters: Parameters, x: Tensor, statistics: BatchStatistics) -> Tensor: ...


def uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """A tensor drawn uniformly from ± bound."""
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound


def linear_parameters(inputs: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weight `[O, I]` and bias `[O]`, uniform in ± 1/√I."""
    bound = inputs**-0.5
    return uniform((outputs, inputs), bound, generator), uniform((outputs,), bound, generator)
