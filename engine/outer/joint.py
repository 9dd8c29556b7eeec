"""Joint training: one model with one head on examples of all training classes or tasks together
(pretraining)."""

import torch

from engine.adaptation.heads import BIAS, WEIGHT
from engine.adaptation.losses import Kind, task_loss, task_metric
from engine.models import Body, Parameters
from engine.models.blocks import WHOLE_BATCH, linear
from engine.tasks.episodes import Examples


def joint_gradient(
    body: Body, kind: Kind, meta_parameters: Parameters, examples: Examples
) -> tuple[Parameters, float, float]:
    """The gradient of the mean loss over a batch of examples, by name; the loss; its accuracy or squared
    error."""
    leaves = {n: p.detach().requires_grad_() for n, p in meta_parameters.items()}
    features = body(leaves, examples.x, WHOLE_BATCH)
    outputs = linear(features, leaves[WEIGHT], leaves[BIAS])
    loss = task_loss(kind, outputs, examples.y).mean()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    metric = task_metric(kind, outputs.detach(), examples.y).mean()
    return dict(zip(leaves, gradients, strict=True)), loss.item(), metric.item()
