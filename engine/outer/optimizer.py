"""The outer optimizer: PyTorch's own, over meta-parameters by name."""

from typing import Any

import torch

from engine.models import Parameters
from engine.presets.schema import Outer


class OuterOptimizer:
    """Steps meta-parameters in place against a meta-gradient; its state goes into checkpoints."""

    def __init__(self, outer: Outer, meta_parameters: Parameters) -> None:
        self.meta_parameters = meta_parameters
        self.clip = outer.clip
        tensors = list(meta_parameters.values())
        self.optimizer: torch.optim.Optimizer
        if outer.optimizer == "adam":
            # One fused kernel: on small models a step of many small kernels costs more than the mathematics.
            self.optimizer = torch.optim.Adam(
                tensors, outer.learning_rate, fused=tensors[0].device.type != "mps"
            )
        else:
            nesterov = outer.optimizer == "nesterov"
            momentum = 0.9 if nesterov else 0.0
            self.optimizer = torch.optim.SGD(tensors, outer.learning_rate, momentum, nesterov=nesterov)

    def step(self, gradient: Parameters, rate: float) -> None:
        """One step at this rate; each entry of the gradient is first clamped to ± clip, if one is set."""
        for name, parameter in self.meta_parameters.items():
            share = gradient[name]
            parameter.grad = share if self.clip is None else share.clamp(-self.clip, self.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return self.optimizer.state_dict()

    def load(self, state: dict[str, Any]) -> None:
        """Takes up a checkpoint's state."""
        self.optimizer.load_state_dict(state)
