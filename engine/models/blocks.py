"""Layers as pure functions that work on all tasks of a batch at once.

A parameter either has a leading task axis (each task has adapted its own copy) or has none (all tasks share
it).
Inputs always have one: `[T, B, ...]` for T tasks of B examples.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor

EPSILON = 1e-5


class Noise(NamedTuple):
    """What a training pass's own randomness (DropBlock) is drawn by: the numbers of its tasks `[T]` or its
    examples `[T, B]`, and which pass it is."""

    indices: Tensor
    purpose: str


class BatchStatistics(NamedTuple):
    """Whose mean and variance normalise a batch.

    The B examples of a task fall into `groups` equal consecutive groups, each normalised by itself, by the
    statistics of its first `reference` examples (none: of all of them). What was found is written into
    `observed`, if there is one: by norm, mean and unbiased variance `[T, C]` of each group. `noise` is there
    in training alone: a body that drops features at random drops none without.
    """

    groups: int = 1
    reference: int | None = None
    observed: "Observed | None" = None
    noise: Noise | None = None

    @property
    def whole(self) -> bool:
        """Whether all examples of a task normalise each other."""
        return self.groups == 1 and self.reference is None


class Norm(NamedTuple):
    """A normalisation's parameters, each `[C]` or `[T, C]`; with a mean and a variance, these normalise and
    no batch's."""

    scale: Tensor
    shift: Tensor
    mean: Tensor | None = None
    variance: Tensor | None = None


Observed = dict[str, tuple[Tensor, Tensor]]


def norm_of(parameters: Mapping[str, Tensor], name: str) -> Norm:
    """The normalisation `name` among a body's parameters: NAME.scale and .shift, and .mean and .variance
    where running statistics are to be used."""
    return Norm(
        parameters[f"{name}.scale"],
        parameters[f"{name}.shift"],
        parameters.get(f"{name}.mean"),
        parameters.get(f"{name}.variance"),
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`x [T, B, I]`, weight `[O, I]` or `[T, O, I]` and bias `[O]` or `[T, O]` give `[T, B, O]`."""
    if weight.dim() == 2 and bias.dim() == 1:
        return functional.linear(x, weight, bias)
    weight = weight if weight.dim() == 3 else weight.expand(x.shape[0], *weight.shape)
    bias = bias if bias.dim() == 2 else bias.expand(x.shape[0], *bias.shape)
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))


def normalise(
    x: Tensor, norm: Norm, reduced: tuple[int, ...], reference: Tensor, observed: "Observed | None", name: str
) -> Tensor:
    """Batch normalisation (Ioffe & Szegedy 2015), written out: its second derivatives are autograd's own.

    Args:
        x: `[T', G, ..., C, ...]`, any shape; the parameters of `norm` broadcast against it.
        reduced: the axes over which mean and (biased) variance are taken.
        reference: the part of `x` that gives the statistics, of equal rank.
        observed: where mean and unbiased variance are written under `name`.
    """
    if norm.mean is not None and norm.variance is not None:
        gain = torch.rsqrt(norm.variance + EPSILON) * norm.scale
        return torch.addcmul(norm.shift - norm.mean * gain, x, gain)
    variance, mean = torch.var_mean(reference, reduced, correction=0, keepdim=True)
    if observed is not None:
        count = reference.numel() // mean.numel()
        unbiased = variance.detach() * (count / max(count - 1, 1))
        kept = norm.scale.dtype
        observed[name] = (mean.detach().flatten().to(kept), unbiased.flatten().to(kept))
    gain = torch.rsqrt(variance + EPSILON) * norm.scale
    return torch.addcmul(norm.shift - mean * gain, x, gain)


def normalise_features(x: Tensor, norm: Norm, statistics: BatchStatistics, name: str = "") -> Tensor:
    """Batch normalisation of `x [T, B, D]` over examples; the parameters of `norm` are `[D]` or `[T, D]`."""
    tasks, examples, size = x.shape
    grouped = x.reshape(tasks, statistics.groups, examples // statistics.groups, size)
    reference = grouped if statistics.reference is None else grouped[:, :, : statistics.reference]
    shaped = Norm(*(None if p is None else p.reshape(-1, 1, 1, size) for p in norm))  # type: ignore[arg-type]
    found = normalise(grouped, shaped, (2,), reference, statistics.observed, name).reshape(x.shape)
    _shape_observed(statistics.observed, name, size)
    return found


def normalise_maps(x: Tensor, norm: Norm, tasks: int, statistics: BatchStatistics, name: str = "") -> Tensor:
    """Batch normalisation of maps over examples and positions, each task by itself.

    Args:
        x: `[B, T * C, H, W]` (a channel belongs to one task).
        norm: its parameters are `[C]` or `[T, C]`.
        name: under which statistics are observed.
    """
    channels = x.shape[1] // tasks
    flat = Norm(*(None if p is None else p.expand(tasks, channels).reshape(-1) for p in norm))  # type: ignore[arg-type]
    if statistics.whole and norm.mean is None:
        # A channel belongs to one task, so PyTorch's kernel normalises each task by itself. Its second
        # derivatives are right as long as no vmap is over it; the tests hold them against finite differences.
        mean = variance = None
        if statistics.observed is not None:
            # In the parameters' precision, whatever the maps were computed in.
            mean, variance = (flat.scale.new_zeros(x.shape[1]) for _ in range(2))
            statistics.observed[name] = (mean.view(tasks, channels), variance.view(tasks, channels))
        # A momentum of 1 leaves there what this batch gave.
        return functional.batch_norm(
            x, mean, variance, flat.scale, flat.shift, training=True, momentum=1.0, eps=EPSILON
        )
    shaped = Norm(*(None if p is None else p.reshape(1, 1, -1, 1, 1) for p in flat))  # type: ignore[arg-type]
    grouped = x.reshape(statistics.groups, x.shape[0] // statistics.groups, *x.shape[1:])
    reference = grouped if statistics.reference is None else grouped[:, : statistics.reference]
    found = normalise(grouped, shaped, (1, 3, 4), reference, statistics.observed, name).reshape(x.shape)
    _shape_observed(statistics.observed, name, channels)
    return found


def _shape_observed(observed: "Observed | None", name: str, channels: int) -> None:
    if observed is not None and name in observed:
        mean, variance = observed[name]
        observed[name] = (mean.reshape(-1, channels), variance.reshape(-1, channels))


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, tasks: int, stride: int) -> Tensor:
    """Convolution of `x [B, T * C, H, W]`, each task's channels by its own filters, padded to its own size.

    `weight [O, C, k, k]` (k odd; then T is 1, or the filters are repeated) or `[T, O, C, k, k]`; returns
    `[B, T * O, H', W']`.
    """
    if weight.dim() == 4:
        weight = weight.expand(tasks, *weight.shape)
    if bias is not None:
        bias = bias.expand(tasks, weight.shape[1]).reshape(-1)
    padding = weight.shape[-1] // 2
    return functional.conv2d(x, weight.flatten(0, 1), bias, stride=stride, padding=padding, groups=tasks)
