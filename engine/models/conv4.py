"""Four blocks of 3x3 convolution, batch normalisation, ReLU and pooling: the field's standard body.

Vinyals 2016; strided in place of pooled for Omniglot in Finn 2017.
"""

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.fused.body import Net
from engine.models.blocks import BatchStatistics, convolve, norm_of, normalise_maps
from engine.models.body import Parameters

BLOCKS = 4


class Conv4:
    """The body for images `x [T, B, C, H, W]`."""

    def __init__(
        self, image_shape: tuple[int, int, int], filters: int, pooling: str, features: str, norm: str
    ) -> None:
        self.channels, height, width = image_shape
        self.filters, self.pooling, self.features, self.norm = filters, pooling, features, norm
        first = -(-height // 2) * -(-width // 2) if pooling == "stride" else height * width
        self.widest_layer = filters * first
        self.net = Net(BLOCKS, pooling == "stride", features == "mean")
        self.kernels = False
        """Whether the fused core does what it can of this body's passes."""
        for _ in range(BLOCKS):
            height, width = (
                ((height + 1) // 2, (width + 1) // 2) if pooling == "stride" else (height // 2, width // 2)
            )
        self.feature_size = filters if features == "mean" else filters * height * width

    def initial_parameters(self, generator: torch.Generator) -> Parameters:
        """He-normal filters; scale one and shift zero, or zero biases where there is no normalisation."""
        parameters: Parameters = {}
        channels = self.channels
        for block in range(1, BLOCKS + 1):
            shape = (self.filters, channels, 3, 3)
            deviation = (2 / (9 * channels)) ** 0.5
            parameters[f"conv{block}.weight"] = torch.randn(shape, generator=generator) * deviation
            if self.norm == "batch":
                parameters[f"norm{block}.scale"] = torch.ones(self.filters)
                parameters[f"norm{block}.shift"] = torch.zeros(self.filters)
            else:
                parameters[f"conv{block}.bias"] = torch.zeros(self.filters)
            channels = self.filters
        return parameters

    def __call__(self, parameters: Parameters, x: Tensor, statistics: BatchStatistics) -> Tensor:
        """Features `[T, B, D]`.

        Filters of each task's own run as one grouped convolution. Where all tasks share them and examples
        need no normalising together, tasks are simply more examples.
        """
        if self.kernels and self._fits_kernels(parameters, x, statistics):
            return self._by_kernels(parameters, x, statistics)
        tasks, examples = x.shape[:2]
        shared = all(p.dim() in (1, 4) for n, p in parameters.items() if n.startswith(("conv", "norm")))
        if shared and tasks > 1:
            groups = statistics._replace(groups=tasks * statistics.groups)
            maps = self._blocks(parameters, x.flatten(0, 1), 1, groups)
            return self._features(maps).reshape(tasks, examples, -1)
        maps = self._blocks(parameters, x.transpose(0, 1).flatten(1, 2), tasks, statistics)
        maps = maps.reshape(examples, tasks, self.filters, *maps.shape[2:]).transpose(0, 1)
        return self._features(maps.flatten(0, 1)).reshape(tasks, examples, -1)

    def _fits_kernels(self, parameters: Parameters, x: Tensor, statistics: BatchStatistics) -> bool:
        """Whether the kernels can do this pass."""
        known = self.channels in (1, 3) and statistics.reference is None and "norm1.mean" not in parameters
        return known and not x.requires_grad

    def _by_kernels(self, parameters: Parameters, x: Tensor, statistics: BatchStatistics) -> Tensor:
        """The same by the fused core; examples that are normalised apart are tasks of their own."""
        from engine.fused.features import features

        tasks, groups = x.shape[0], statistics.groups
        if groups > 1:
            x = x.unflatten(1, (groups, -1)).flatten(0, 1)
            parameters = {
                n: p.repeat_interleave(groups, 0) if p.shape[0] == tasks and p.dim() in (2, 5) else p
                for n, p in parameters.items()
                if n.startswith(("conv", "norm"))
            }
        found = features(self.net, parameters, x, statistics.observed)
        return found.unflatten(0, (tasks, groups)).flatten(1, 2) if groups > 1 else found

    def _blocks(
        self, parameters: Parameters, maps: Tensor, tasks: int, statistics: BatchStatistics
    ) -> Tensor:
        for block in range(1, BLOCKS + 1):
            weight, bias = parameters[f"conv{block}.weight"], parameters.get(f"conv{block}.bias")
            maps = convolve(maps, weight, bias, tasks, stride=2 if self.pooling == "stride" else 1)
            if self.norm == "batch":
                name = f"norm{block}"
                maps = normalise_maps(maps, norm_of(parameters, name), tasks, statistics, name)
            maps = functional.relu(maps)
            if self.pooling == "max":
                maps = functional.max_pool2d(maps, 2)
        return maps

    def _features(self, maps: Tensor) -> Tensor:
        return maps.mean((-2, -1)) if self.features == "mean" else maps.flatten(1)
