"""What a paper's own code does: one task after the other, PyTorch's own layers, one autograd graph through
the inner loop. The engine's paths are checked and timed against it."""

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.adaptation.heads import BIAS, WEIGHT
from engine.models import Parameters
from engine.presets.schema import Spec
from engine.tasks.episodes import Episodes


def plain_meta_gradient(spec: Spec, meta_parameters: Parameters, episodes: Episodes) -> Parameters:
    """Second-order MAML, one task after the other: the mean over tasks of ∂ query loss / ∂ initialisation."""
    leaves = {n: p.detach().requires_grad_() for n, p in meta_parameters.items()}
    total = {n: torch.zeros_like(p) for n, p in leaves.items()}
    tasks = len(episodes.indices)
    for task in range(tasks):
        adapted = _adapted(spec, leaves, episodes.support_x[task], episodes.support_y[task], True)
        outputs = _outputs(spec, adapted, episodes.query_x[task])
        outer = _loss(spec, outputs, episodes.query_y[task])
        for name, gradient in zip(leaves, torch.autograd.grad(outer, list(leaves.values())), strict=True):
            total[name] += gradient / tasks
    return total


def plain_scores(spec: Spec, meta_parameters: Parameters, episodes: Episodes) -> Tensor:
    """Each episode's accuracy `[E]` after the last step, one episode after the other."""
    start = {n: p.detach().requires_grad_() for n, p in meta_parameters.items()}
    found = []
    for x, y, query_x, query_y in zip(
        episodes.support_x, episodes.support_y, episodes.query_x, episodes.query_y, strict=True
    ):
        adapted = _adapted(spec, start, x, y, False)
        with torch.no_grad():
            found.append((_outputs(spec, adapted, query_x).argmax(-1) == query_y).double().mean())
    return torch.stack(found)


def _adapted(spec: Spec, start: Parameters, x: Tensor, y: Tensor, graph: bool) -> Parameters:
    """One task's parameters after the inner loop, with its graph or without."""
    rate = spec.adaptation.learning_rate
    assert isinstance(rate, float)
    adapted = start
    for _ in range(spec.adaptation.steps):
        loss = _loss(spec, _outputs(spec, adapted, x), y)
        gradients = torch.autograd.grad(loss, list(adapted.values()), create_graph=graph)
        adapted = {n: p - rate * g for (n, p), g in zip(adapted.items(), gradients, strict=True)}
        if not graph:
            adapted = {n: p.detach().requires_grad_() for n, p in adapted.items()}
    return adapted


def _loss(spec: Spec, outputs: Tensor, y: Tensor) -> Tensor:
    return (
        functional.mse_loss(outputs, y)
        if spec.task.dataset == "sine"
        else functional.cross_entropy(outputs, y)
    )


def _outputs(spec: Spec, parameters: Parameters, x: Tensor) -> Tensor:
    return functional.linear(_features(spec, parameters, x), parameters[WEIGHT], parameters[BIAS])


def _features(spec: Spec, parameters: Parameters, x: Tensor) -> Tensor:
    if spec.model.name == "mlp":
        for layer in range(1, len(spec.model.hidden) + 1):
            weight, bias = parameters[f"linear{layer}.weight"], parameters[f"linear{layer}.bias"]
            x = functional.linear(x, weight, bias).relu()
        return x
    strided = spec.model.pooling == "stride"
    for block in range(1, 5):
        x = functional.conv2d(x, parameters[f"conv{block}.weight"], None, 2 if strided else 1, 1)
        scale, shift = parameters[f"norm{block}.scale"], parameters[f"norm{block}.shift"]
        x = functional.relu(functional.batch_norm(x, None, None, scale, shift, training=True))
        x = x if strided else functional.max_pool2d(x, 2)
    return x.flatten(1)
