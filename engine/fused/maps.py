"""The kernels as functions of tensors: convolutions, and normalisation with ReLU and pooling in one.

Maps are contiguous `[T, B, H, W, C]`; a padded one has a border of zeros, `[T, B, H + 2, W + 2, C]`. Filters
are `[T, 3, 3, C, O]`, or `[1, 3, 3, C, O]` where all tasks share them.
"""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from engine.fused.library import kernels


def lanes(dtype: torch.dtype) -> int:
    """How many channels the kernels take at once: filters must be a multiple of it."""
    return int(getattr(kernels(), f"lanes_{_suffix(dtype)}")())


def _suffix(dtype: torch.dtype) -> str:
    return {torch.float32: "float32", torch.float64: "float64"}[dtype]


def _call(name: str, like: Tensor, sizes: tuple[int, ...], *arguments: Tensor | int | float | None) -> None:
    converted: list[object] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            if argument.dtype not in (like.dtype, torch.uint8) or not argument.is_contiguous():
                raise TypeError(f"{name} takes contiguous {like.dtype}, not {argument.dtype}")
            converted.append(ctypes.c_void_p(argument.data_ptr()))
        elif isinstance(argument, float):
            converted.append(ctypes.c_double(argument))
        else:
            converted.append(None if argument is None else ctypes.c_ssize_t(argument))
    converted.append((ctypes.c_ssize_t * len(sizes))(*sizes))
    getattr(kernels(), f"{name}_{_suffix(like.dtype)}")(*converted)


def _step(filters: Tensor) -> int:
    """How far a task's filters are from the next one's."""
    return 0 if filters.shape[0] == 1 else filters[0].numel()


def _tasks(maps: Tensor, filters: Tensor) -> tuple[int, int]:
    """Tasks and examples of a convolution: with shared filters tasks are simply more examples."""
    tasks, examples = maps.shape[:2]
    return (1, tasks * examples) if filters.shape[0] == 1 else (tasks, examples)


def convolve(x: Tensor, filters: Tensor, stride: int, onto: Tensor | None = None) -> Tensor:
    """The convolution `[T, B, H', W', O]` of padded `x`; added onto a tensor, if one is given."""
    tasks, examples, height, width, inputs = x.shape
    height, width, outputs = height - 2, width - 2, filters.shape[-1]
    size = (-(-height // stride), -(-width // stride))
    to = x.new_empty(tasks, examples, *size, outputs) if onto is None else onto
    shape = (*_tasks(x, filters), height, width, inputs, outputs, stride)
    _call("convolve", x, shape, x, filters, to, _step(filters), int(onto is not None))
    return to


def convolve_back(
    slope: Tensor, turned: Tensor, size: tuple[int, int], stride: int, onto: Tensor | None = None
) -> Tensor:
    """The slope `[T, B, H, W, C]` of a convolution's source from the padded slope of what it gave; `turned`
    are the filters as `transposed` gives them, `size` is (H, W)."""
    tasks, examples = slope.shape[:2]
    outputs, inputs = turned.shape[-2:]
    to = slope.new_empty(tasks, examples, *size, inputs) if onto is None else onto
    shape = (*_tasks(slope, turned), *size, inputs, outputs, stride)
    _call("convolve_back", slope, shape, slope, turned, to, _step(turned), int(onto is not None))
    return to


def convolve_filters(
    x: Tensor, slope: Tensor, stride: int, shared: bool, onto: Tensor | None = None
) -> Tensor:
    """The slope of the filters, from padded source and padded slope of what the convolution gave: each task's
    own, or the sum over all where they are `shared`."""
    tasks, examples, height, width, inputs = x.shape
    outputs = slope.shape[-1]
    tasks, examples = (1, tasks * examples) if shared else (tasks, examples)
    to = x.new_empty(tasks, 3, 3, inputs, outputs) if onto is None else onto
    shape = (tasks, examples, height - 2, width - 2, inputs, outputs, stride)
    _call("convolve_filters", x, shape, x, slope, to, int(onto is not None))
    return to


def transposed(filters: Tensor) -> Tensor:
    """Filters with inputs and outputs exchanged: `[T, 3, 3, O, C]`."""
    tasks, _, _, inputs, outputs = filters.shape
    to = filters.new_empty(tasks, 3, 3, outputs, inputs)
    _call("transpose", filters, (tasks, inputs, outputs), filters, to)
    return to


class Normed(NamedTuple):
    """What a normalisation, ReLU and pooling gave, and what the ways back need.

    `source [T, B, H, W, C]` is what was normalised, `scale [T, C]` or `[1, C]`; `out` is padded; `chosen`
    says which cell of each window went on; `mean`, `root` (one over the deviation) and `variance` (biased)
    are `[T, C]`; `window` is 2 with pooling, 1 without.
    """

    source: Tensor
    scale: Tensor
    out: Tensor
    chosen: Tensor
    mean: Tensor
    root: Tensor
    variance: Tensor
    window: int

    @property
    def shape(self) -> tuple[int, ...]:
        """As the kernels take it."""
        return (*self.source.shape, self.window)

    @property
    def step(self) -> int:
        """How far a task's scale is from the next one's."""
        return _channel_step(self.scale)


class NormTangent(NamedTuple):
    """The change of a normalisation along a direction: of its source, its scale (None: none) and what it gave
    (padded), and what the way back needs."""

    source: Tensor
    scale: Tensor | None
    out: Tensor
    mean: Tensor
    along: Tensor


def _channel_step(values: Tensor) -> int:
    return 0 if values.shape[0] == 1 else values.shape[-1]


def norm_forward(x: Tensor, scale: Tensor, shift: Tensor, window: int, epsilon: float) -> Normed:
    """Normalises each task's channels over all its cells, scales, shifts, takes ReLU and pools.

    `scale` and `shift` are contiguous `[T, C]`, or `[1, C]` where all tasks share them.
    """
    tasks, examples, height, width, channels = x.shape
    height, width = height // window, width // window
    out = x.new_empty(tasks, examples, height + 2, width + 2, channels)
    chosen = torch.empty(tasks, examples, height, width, channels, dtype=torch.uint8)
    mean, root, variance = (x.new_empty(tasks, channels) for _ in range(3))
    normed = Normed(x, scale, out, chosen, mean, root, variance, window)
    statistics = (mean, root, variance)
    _call("norm_forward", x, normed.shape, x, scale, shift, normed.step, out, chosen, *statistics, epsilon)
    return normed


def norm_backward(normed: Normed, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From the slope of what went out (not padded): the padded slope of the source, and those of scale and
    shift, `[T, C]`."""
    tasks, examples, height, width, channels = normed.source.shape
    to = slope.new_empty(tasks, examples, height + 2, width + 2, channels)
    of_scale, of_shift = (slope.new_empty(tasks, channels) for _ in range(2))
    known = (normed.source, normed.scale, normed.step, normed.chosen, normed.mean, normed.root)
    _call("norm_backward", slope, normed.shape, *known, slope, to, of_scale, of_shift)
    return to, of_scale, of_shift


def norm_tangent(normed: Normed, dx: Tensor, dscale: Tensor | None, dshift: Tensor | None) -> NormTangent:
    """Along a direction of source, scale and shift (`[T, C]`)."""
    channels = normed.source.shape[-1]
    out = torch.empty_like(normed.out)
    dmean, along = (dx.new_empty(normed.source.shape[0], channels) for _ in range(2))
    _call(
        "norm_tangent",
        dx,
        normed.shape,
        *(normed.source, dx, normed.scale, normed.step, dscale, dshift),
        *(normed.chosen, normed.mean, normed.root, out, dmean, along),
    )
    return NormTangent(dx, dscale, out, dmean, along)


def norm_tangent_backward(
    normed: Normed,
    tangent: NormTangent,
    slope: Tensor,
    dslope: Tensor,
    of_scale: Tensor,
    of_shift: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The change along the direction of what `norm_backward` gives, from that of the slope; `of_scale` and
    `of_shift` are what that gave."""
    tasks, examples, height, width, channels = normed.source.shape
    to = slope.new_empty(tasks, examples, height + 2, width + 2, channels)
    change_of_scale, change_of_shift = (slope.new_empty(tasks, channels) for _ in range(2))
    _call(
        "norm_tangent_backward",
        slope,
        normed.shape,
        *(normed.source, tangent.source, normed.scale, normed.step, tangent.scale, normed.chosen),
        *(normed.mean, normed.root, tangent.mean, tangent.along, slope, dslope, of_scale, of_shift),
        *(to, change_of_scale, change_of_shift),
    )
    return to, change_of_scale, change_of_shift
