"""Walks of several groups of tasks in one call of the kernels, each group from parameters of its own.

The bits are those of a walk of each group alone.
"""

from collections.abc import Sequence

import torch

from engine.fused.desk import Batch, Place, Shape
from engine.fused.mlp import Descended, MlpDescent, Named, Walking

TASKS_WORTH_A_THREAD = 16
"""Tasks for each thread, each of ten points or so, from which on another thread brings more than it costs to
wake it."""


class GroupWalks:
    """Walks of one shape for S groups of T tasks. What one found is overwritten by the next.

    `found` has each group's own, as views; the tensors of its gradient lie one after the other.
    """

    def __init__(
        self,
        core: MlpDescent,
        groups: int,
        batch: Batch,
        steps: int,
        back: bool,
        own_starts: bool,
        threads: int,
    ) -> None:
        self.core, self.groups, self.steps, self.back = core, groups, steps, back
        tasks, shots = batch.support_x.shape[:2]
        threads = max(1, min(threads, tasks // TASKS_WORTH_A_THREAD))
        shape = Shape(tasks, shots, batch.query_x.shape[1], steps, back, own_starts, threads, groups)
        self.desk = core.desk(shape)
        self._memory = torch.zeros(self.desk.total, dtype=core.dtype).split_with_sizes(self.desk.found)
        self._held: list[object] = []
        self.found = [self._of(group, tasks // groups) for group in range(groups)]

    def _of(self, group: int, tasks: int) -> Descended:
        """What is one group's."""
        core, steps, numbers = self.core, self.steps, self.core.numbers
        mine = slice(group * tasks, (group + 1) * tasks)
        states, support_loss, query_loss, norms, _ = self._memory
        gradient = {}
        if self.back:
            flat = self._memory[4].view(self.groups, -1)[group].split_with_sizes(core.lengths)
            parts = zip(core.places, flat, core.shapes, strict=True)
            gradient = {name: part.view(size) for name, part, size in parts}
        rates = self.desk.memory["rate_slope"]
        return Descended(
            support_loss.view(-1, steps)[mine] if steps else support_loss.new_zeros(tasks, 0),
            query_loss[mine],
            norms.view(-1, steps)[mine] if steps else norms.new_zeros(tasks, 0),
            gradient,
            states.view(steps, self.groups * tasks, numbers)[:, mine],
            self.desk.memory["slopes"].view(-1, numbers)[mine] if self.back else states.new_zeros(0, numbers),
            rates.view(self.groups, -1)[group] if len(rates) else rates,
        )

    def place(self, parameters: Sequence[Named], rates: Sequence[Named]) -> None:
        """Says where each group's parameters and learned rates lie; they are held, and may change in
        place."""
        places: list[Place] = []
        learned: list[Place] = []
        held: list[object] = [[*each.values()] for each in parameters]
        for own, of_group in zip(parameters, rates, strict=True):
            places += self.core.placed(own)[0]
            where, read = self.core.placed_rates(of_group, self.steps)
            learned += where
            held.append(read)
        self.desk.parameters[:] = places
        if learned:
            self.desk.rates[:] = learned
        self._held = held

    def begin(self, batch: Batch, second_order: bool, weights: Sequence[float]) -> Walking:
        """Begins a walk of all tasks `[S · T, ...]`; from its end on, what it found lies in `found` until the
        next one begins."""
        return self.core.begin(self.desk, batch, second_order, weights, self._memory)
