"""Image episodes drawn on the device by index gather from one `uint8` tensor: no loader, no loop over
tasks."""

from math import prod
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.data import PackedImages
from engine.presets.shapes import Shape
from engine.tasks.draws import bits, integers, stream_key, uniform
from engine.tasks.episodes import Episodes, Examples, Part
from engine.tasks.warps import NUMBERS, warped

TURNS = 4


class ClassTable(NamedTuple):
    """The classes of one part: where each begins among the images `[C]`, how many images it has `[C]`, and
    the most that any has (a number of the host's: asking the device for it would wait for the device)."""

    offsets: Tensor
    counts: Tensor
    most: int


def _largest(values: Tensor, count: int) -> Tensor:
    """Positions of the `count` largest numbers in the last axis, in their order: a random subset in random
    order."""
    return values.topk(count, dim=-1).indices


class ImageEpisodes:
    """N-way K-shot episodes from packed images.

    Classes of an episode are drawn without repetition and labelled 0..N-1 in random order; a class's support
    and query images are drawn together without repetition. `rotations` as in the schema: with `classes`,
    class c turned by t · 90 degrees is class 4c + t.
    """

    kind: Literal["classes", "values"] = "classes"

    def __init__(
        self,
        packed: PackedImages,
        rotations: str,
        shapes: dict[Part, Shape],
        seed: int,
        evaluation_seed: int,
        tasks: int | None,
        device: torch.device,
        dtype: torch.dtype,
        augment: str = "none",
    ) -> None:
        self.images = torch.from_numpy(np.array(packed.images)).to(device)
        self.input_shape: tuple[int, ...] = tuple(self.images.shape[1:])
        self.packed = packed
        self.rotations, self.shapes, self.tasks = rotations, shapes, tasks
        self.device, self.dtype, self.augment = device, dtype, augment
        self.seeds: dict[Part, int] = {"train": seed, "validation": evaluation_seed, "test": evaluation_seed}
        self.tables = {
            part: ClassTable(
                torch.as_tensor(p.offsets, device=device),
                torch.as_tensor(p.counts, device=device),
                int(p.counts.max()),
            )
            for part, p in packed.parts.items()
        }
        self.training_images = int(packed.parts["train"].counts.sum())
        self.turns = TURNS if rotations == "classes" else 1
        # Joint training tells turned drawings apart wherever episodes may show them turned.
        self.joint_turns = 1 if rotations == "none" else TURNS
        self.joint_outputs = len(self.tables["train"].counts) * self.joint_turns

    def outputs(self, part: Part) -> int:
        """The part's N."""
        return self.shapes[part].ways

    def shape(self, part: Part) -> Shape:
        """N, K and queries a class of a part's episodes."""
        return self.shapes[part]

    def _key(self, part: Part, purpose: str) -> int:
        return stream_key("images", self.seeds[part], part, purpose)

    def episodes(self, part: Part, index: Tensor) -> Episodes:
        """The episodes of `index [T]`; images `[T, n, C, H, W]` in 0..1, a class's examples beside each
        other."""
        ways, shots, queries = self.shapes[part]
        table, index = self.tables[part], index.to(self.device)
        identity = index
        if part == "train" and self.tasks is not None:
            identity = integers(self._key(part, "identity"), index, 1, self.tasks).squeeze(-1)
        drawn = _largest(bits(self._key(part, "classes"), identity, len(table.counts) * self.turns), ways)
        classes, turn = drawn // self.turns, drawn % self.turns
        if self.rotations == "drawn":
            turn = integers(self._key(part, "turns"), identity, ways, TURNS)
        chosen = self._drawings(part, table, index, classes, shots + queries)
        labels = torch.arange(ways, device=self.device).expand(len(index), ways).unsqueeze(-1)
        warps = self._warps(part, "warps", index, (ways, shots + queries))
        sides = []
        for side in (slice(None, shots), slice(shots, None)):
            these = chosen[..., side]
            turns = turn.unsqueeze(-1).expand_as(these)
            warp = None if warps is None else warps[..., side, :].flatten(1, 2)
            sides.append(self._pictures(these.flatten(1), turns.flatten(1), warp))
            sides.append(labels.expand_as(these).flatten(1))
        detail = drawn if self.turns > 1 else classes * TURNS + turn
        return Episodes(sides[0], sides[1], sides[2], sides[3], index, identity, detail)

    def _drawings(self, part: Part, table: ClassTable, index: Tensor, classes: Tensor, count: int) -> Tensor:
        """Positions `[T, N, count]` of distinct images of each class `[T, N]`."""
        order = bits(self._key(part, "drawings"), index, classes.shape[1] * table.most)
        order = order.unflatten(-1, (-1, table.most))
        beyond = torch.arange(table.most, device=self.device) >= table.counts[classes].unsqueeze(-1)
        order = order.masked_fill(beyond, torch.iinfo(torch.int64).min)
        return table.offsets[classes].unsqueeze(-1) + _largest(order, count)

    def _warps(self, part: Part, purpose: str, index: Tensor, places: tuple[int, ...]) -> Tensor | None:
        """What each training image `[T, *places]` is warped by; none where none is."""
        if self.augment == "none" or part != "train":
            return None
        return uniform(self._key(part, purpose), index, prod(places) * NUMBERS).unflatten(
            -1, (*places, NUMBERS)
        )

    def _pictures(self, positions: Tensor, turns: Tensor, warps: Tensor | None = None) -> Tensor:
        """The images `[..., C, H, W]` at `positions [...]`, each turned by its number of quarter turns, then
        warped by `warps [..., 6]`."""
        pictures = self.images[positions]
        if self.rotations != "none":
            where = turns[..., None, None, None]
            turned = [torch.rot90(pictures, turn, (-2, -1)) * (where == turn) for turn in range(TURNS)]
            pictures = torch.stack(turned).sum(0, dtype=torch.uint8)
        found = pictures.to(self.dtype) / 255
        return found if warps is None else warped(found, warps)

    def examples(self, index: Tensor) -> Examples:
        """Single images `[1, B, C, H, W]` of all training classes for joint training, drawn evenly over
        images."""
        index, table = index.to(self.device), self.tables["train"]
        last = table.counts.cumsum(0)
        fraction = uniform(self._key("train", "joint"), index, 1).squeeze(-1)
        place = (fraction * self.training_images).long().to(self.device)
        classes = torch.searchsorted(last, place, right=True)
        positions = table.offsets[classes] + place - (last - table.counts)[classes]
        turn = integers(self._key("train", "joint turns"), index, 1, self.joint_turns).squeeze(-1)
        labels = classes * self.joint_turns + turn
        warps = self._warps("train", "joint warps", index, ())
        pictures = self._pictures(positions, turn, warps)
        return Examples(pictures.unsqueeze(0), labels.unsqueeze(0), index.unsqueeze(0))
