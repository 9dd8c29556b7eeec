"""Four residual blocks of three 3x3 convolutions: the field's larger body.

Oreshkin 2018; as in Lee 2019 (MetaOptNet) with 64, 160, 320 and 640 filters, leaky ReLU, 2x2 max-pooling and
DropBlock (Ghiasi 2018) after the last two blocks. Lee's plain dropout after the first two, and the slow rise
of DropBlock's share, are left out.
"""

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.models.blocks import BatchStatistics, Noise, convolve, norm_of, normalise_maps
from engine.models.body import Parameters
from engine.presets.names import RESNET12_BLOCKS, RESNET12_CONVOLUTIONS
from engine.tasks.draws import stream_key, uniform

SLOPE = 0.1
DROPPED_BLOCKS = (3, 4)
EXAMPLES = 2**20
"""More examples than one pass of a task has: a task's examples have numbers of their own from here on."""


class ResNet12:
    """The body for images `x [T, B, C, H, W]`; `filters` are the first block's."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        filters: int,
        features: str,
        dropblock: float = 0.0,
        dropblock_size: int = 5,
        seed: int = 0,
    ) -> None:
        self.channels, height, width = image_shape
        self.widths = (filters, filters * 5 // 2, filters * 5, filters * 10)
        self.features, self.seed = features, seed
        self.dropblock, self.dropblock_size = dropblock, dropblock_size
        # Of the first block, whose maps are the largest in sum.
        self.widest_layer = filters * height * width
        smaller = 2**RESNET12_BLOCKS
        positions = 1 if features == "mean" else (height // smaller) * (width // smaller)
        self.feature_size = self.widths[-1] * positions

    def initial_parameters(self, generator: torch.Generator) -> Parameters:
        """He-normal filters (by outputs, as Lee 2019); scale one and shift zero."""
        parameters: Parameters = {}

        def convolution(name: str, inputs: int, outputs: int, size: int) -> None:
            deviation = (2 / (size * size * outputs)) ** 0.5
            drawn = torch.randn((outputs, inputs, size, size), generator=generator)
            parameters[f"{name}.weight"] = drawn * deviation

        def norm(name: str, size: int) -> None:
            parameters[f"{name}.scale"], parameters[f"{name}.shift"] = torch.ones(size), torch.zeros(size)

        inputs = self.channels
        for block, outputs in enumerate(self.widths, start=1):
            for number in range(1, RESNET12_CONVOLUTIONS + 1):
                convolution(f"block{block}.conv{number}", inputs if number == 1 else outputs, outputs, 3)
                norm(f"block{block}.norm{number}", outputs)
            convolution(f"block{block}.shortcut", inputs, outputs, 1)
            norm(f"block{block}.shortcut_norm", outputs)
            inputs = outputs
        return parameters

    def __call__(self, parameters: Parameters, x: Tensor, statistics: BatchStatistics) -> Tensor:
        """Features `[T, B, D]`; where all tasks share all filters, tasks are simply more examples."""
        tasks, examples = x.shape[:2]
        drawn = self._masks(statistics.noise, tasks, examples, x)
        shared = all(p.dim() in (1, 4) for n, p in parameters.items() if n.startswith("block"))
        if shared and tasks > 1:
            groups = statistics._replace(groups=tasks * statistics.groups)
            maps = self._blocks(parameters, x.flatten(0, 1), 1, groups, [_joined(m) for m in drawn])
            return self._flat(maps).reshape(tasks, examples, -1)
        maps = x.transpose(0, 1).flatten(1, 2)
        masks = [m.transpose(0, 1).flatten(1, 2) for m in drawn]
        maps = self._blocks(parameters, maps, tasks, statistics, masks)
        maps = maps.reshape(examples, tasks, self.widths[-1], *maps.shape[2:]).transpose(0, 1)
        return self._flat(maps.flatten(0, 1)).reshape(tasks, examples, -1)

    def _blocks(
        self,
        parameters: Parameters,
        maps: Tensor,
        tasks: int,
        statistics: BatchStatistics,
        masks: list[Tensor],
    ) -> Tensor:
        """The last maps `[B, T * C, H, W]`; `masks` multiply what the last blocks give, where there are."""

        def layer(maps: Tensor, convolution: str, name: str) -> Tensor:
            maps = convolve(maps, parameters[f"{convolution}.weight"], None, tasks, stride=1)
            return normalise_maps(maps, norm_of(parameters, name), tasks, statistics, name)

        for block in range(1, RESNET12_BLOCKS + 1):
            entering, of = maps, f"block{block}"
            for number in range(1, RESNET12_CONVOLUTIONS + 1):
                maps = layer(maps, f"{of}.conv{number}", f"{of}.norm{number}")
                if number < RESNET12_CONVOLUTIONS:
                    maps = functional.leaky_relu(maps, SLOPE)
            maps = maps + layer(entering, f"{of}.shortcut", f"{of}.shortcut_norm")
            maps = functional.max_pool2d(functional.leaky_relu(maps, SLOPE), 2)
            if masks and block in DROPPED_BLOCKS:
                maps = maps * masks[block - DROPPED_BLOCKS[0]]
        return maps

    def _flat(self, maps: Tensor) -> Tensor:
        return maps.mean((-2, -1)) if self.features == "mean" else maps.flatten(1)

    def _masks(self, noise: Noise | None, tasks: int, examples: int, x: Tensor) -> list[Tensor]:
        """DropBlock's masks `[T, B, C, H, W]` for the last two blocks; none where nothing is dropped.

        A function of seed, index and purpose of the pass alone: a step that is computed again drops the same,
        and so does a resumed run.
        """
        if noise is None or self.dropblock == 0:
            return []
        index = noise.indices.to(x.device)
        if index.dim() == 1:
            index = index.unsqueeze(-1) * EXAMPLES + torch.arange(examples, device=x.device)
        masks = []
        for block in DROPPED_BLOCKS:
            side = [length // 2**block for length in x.shape[-2:]]
            key = stream_key("dropblock", self.seed, noise.purpose, block)
            shape = (self.widths[block - 1], side[0], side[1])
            mask = dropblock_mask(key, index, shape, self.dropblock, self.dropblock_size)
            masks.append(mask.to(x.device, x.dtype))
        return masks


def _joined(mask: Tensor) -> Tensor:
    return mask.flatten(0, 1)


def dropblock_mask(key: int, index: Tensor, shape: tuple[int, int, int], share: float, size: int) -> Tensor:
    """What maps `[..., C, H, W]` are multiplied by, for each example of `index [...]` (Ghiasi 2018).

    Squares of `size` pixels (at most the map) are zero, about `share` of each map; what stays is scaled so
    that an example's mean stays.
    """
    channels, height, width = shape
    size = min(size, height, width)
    starts = (height - size + 1, width - size + 1)
    rate = share / size**2 * height * width / (starts[0] * starts[1])
    drawn = uniform(key, index, channels * starts[0] * starts[1]) < rate
    corners = drawn.to(torch.float32).reshape(-1, channels, *starts)
    # Each corner drops the square to its right and below.
    spread = functional.pad(corners, [size - 1] * 4)
    kept = 1 - functional.max_pool2d(spread, size, stride=1)
    scale = kept[0].numel() / kept.sum((1, 2, 3), keepdim=True).clamp(min=1)
    return (kept * scale).reshape(*index.shape, *shape)
