"""Bodies of torchvision (ResNet-18 and -34), by the generic path: pure functions of their parameters.

Tasks that have adapted their own parameters run one after the other: `torch.func.vmap` over batch
normalisation gives wrong second derivatives. Their norms are our own, so that statistics come from where the
protocol says. Weights are drawn anew; none are fetched.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from engine.devices import INSTALL_TORCHVISION
from engine.errors import RequestError
from engine.models.blocks import BatchStatistics, Norm, Observed, normalise_maps
from engine.models.body import Parameters

FEATURES = 512
"""Channels of the last maps, which are a 32nd of the image's side (rounded up) large."""


class Pass:
    """How the norms of one module normalise the pass that it is at: one such is shared by all of them."""

    def __init__(self) -> None:
        self.statistics = BatchStatistics()
        self.running: Mapping[str, Tensor] = {}


class ScaleAndShift(nn.Module):
    """In the place of torchvision's batch norms: our normalisation, its parameters `scale` and `shift`."""

    def __init__(self, channels: int, current: Pass) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.name, self.current = "", current

    def forward(self, maps: Tensor) -> Tensor:
        """Maps `[B, C, H, W]`, normalised as the pass says."""
        running = self.current.running
        mean, variance = running.get(f"{self.name}.mean"), running.get(f"{self.name}.variance")
        norm = Norm(self.scale, self.shift, mean, variance)
        return normalise_maps(maps, norm, 1, self.current.statistics, self.name)


class TorchvisionBody:
    """A backbone of torchvision without its last layer, for images `x [T, B, C, H, W]`.

    Raises:
        RequestError: torchvision is not installed.
    """

    def __init__(self, backbone: str, image_shape: tuple[int, int, int], features: str) -> None:
        self.channels, height, width = image_shape
        self.current = Pass()
        # Shapes without memory: parameters are given to each call.
        with torch.device("meta"):
            self.module = self._module(backbone, features)
        self.shapes = {name: p.shape for name, p in self.module.named_parameters()}
        positions = 1 if features == "mean" else -(-height // 32) * -(-width // 32)
        self.feature_size = FEATURES * positions
        self.widest_layer = 64 * -(-height // 2) * -(-width // 2)

    def _module(self, backbone: str, features: str) -> nn.Module:
        try:
            models: Any = importlib.import_module("torchvision.models")
        except ImportError:
            raise RequestError(f"model.name torchvision: {INSTALL_TORCHVISION}") from None
        network: nn.Module = getattr(models, backbone)(
            weights=None, norm_layer=lambda channels: ScaleAndShift(channels, self.current)
        )
        network.fc = nn.Identity()
        if features == "flatten":
            network.avgpool = nn.Identity()
        if self.channels != 3:
            network.conv1 = nn.Conv2d(self.channels, 64, 7, stride=2, padding=3, bias=False)
        for name, module in network.named_modules():
            if isinstance(module, ScaleAndShift):
                module.name = name
        return network

    def initial_parameters(self, generator: torch.Generator) -> Parameters:
        """He-normal filters (by outputs, as torchvision's own); scale one and shift zero."""
        parameters: Parameters = {}
        for name, shape in self.shapes.items():
            if len(shape) == 4:
                deviation = (2 / (shape[0] * shape[2] * shape[3])) ** 0.5
                parameters[name] = torch.randn(shape, generator=generator) * deviation
            else:
                made = torch.ones if name.endswith(".scale") else torch.zeros
                parameters[name] = made(shape)
        return parameters

    def __call__(self, parameters: Parameters, x: Tensor, statistics: BatchStatistics) -> Tensor:
        """Features `[T, B, D]`; where all tasks share all parameters, tasks are simply more examples."""
        tasks, examples = x.shape[:2]
        own = {name: parameters[name] for name in self.shapes}
        running = {n: p for n, p in parameters.items() if n.endswith((".mean", ".variance"))}
        apart = {name for name, p in own.items() if p.dim() > len(self.shapes[name])}
        if not apart:
            groups = statistics._replace(groups=tasks * statistics.groups)
            return self._features(own, x.flatten(0, 1), groups, running).reshape(tasks, examples, -1)
        found = []
        seen: list[Observed] = []
        for task in range(tasks):
            mine = {name: p[task] if name in apart else p for name, p in own.items()}
            observed: Observed | None = None if statistics.observed is None else {}
            one = self._features(mine, x[task], statistics._replace(observed=observed), running)
            found.append(one)
            seen += [] if observed is None else [observed]
        if statistics.observed is not None:
            for name in seen[0]:
                mean, variance = zip(*(each[name] for each in seen), strict=True)
                statistics.observed[name] = (torch.cat(mean), torch.cat(variance))
        return torch.stack(found)

    def _features(
        self, parameters: Parameters, x: Tensor, statistics: BatchStatistics, running: Mapping[str, Tensor]
    ) -> Tensor:
        """Features `[B, D]` of images `[B, C, H, W]`."""
        self.current.statistics, self.current.running = statistics, running
        found: Tensor = functional_call(self.module, parameters, (x,))
        return found
