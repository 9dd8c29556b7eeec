"""The batches of several seeds side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.fused.desk import Batch
from engine.tasks.episodes import Episodes
from engine.tasks.stream import ITERATIONS_AT_ONCE, TrainingStream


class _Block(NamedTuple):
    """Many iterations' batches: each seed's own, and for each iteration those of all seeds together."""

    number: int
    drawn: list[Episodes]
    together: list[Batch]


class SeedBatches:
    """Batches of S streams by iteration; many iterations' are drawn at once."""

    def __init__(self, streams: Sequence[TrainingStream]) -> None:
        self.streams, self.size = streams, streams[0].size
        self._block = _Block(-1, [], [])
        self._ahead: dict[int, Episodes] = {}
        """What is drawn of the next block, by seed."""

    def all_of(self, iteration: int) -> Batch:
        """What the kernels read of an iteration: all seeds' tasks `[S · T, ...]`, seed by seed."""
        number, place = divmod(iteration, ITERATIONS_AT_ONCE)
        if self._block.number != number:
            # What was drawn ahead is of the block that follows.
            ahead = self._ahead if self._block.number == number - 1 else {}
            drawn = [ahead.get(seed) or self._draw(seed, number) for seed in range(len(self.streams))]
            fields = [self._beside([each[at] for each in drawn]) for at in range(4)]
            self._block = _Block(number, drawn, [Batch(*parts) for parts in zip(*fields, strict=True)])
            self._ahead = {}
        return self._block.together[place]

    def of(self, seed: int, iteration: int) -> Episodes:
        """The batch of one of the seeds."""
        begin = iteration % ITERATIONS_AT_ONCE * self.size
        return self._block.drawn[seed].rows(begin, begin + self.size)

    def draw_ahead(self) -> None:
        """Draws a seed's part of the next block, where one is missing: for times at which others compute."""
        seed = len(self._ahead)
        if self._block.drawn and seed < len(self.streams):
            self._ahead[seed] = self._draw(seed, self._block.number + 1)

    def _draw(self, seed: int, number: int) -> Episodes:
        count = ITERATIONS_AT_ONCE * self.size
        index = torch.arange(number * count, (number + 1) * count)
        return self.streams[seed].tasks.episodes("train", index)

    def _beside(self, parts: Sequence[Tensor]) -> Sequence[Tensor]:
        """For each iteration, all seeds' tasks one after another."""
        each = torch.stack([part.unflatten(0, (ITERATIONS_AT_ONCE, self.size)) for part in parts], 1)
        return each.flatten(1, 2).unbind()
