"""The stream of training batches: the tasks of iteration i are those of index i · T up to (i + 1) · T."""

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
        self._block: tuple[int, Episodes | Examples] | None = None

    def episodes(self, iteration: int) -> Episodes:
        """The meta-batch of an iteration (from 0)."""
        begin = (iteration % self.ahead) * self.size
        block = self._drawn(iteration, joint=False)
        assert isinstance(block, Episodes)
        return block.rows(begin, begin + self.size)

    def examples(self, iteration: int) -> Examples:
        """The batch of joint training of an iteration (from 0)."""
        begin = (iteration % self.ahead) * self.size
        block = self._drawn(iteration, joint=True)
        assert isinstance(block, Examples)
        return Examples(*(tensor[:, begin : begin + self.size] for tensor in block))

    def _drawn(self, iteration: int, joint: bool) -> Episodes | Examples:
        number = iteration // self.ahead
        if self._block is None or self._block[0] != number:
            count = self.ahead * self.size
            index = torch.arange(number * count, (number + 1) * count)
            drawn = self.tasks.examples(index) if joint else self.tasks.episodes("train", index)
            self._block = (number, drawn)
        return self._block[1]
