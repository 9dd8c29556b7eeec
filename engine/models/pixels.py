"""No body at all: an image's features are its values. What remains is the adaptation rule."""

import torch
from torch import Tensor

from engine.models.blocks import BatchStatistics
from engine.models.body import Parameters


class Pixels:
    """The identity on flattened images `x [T, B, C, H, W]`."""

    def __init__(self, inputs: int) -> None:
        self.feature_size = self.widest_layer = inputs

    def initial_parameters(self, generator: torch.Generator) -> Parameters:
        """None: there is nothing to learn."""
        return {}

    def __call__(self, parameters: Parameters, x: Tensor, statistics: BatchStatistics) -> Tensor:
        """Features `[T, B, C * H * W]`."""
        return x.flatten(2)
