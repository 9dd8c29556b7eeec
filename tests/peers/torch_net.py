"""The problem's network as PyTorch's users write it, for the peers that take a module."""

from collections import OrderedDict

import torch
from peer import Arrays, Problem
from torch import Tensor, nn

KEPT = {"scale": "weight", "shift": "bias"}
"""What a normalisation's parameters are called in PyTorch."""


class Torch:
    """The problem for PyTorch: a module, its loss, and each task's examples."""

    def __init__(self, problem: Problem, threads: int) -> None:
        torch.set_num_threads(threads)
        self.problem = problem
        self.module = _module(problem)
        self.loss = nn.functional.cross_entropy if problem.images else nn.functional.mse_loss
        support, query = ([torch.from_numpy(a) for a in part] for part in (problem.support, problem.query))
        self.tasks: list[tuple[Tensor, ...]] = list(zip(*support, *query, strict=True))
        """`(support_x, support_y, query_x, query_y)` of each task."""

    def mean_gradient(self, _: object) -> Arrays:
        """The mean over tasks of the gradient that backward passes have summed up, by kshot's names."""
        called = {value: key for key, value in KEPT.items()}
        found: Arrays = {}
        for name, parameter in self.module.named_parameters():
            layer, part = name.split(".")
            assert parameter.grad is not None
            part = called[part] if layer.startswith("norm") else part
            found[f"{layer}.{part}"] = (parameter.grad / self.problem.tasks).numpy()
        return found


def _module(problem: Problem) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, value in problem.parameters.items():
        layer, part = name.split(".")
        if part == "scale":
            # Batch statistics always, as the papers' own code has it.
            layers[layer] = nn.BatchNorm2d(len(value), track_running_stats=False)
            layers[f"relu of {layer}"] = nn.ReLU()
            if not problem.strided:
                layers[f"pool of {layer}"] = nn.MaxPool2d(2)
        elif part == "weight" and layer.startswith("conv"):
            stride = 2 if problem.strided else 1
            layers[layer] = nn.Conv2d(value.shape[1], value.shape[0], 3, stride, padding=1, bias=False)
        elif part == "weight":
            if layer == "head" and problem.images:
                layers["flat"] = nn.Flatten()
            layers[layer] = nn.Linear(value.shape[1], value.shape[0])
            if layer != "head":
                layers[f"relu of {layer}"] = nn.ReLU()
    module = nn.Sequential(layers)
    values = {
        f"{layer}.{KEPT.get(part, part)}": torch.from_numpy(value)
        for (layer, part), value in ((name.split("."), v) for name, v in problem.parameters.items())
    }
    module.load_state_dict(values)
    return module
