"""Losses and metrics of each task: cross-entropy and accuracy for classes, squared error for values."""

from typing import Literal

import torch.nn.functional as functional
from torch import Tensor

Kind = Literal["classes", "values"]


def task_loss(kind: Kind, outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Loss `[T]` of each task, meaned or summed over its examples.

    Cross-entropy of `outputs [T, B, N]` and labels `[T, B]`, or the squared error of `[T, B, 1]` and `[T, B,
    1]`.
    """
    if kind == "classes":
        losses = functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
        losses = losses.reshape(*targets.shape, 1)
    else:
        losses = functional.mse_loss(outputs, targets, reduction="none")
    return losses.sum((1, 2)) if reduction == "sum" else losses.mean((1, 2))


def task_metric(kind: Kind, outputs: Tensor, targets: Tensor) -> Tensor:
    """Accuracy (a fraction) or mean squared error `[T]` of each task; an output that is not finite is a wrong
    answer."""
    if kind == "classes":
        right = (outputs.argmax(-1) == targets) & outputs.isfinite().all(-1)
        return right.to(outputs.dtype).mean(1)
    return (outputs - targets).square().mean((1, 2))
