"""The stream of training batches: the tasks of iteration i are those of index i · T up to (i + 1) · T."""

from collections.abc import Sequence

import torch

from engine.tasks.episodes import Episodes, Examples, TaskDistribution

# Waves are so small that drawing them costs as much as learning from them; many iterations' tasks are drawn
# at once.
ITERATIONS_AT_ONCE = 64


class TrainingStream:
    """Batches of `size` tasks (or examples) by iteration; drawing ahead changes no task, which its index
    alone decides."""

    def __init__(self, tasks: TaskDistribution, size: int) -> None:
        self.tasks, self.size = tasks, size
        self.ahead = ITERATIONS_AT_ONCE if tasks.kind == "values" else 1
        self._block: tuple[int, Sequence[Episodes | Examples]] = (-1, ())

    def episodes(self, iteration: int) -> Episodes:
        """The meta-batch of an iteration (from 0)."""
        drawn = self._drawn(iteration, joint=False)
        assert isinstance(drawn, Episodes)
        return drawn

    def examples(self, iteration: int) -> Examples:
        """The batch of joint training of an iteration (from 0)."""
        drawn = self._drawn(iteration, joint=True)
        assert isinstance(drawn, Examples)
        return drawn

    def _drawn(self, iteration: int, joint: bool) -> Episodes | Examples:
        number = iteration // self.ahead
        if self._block[0] != number:
            count = self.ahead * self.size
            index = torch.arange(number * count, (number + 1) * count)
            drawn = self.tasks.examples(index) if joint else self.tasks.episodes("train", index)
            kind, axis = (Examples, 1) if joint else (Episodes, 0)
            parts = zip(*(tensor.split(self.size, axis) for tensor in drawn), strict=True)
            self._block = (number, [kind(*part) for part in parts])
        return self._block[1][iteration % self.ahead]
