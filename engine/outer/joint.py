"""Joint training: one model with one head on examples of all training classes or tasks together
(pretraining)."""

import torch
from torch import Tensor

from engine.adaptation.apply_head import apply_head
from engine.adaptation.losses import Kind, task_loss
from engine.models import Body, Parameters
from engine.models.blocks import BatchStatistics, Noise, Observed
from engine.tasks.episodes import Examples


def joint_gradient(
    body: Body,
    kind: Kind,
    meta_parameters: Parameters,
    examples: Examples,
    observed: Observed | None = None,
    head_scale: float | None = None,
) -> tuple[Parameters, Tensor, Tensor]:
    """The gradient of the mean loss over a batch of examples, by name; the loss, a scalar on its device; the
    outputs `[1, B, O]`.

    The batch's statistics are written into `observed`; with a `head_scale` the head is a cosine classifier.
    """
    leaves = {n: p.detach().requires_grad_() for n, p in meta_parameters.items()}
    noise = Noise(examples.indices, "joint")
    features = body(leaves, examples.x, BatchStatistics(observed=observed, noise=noise))
    outputs = apply_head(features, leaves, head_scale)
    loss = task_loss(kind, outputs, examples.y).mean()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return dict(zip(leaves, gradients, strict=True)), loss.detach(), outputs.detach().to(loss.dtype)
