"""Fully connected bodies: the sine's 1-40-40 and the "no conv" Omniglot net 256-128-64-64 (Finn 2017)."""

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.models.blocks import BatchStatistics, linear, norm_of, normalise_features
from engine.models.body import Parameters, linear_parameters


class Mlp:
    """Linear layers, each with ReLU and, if asked, batch normalisation before it; input `x [T, B, ...]` is
    flattened."""

    def __init__(self, inputs: int, hidden: tuple[int, ...], norm: str) -> None:
        self.sizes = (inputs, *hidden)
        self.norm = norm
        self.feature_size, self.widest_layer = hidden[-1], max(hidden)
        self.kernels = False
        """Whether the fused core may take whole walks on this body."""

    def initial_parameters(self, generator: torch.Generator) -> Parameters:
        """Weights and biases uniform in ± 1/√inputs; scale one, shift zero."""
        parameters: Parameters = {}
        for layer, (inputs, outputs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False), start=1):
            weight, bias = linear_parameters(inputs, outputs, generator)
            parameters |= {f"linear{layer}.weight": weight, f"linear{layer}.bias": bias}
            if self.norm == "batch":
                parameters |= {
                    f"norm{layer}.scale": torch.ones(outputs),
                    f"norm{layer}.shift": torch.zeros(outputs),
                }
        return parameters

    def __call__(self, parameters: Parameters, x: Tensor, statistics: BatchStatistics) -> Tensor:
        """Features `[T, B, D]`."""
        features = x.flatten(2)
        for layer in range(1, len(self.sizes)):
            features = linear(
                features, parameters[f"linear{layer}.weight"], parameters[f"linear{layer}.bias"]
            )
            if self.norm == "batch":
                name = f"norm{layer}"
                features = normalise_features(features, norm_of(parameters, name), statistics, name)
            features = functional.relu(features)
        return features
