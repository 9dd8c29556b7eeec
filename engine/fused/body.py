"""The calculus of conv4: its features, their slope back to the parameters, and the change of that slope along
a direction, with every pass written out (Pearlmutter 1994, Fast Exact Multiplication by the Hessian).

Parameters are given and slopes returned as the generic path has them: filters `[T, O, C, 3, 3]`, scales and
shifts `[T, C]`, or without T where all tasks share them; the slope of what is shared is summed over tasks.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.fused.maps import (
    Convolved,
    Normed,
    NormTangent,
    Source,
    convolve,
    convolve_back,
    convolve_filters,
    norm_backward,
    norm_forward,
    norm_tangent,
    norm_tangent_backward,
    transposed,
)
from engine.models.blocks import EPSILON

Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Net:
    """What a body is made of: its blocks, how far its filters go at a time (2: strided, in place of pooling),
    and whether features are the maps' means."""

    blocks: int
    strided: bool
    mean: bool

    @property
    def stride(self) -> int:
        """Of its convolutions."""
        return 2 if self.strided else 1

    @property
    def window(self) -> int:
        """Of its pooling."""
        return 1 if self.strided else 2


@dataclass
class Slopes:
    """Of a block, on the way back: of what it gave, of its normalisation's source (padded; of the first block
    its filters'), of scale and shift; and its filters as that way takes them."""

    out: Tensor
    source: Tensor
    scale: Tensor
    shift: Tensor
    turned: Tensor | None


@dataclass
class Block:
    """A block's pass: its padded source, its filters, the names of what all tasks share, and what it gave."""

    source: Tensor
    filters: Tensor
    shared: frozenset[str]
    normed: Normed


@dataclass
class Change:
    """A block's pass along a direction: of its padded source and its filters (None where neither moves)."""

    source: Tensor | None
    filters: Tensor | None
    tangent: NormTangent | None


class Pass:
    """One pass of a batch `x [T, B, C, H, W]` through the body, and the ways back from its features."""

    def __init__(self, net: Net, parameters: Named, x: Tensor) -> None:
        self.net, self.blocks = net, list[Block]()
        source = functional.pad(x.permute(0, 1, 3, 4, 2), (0, 0, 1, 1, 1, 1)).contiguous()
        for number in range(1, net.blocks + 1):
            filters = parameters[f"conv{number}.weight"]
            scale, shift = parameters[f"norm{number}.scale"], parameters[f"norm{number}.shift"]
            packed = _packed(filters)
            maps = (Convolved if number == 1 else convolve)(source, packed, net.stride)
            normed = norm_forward(maps, *_channels(scale, shift), net.window, EPSILON)
            shared = frozenset(n for n, p in parameters.items() if p.dim() in (1, 4))
            self.blocks.append(Block(source, packed, shared, normed))
            source = normed.out

    def features(self) -> Tensor:
        """What the pass gave, `[T, B, D]`. Not kept here: autograd's node would hold it and it the node."""
        return self._features(self.blocks[-1].normed.out)

    def statistics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and unbiased variance `[T, C]` that each normalisation found."""
        found = {}
        for number, block in enumerate(self.blocks, start=1):
            count = block.normed.cells
            unbiased = block.normed.variance * (count / max(count - 1, 1))
            found[f"norm{number}"] = (block.normed.mean, unbiased)
        return found

    def _features(self, padded: Tensor) -> Tensor:
        maps = padded[:, :, 1:-1, 1:-1]
        return maps.mean((2, 3)) if self.net.mean else maps.permute(0, 1, 4, 2, 3).flatten(2)

    def _maps(self, slope: Tensor) -> Tensor:
        """The slope of the last maps from that of the features."""
        tasks, examples, height, width, channels = self.blocks[-1].normed.out.shape
        height, width = height - 2, width - 2
        if self.net.mean:
            spread = slope[:, :, None, None] / (height * width)
            return spread.expand(tasks, examples, height, width, channels).contiguous()
        return slope.unflatten(2, (channels, height, width)).permute(0, 1, 3, 4, 2).contiguous()

    def back(
        self, slope: Tensor, wanted: Collection[str], kept: list[Slopes] | None = None
    ) -> dict[str, Tensor]:
        """The slopes of the `wanted` parameters from that of the features `[T, B, D]`; what `change` needs is
        put into `kept`, the last block first."""
        found: dict[str, Tensor] = {}
        out: Tensor | None = self._maps(slope)
        last = _first_block(wanted)
        for number in reversed(range(last, self.net.blocks + 1)):
            block = self.blocks[number - 1]
            assert out is not None
            source, scale, shift = norm_backward(block.normed, out)
            turned = transposed(block.filters) if number > last else None
            if kept is not None:
                kept.append(Slopes(out, source, scale, shift, turned))
            self._put(found, number, wanted, (source, scale, shift), None)
            out = self._before(block, source, turned)
        return found

    def _before(
        self, block: Block, slope: Tensor, turned: Tensor | None, onto: Tensor | None = None
    ) -> Tensor | None:
        """The slope of a block's source, where there is one to be asked for it."""
        if turned is None:
            return None
        height, width = block.source.shape[2:4]
        return convolve_back(slope, turned, (height - 2, width - 2), self.net.stride, onto)

    def _put(
        self,
        found: dict[str, Tensor],
        number: int,
        wanted: Collection[str],
        slopes: tuple[Tensor, Tensor, Tensor],
        more: tuple[Tensor, Tensor] | None,
    ) -> None:
        """The slopes of a block's parameters from those of its source (of the first block, its filters),
        scale and shift; `more` is another pair of padded source and slope whose filters' slope is added."""
        block = self.blocks[number - 1]
        if (name := f"conv{number}.weight") in wanted:
            shared, stride = name in block.shared, self.net.stride
            if number == 1:
                filters = slopes[0].sum(0, keepdim=True) if shared else slopes[0].clone()
            else:
                filters = convolve_filters(block.source, slopes[0], stride, shared)
            if more is not None:
                convolve_filters(*more, stride, shared, onto=filters)
            # Laid out anew: autograd adds up the slopes of a start that tasks share; permuted ones take it
            # ten times as long.
            unpacked = filters.permute(0, 4, 3, 1, 2).contiguous()
            found[name] = unpacked[0] if shared else unpacked
        for name, slope in ((f"norm{number}.scale", slopes[1]), (f"norm{number}.shift", slopes[2])):
            if name in wanted:
                # A copy: autograd's node holds what is kept here, and must not hold what it gave.
                found[name] = slope.sum(0) if name in block.shared else slope.clone()

    def along(self, direction: Named) -> tuple[Tensor | None, list[Change]]:
        """The change of the features along a direction of the parameters (None: none), and of each block."""
        changes: list[Change] = []
        moving: Tensor | None = None
        for number, block in enumerate(self.blocks, start=1):
            filters = direction.get(f"conv{number}.weight")
            packed = None if filters is None else _packed(filters)
            scale = _each_task(direction.get(f"norm{number}.scale"), block.normed)
            shift = _each_task(direction.get(f"norm{number}.shift"), block.normed)
            still = all(part is None for part in (packed, scale, shift, moving))
            maps = None if still else self._moved_maps(number, packed, moving)
            tangent = None if maps is None else norm_tangent(block.normed, maps, scale, shift)
            changes.append(Change(moving, packed, tangent))
            moving = None if tangent is None else tangent.out
        return None if moving is None else self._features(moving), changes

    def _moved_maps(self, number: int, filters: Tensor | None, moving: Tensor | None) -> Source:
        """The change of a block's maps along that of its filters and of its source."""
        block, stride = self.blocks[number - 1], self.net.stride
        if number == 1:
            moved = torch.zeros_like(block.filters) if filters is None else filters
            return Convolved(block.source, moved, stride)
        maps = None if filters is None else convolve(block.source, filters, stride)
        if moving is not None:
            maps = convolve(moving, block.filters, stride, onto=maps)
        return block.source.new_zeros(block.normed.source.shape) if maps is None else maps

    def change(
        self, kept: list[Slopes], changes: list[Change], dslope: Tensor | None, wanted: Collection[str]
    ) -> dict[str, Tensor]:
        """How the slopes that `back` gave change along the direction of `changes`, from what it kept;
        `dslope` is the change of the features' slope (None: it stays)."""
        found: dict[str, Tensor] = {}
        last = _first_block(wanted)
        out = None if dslope is None else self._maps(dslope)
        for number in reversed(range(last, self.net.blocks + 1)):
            block, moved = self.blocks[number - 1], changes[number - 1]
            slopes = kept[self.net.blocks - number]
            if moved.tangent is None and out is None:
                continue
            given = torch.zeros_like(slopes.out) if out is None else out
            if moved.tangent is None:
                changed = norm_backward(block.normed, given)
            else:
                changed = norm_tangent_backward(
                    block.normed, moved.tangent, slopes.out, given, slopes.scale, slopes.shift
                )
            more = None if moved.source is None else (moved.source, slopes.source)
            self._put(found, number, wanted, changed, more)
            out = None
            if number > last:
                turned = transposed(block.filters) if slopes.turned is None else slopes.turned
                out = self._before(block, changed[0], turned)
                if moved.filters is not None:
                    out = self._before(block, slopes.source, transposed(moved.filters), onto=out)
        return found


def _first_block(wanted: Collection[str]) -> int:
    """The first block with a wanted parameter: the way back ends there."""
    return min(int(name.split(".")[0][-1]) for name in wanted)


def _packed(filters: Tensor) -> Tensor:
    """Filters as the kernels take them; those that all tasks share once."""
    if filters.dim() == 4:
        return filters.permute(2, 3, 1, 0).contiguous().unsqueeze(0)
    shared = filters.stride(0) == 0 and filters.shape[0] > 1
    return (filters[:1] if shared else filters).permute(0, 3, 4, 2, 1).contiguous()


def _channels(scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift as the kernels take them: both `[T, C]`, or `[1, C]` for all tasks."""
    both = [values.unsqueeze(0) if values.dim() == 1 else values for values in (scale, shift)]
    both = [values[:1] if values.stride(0) == 0 else values for values in both]
    tasks = max(len(values) for values in both)
    return both[0].expand(tasks, -1).contiguous(), both[1].expand(tasks, -1).contiguous()


def _each_task(values: Tensor | None, normed: Normed) -> Tensor | None:
    return None if values is None else values.expand(normed.mean.shape).contiguous()
