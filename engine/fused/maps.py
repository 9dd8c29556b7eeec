"""The kernels as functions of tensors: convolutions, and normalisation with ReLU and pooling in one.

Maps are contiguous `[T, B, H, W, C]`; a padded one has a border of zeros, `[T, B, H + 2, W + 2, C]`. Filters
are `[T, 3, 3, C, O]`, or `[1, 3, 3, C, O]` where all tasks share them.
"""

import ctypes
import math
from typing import NamedTuple

import torch
from torch import Tensor

from engine.fused.library import kernels
from engine.fused.room import room

BITS = {torch.float32: 32, torch.float64: 64}


def lanes(dtype: torch.dtype) -> int:
    """How many channels the kernels take at once: filters must be a multiple of it."""
    return int(kernels("kernels", BITS[dtype]).lanes())


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
    getattr(kernels("kernels", BITS[like.dtype]), name)(*converted)


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
    to = room((tasks, examples, *size, outputs), x.dtype) if onto is None else onto
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
    to = room((tasks, examples, *size, inputs), slope.dtype) if onto is None else onto
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
    to = room((tasks, 3, 3, inputs, outputs), x.dtype) if onto is None else onto
    shape = (tasks, examples, height - 2, width - 2, inputs, outputs, stride)
    _call("convolve_filters", x, shape, x, slope, to, int(onto is not None))
    return to


def transposed(filters: Tensor) -> Tensor:
    """Filters with inputs and outputs exchanged: `[T, 3, 3, O, C]`."""
    tasks, _, _, inputs, outputs = filters.shape
    to = room((tasks, 3, 3, outputs, inputs), filters.dtype)
    _call("transpose", filters, (tasks, inputs, outputs), filters, to)
    return to


class Convolved(NamedTuple):
    """The first block's maps, which are computed anew wherever they are read: to keep them takes longer.

    `x` is padded, of 1 or 3 channels.
    """

    x: Tensor
    filters: Tensor
    stride: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the maps."""
        tasks, examples, height, width, _ = self.x.shape
        rows, columns = (-(-(size - 2) // self.stride) for size in (height, width))
        return (tasks, examples, rows, columns, self.filters.shape[-1])


Source = Tensor | Convolved
"""What is normalised, `[T, B, H, W, C]`."""


def _source(source: Source) -> tuple[Tensor, Tensor | None, int]:
    """As the kernels take it."""
    if isinstance(source, Convolved):
        return source.x, source.filters, _step(source.filters)
    return source, None, 0


class Normed(NamedTuple):
    """What a normalisation, ReLU and pooling gave, and what the ways back need.

    `scale [T, C]` or `[1, C]`; `out` is padded; `chosen` says which cell of each window went on and `normal`
    is its normalised value, both `[T, B, H', W', C]`; `mean`, `root` (one over the deviation) and `variance`
    (biased) are `[T, C]`; `window` is 2 with pooling, 1 without.
    """

    source: Source
    scale: Tensor
    out: Tensor
    chosen: Tensor
    normal: Tensor
    mean: Tensor
    root: Tensor
    variance: Tensor
    window: int

    @property
    def shape(self) -> tuple[int, ...]:
        """As the kernels take it."""
        return (*self.source.shape, self.window, *_first(self.source))

    @property
    def step(self) -> int:
        """How far a task's scale is from the next one's."""
        return _channel_step(self.scale)

    @property
    def cells(self) -> int:
        """Over how many cells each channel was normalised."""
        return math.prod(self.source.shape[1:4])

    def slopes(self) -> Tensor:
        """Room for the slope of the source, padded; of the filters, where the source is `Convolved`."""
        tasks, examples, height, width, channels = self.source.shape
        if isinstance(self.source, Convolved):
            return self.out.new_empty(tasks, 3, 3, self.source.x.shape[-1], channels)
        return room((tasks, examples, height + 2, width + 2, channels), self.out.dtype)


def _first(source: Source) -> tuple[int, ...]:
    """Inputs, height, width and stride of the convolution that the source is computed by."""
    if isinstance(source, Convolved):
        *_, height, width, inputs = source.x.shape
        return (inputs, height - 2, width - 2, source.stride)
    return (0, 0, 0, 0)


class NormTangent(NamedTuple):
    """The change of a normalisation along a direction: of its source, its scale (None: none), what it gave
    (padded) and the normalised value of what went on, and what the way back needs."""

    source: Source
    scale: Tensor | None
    out: Tensor
    turned: Tensor
    mean: Tensor
    along: Tensor


def _channel_step(values: Tensor) -> int:
    return 0 if values.shape[0] == 1 else values.shape[-1]


def norm_forward(x: Source, scale: Tensor, shift: Tensor, window: int, epsilon: float) -> Normed:
    """Normalises each task's channels over all its cells, scales, shifts, takes ReLU and pools.

    `scale` and `shift` are contiguous `[T, C]`, or `[1, C]` where all tasks share them.
    """
    like = _source(x)[0]
    tasks, examples, height, width, channels = x.shape
    height, width = height // window, width // window
    out = room((tasks, examples, height + 2, width + 2, channels), like.dtype)
    chosen = room((tasks, examples, height, width, channels), torch.uint8)
    normal = room(chosen.shape, like.dtype)
    mean, root, variance = (like.new_empty(tasks, channels) for _ in range(3))
    normed = Normed(x, scale, out, chosen, normal, mean, root, variance, window)
    given = (*_source(x), scale, shift, normed.step)
    _call("norm_forward", like, normed.shape, *given, out, chosen, normal, mean, root, variance, epsilon)
    return normed


def norm_backward(normed: Normed, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From the slope of what went out (not padded): the slope of the source as `Normed.slopes` has it, and
    those of scale and shift, `[T, C]`."""
    to = normed.slopes()
    of_scale, of_shift = torch.empty_like(normed.mean), torch.empty_like(normed.mean)
    known = (normed.scale, normed.step, normed.chosen, normed.normal, normed.mean, normed.root)
    given = (*_source(normed.source), *known, slope)
    _call("norm_backward", slope, normed.shape, *given, to, of_scale, of_shift)
    return to, of_scale, of_shift


def norm_tangent(normed: Normed, dx: Source, dscale: Tensor | None, dshift: Tensor | None) -> NormTangent:
    """Along a direction of source, scale and shift (`[T, C]`)."""
    out, turned = (room(like.shape, like.dtype) for like in (normed.out, normed.normal))
    dmean, along = torch.empty_like(normed.mean), torch.empty_like(normed.mean)
    _call(
        "norm_tangent",
        out,
        normed.shape,
        *(*_source(normed.source), *_source(dx), normed.scale, normed.step, dscale, dshift),
        *(normed.chosen, normed.normal, normed.mean, normed.root, out, turned, dmean, along),
    )
    return NormTangent(dx, dscale, out, turned, dmean, along)


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
    to = normed.slopes()
    change_of_scale, change_of_shift = torch.empty_like(normed.mean), torch.empty_like(normed.mean)
    _call(
        "norm_tangent_backward",
        slope,
        normed.shape,
        *(*_source(normed.source), *_source(tangent.source), normed.scale, normed.step, tangent.scale),
        *(normed.chosen, normed.normal, tangent.turned, normed.mean, normed.root),
        *(tangent.mean, tangent.along, slope, dslope, of_scale, of_shift),
        *(to, change_of_scale, change_of_shift),
    )
    return to, change_of_scale, change_of_shift
