"""Layers as pure functions that work on all tasks of a batch at once.

A parameter either has a leading task axis (each task has adapted its own copy) or has none (all tasks share
it).
Inputs always have one: `[T, B, ...]` for T tasks of B examples.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor

EPSILON = 1e-5


class BatchStatistics(NamedTuple):
    """Whose mean and variance normalise a batch.

    The B examples of a task fall into `groups` equal consecutive groups, each normalised by itself, by the
    statistics of its first `reference` examples (none: of all of them).
    """

    groups: int = 1
    reference: int | None = None


WHOLE_BATCH = BatchStatistics()


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`x [T, B, I]`, weight `[O, I]` or `[T, O, I]` and bias `[O]` or `[T, O]` give `[T, B, O]`."""
    if weight.dim() == 2 and bias.dim() == 1:
        return functional.linear(x, weight, bias)
    weight = weight if weight.dim() == 3 else weight.expand(x.shape[0], *weight.shape)
    bias = bias if bias.dim() == 2 else bias.expand(x.shape[0], *bias.shape)
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))


def normalise(x: Tensor, scale: Tensor, shift: Tensor, reduced: tuple[int, ...], reference: Tensor) -> Tensor:
    """Batch normalisation (Ioffe & Szegedy 2015), written out: its second derivatives are autograd's own.

    Args:
        x: any shape.
        scale, shift: broadcast against `x`.
        reduced: the axes over which mean and (biased) variance are taken.
        reference: the part of `x` that gives the statistics, of equal rank.
    """
    variance, mean = torch.var_mean(reference, reduced, correction=0, keepdim=True)
    gain = torch.rsqrt(variance + EPSILON) * scale
    return torch.addcmul(shift - mean * gain, x, gain)


def normalise_features(x: Tensor, scale: Tensor, shift: Tensor, statistics: BatchStatistics) -> Tensor:
    """Batch normalisation of `x [T, B, D]` over examples; `scale`, `shift` are `[D]` or `[T, D]`."""
    tasks, examples, size = x.shape
    grouped = x.reshape(tasks, statistics.groups, examples // statistics.groups, size)
    reference = grouped if statistics.reference is None else grouped[:, :, : statistics.reference]
    scale, shift = (p.reshape(-1, 1, 1, size) for p in (scale, shift))
    return normalise(grouped, scale, shift, (2,), reference).reshape(x.shape)


def normalise_maps(
    x: Tensor, scale: Tensor, shift: Tensor, tasks: int, statistics: BatchStatistics
) -> Tensor:
    """Batch normalisation of maps over examples and positions, each task by itself.

    Args:
        x: `[B, T * C, H, W]` (a channel belongs to one task).
        scale, shift: `[C]` or `[T, C]`.
    """
    channels = x.shape[1] // tasks
    scale, shift = (p.expand(tasks, channels).reshape(-1) for p in (scale, shift))
    if statistics == WHOLE_BATCH:
        # A channel belongs to one task, so PyTorch's kernel normalises each task by itself. Its second
        # derivatives are right as long as no vmap is over it; the tests hold them against finite differences.
        return functional.batch_norm(x, None, None, scale, shift, training=True, eps=EPSILON)
    scale, shift = (p.reshape(1, -1, 1, 1) for p in (scale, shift))
    grouped = x.reshape(statistics.groups, x.shape[0] // statistics.groups, *x.shape[1:])
    reference = grouped if statistics.reference is None else grouped[:, : statistics.reference]
    return normalise(grouped, scale.unsqueeze(0), shift.unsqueeze(0), (1, 3, 4), reference).reshape(x.shape)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, tasks: int, stride: int) -> Tensor:
    """3x3 convolution, padding 1, of `x [B, T * C, H, W]`, each task's channels by its own filters.

    `weight [O, C, 3, 3]` (then T is 1, or the filters are repeated) or `[T, O, C, 3, 3]`; returns `[B, T * O,
    H', W']`.
    """
    if weight.dim() == 4:
        weight = weight.expand(tasks, *weight.shape)
    if bias is not None:
        bias = bias.expand(tasks, weight.shape[1]).reshape(-1)
    return functional.conv2d(x, weight.flatten(0, 1), bias, stride=stride, padding=1, groups=tasks)
