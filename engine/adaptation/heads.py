"""Heads: the last linear layer, and where it starts in each task."""

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.models import Parameters
from engine.presets.names import HEAD_NAMES
from engine.tasks.draws import Stream, normal, stream_key
from engine.tasks.episodes import Episodes

HEAD = HEAD_NAMES
WEIGHT, BIAS = HEAD


def zero_head(tasks: int, outputs: int, size: int, like: Tensor) -> Parameters:
    """All zeros: weight `[T, O, D]`, bias `[T, O]`."""
    return {WEIGHT: like.new_zeros(tasks, outputs, size), BIAS: like.new_zeros(tasks, outputs)}


def random_head(index: Tensor, outputs: int, size: int, like: Tensor, stream: Stream) -> Parameters:
    """Normal weights of variance 1/D, drawn for each task by its index alone; zero biases.

    `stream` names the draws: whatever the run's seed and the algorithm, test task i starts from the same
    random head.
    """
    drawn = normal(stream_key("random head", *stream), index, outputs * size)
    weight = drawn.reshape(-1, outputs, size) * size**-0.5
    return {WEIGHT: weight.to(like.device, like.dtype), BIAS: like.new_zeros(len(index), outputs)}


def class_means(features: Tensor, labels: Tensor, outputs: int) -> Tensor:
    """The mean feature of each class: `[T, O, D]` from `features [T, S, D]` and `labels [T, S]`."""
    membership = functional.one_hot(labels, outputs).to(features.dtype)
    counts = membership.sum(1).clamp(min=1).unsqueeze(-1)
    return membership.transpose(1, 2) @ features / counts


def mean_head(features: Tensor, labels: Tensor, outputs: int) -> Parameters:
    """The linear layer whose logits are minus the squared distances to the class means μ, up to a constant of
    the query: weight 2μ, bias −|μ|² (Snell 2017, equation 8).

    Args:
        features: `[T, S, D]` of the support set.
        labels: `[T, S]`.
    """
    means = class_means(features, labels, outputs)
    return {WEIGHT: 2 * means, BIAS: -means.square().sum(-1)}


STORED = "stored."
"""What a table with one head for each task of a finite set is called, `stored.head.weight [tasks, O, D]`:
among what is kept where adapted heads are written back, among the meta-parameters where the outer loop
moves it."""


def stored_heads(
    tasks: int, outputs: int, size: int, new_head: str, names: Sequence[str], stream: Stream
) -> Parameters:
    """The table before any task came, on the CPU; `names` are what a head has."""
    everyone, like = torch.arange(tasks), torch.zeros(())
    if new_head == "zero":
        heads = zero_head(tasks, outputs, size, like)
    else:
        heads = random_head(everyone, outputs, size, like, stream)
    return {STORED + name: heads[name] for name in names}


def _named(tables: Parameters) -> list[str]:
    """The parameters that stored heads have."""
    return [name for name in HEAD if STORED + name in tables]


def read_heads(tables: Parameters, identity: Tensor) -> Parameters:
    """The stored heads of these tasks `[T]`."""
    return {name: tables[STORED + name][identity] for name in _named(tables)}


def write_heads(tables: Parameters, identity: Tensor, heads: Parameters) -> None:
    """Puts adapted heads back; of a task that stands twice in the batch, the later counts."""
    position = torch.arange(len(identity), device=identity.device)
    last = identity.new_zeros(len(tables[STORED + WEIGHT]))
    last = last.scatter_reduce(0, identity, position, "amax", include_self=False)
    kept = last[identity] == position
    for name in _named(tables):
        tables[STORED + name][identity[kept]] = heads[name][kept].detach()


def made_head(
    kind: str, task: Episodes, outputs: int, size: int, support_features: Tensor | None, stream: Stream
) -> Parameters:
    """A head that is made for each task: `zero`, `random`, or `means` (of `support_features`)."""
    if kind == "means":
        assert support_features is not None
        return mean_head(support_features, task.support_y, outputs)
    if kind == "random":
        return random_head(task.indices, outputs, size, task.support_x, stream)
    return zero_head(len(task.indices), outputs, size, task.support_x)
