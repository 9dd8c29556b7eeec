"""Fully connected nets: whole walks of gradient descent for all tasks at once, in one call of the kernels.

Inside, a net's parameters lie packed as net.h has it; here they are given and found by name, as PyTorch has
them: weights `[O, I]` and biases `[O]`, with a leading task axis where each task has its own.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.fused.desk import BITS, POINTER, Batch, Descent, Desk, Place, Shape, lanes
from engine.fused.library import kernels

Named = Mapping[str, Tensor]
WORTH_THREADS = 1e7
"""Multiplications of a pass over all tasks below which a second thread costs more than it brings."""


class Descended(NamedTuple):
    """What a walk found, in the kernels' own order where it is packed.

    `support_loss [T, k]` before each step, `query_loss [T]` after the last, `norms [T, k]` of each task's own
    slope by what it owns after steps 1..k. `gradient` of the mean query loss, by name. `states [k, T, P]`,
    `slopes [T, P]` by each task's start; `rates`: `[T, P]` or `[T, k, tensors]`.
    """

    support_loss: Tensor
    query_loss: Tensor
    norms: Tensor
    gradient: dict[str, Tensor]
    states: Tensor
    slopes: Tensor
    rates: Tensor


class Probed(NamedTuple):
    """The support loss `[T]` of the last state, query losses and metrics `[T, k + 1]` of the states 0..k.

    `lengths`: by the weight of each layer of which anything adapts `[3]`, that of its start, zero, and that
    of its way to the end, over all tasks.
    """

    support_loss: Tensor
    query_loss: Tensor
    metric: Tensor
    lengths: dict[str, Tensor]


class Walking:
    """A walk under way, at which other threads may be already; it must be finished."""

    def __init__(self, going: int, finish: Callable[[int], None], held: object) -> None:
        self._going, self._finish, self._held = going, finish, held

    def finish(self) -> None:
        """Does what is left of it."""
        if self._going:
            going, self._going = self._going, 0
            self._finish(going)
            self._held = None

    def __del__(self) -> None:
        self.finish()


class MlpDescent:
    """Walks of one descent. The memory that they are worked out in is used again: one walk at a time."""

    def __init__(self, descent: Descent, dtype: torch.dtype) -> None:
        self.descent, self.dtype = descent, dtype
        library = kernels("mlp", BITS[dtype])
        self._run, self._probe = library.mlp_walk, library.mlp_probe
        self._begin, self._finish = library.mlp_begin, library.mlp_finish
        for function in (self._run, self._begin, self._finish, self._probe):
            function.argtypes, function.restype = [POINTER], None
        self._probe.argtypes, self._begin.restype = [POINTER, POINTER], POINTER
        wide, self.numbers = lanes(dtype), 0
        self.places: dict[str, tuple[int, int, int, int]] = {}
        """Of each tensor among the packed: where it begins, its inputs (0: a bias), outputs, and those filled
        up."""
        for layer, (inputs, outputs) in enumerate(zip(descent.sizes, descent.sizes[1:], strict=False)):
            row = -(-outputs // wide) * wide
            weight, bias = descent.names[2 * layer : 2 * layer + 2]
            self.places[weight] = (self.numbers, inputs, outputs, row)
            self.places[bias] = (self.numbers + inputs * row, 0, outputs, row)
            self.numbers += (inputs + 1) * row
        self.shapes = [self.shape(name) for name in descent.names]
        self.lengths = [o * max(i, 1) for _, i, o, _ in self.places.values()]
        self.work = sum(i * o for i, o in zip(descent.sizes, descent.sizes[1:], strict=False))
        self._desks: dict[tuple[Shape, str], Desk] = {}

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor that all tasks share."""
        _, inputs, outputs, _ = self.places[name]
        return (outputs, inputs) if inputs else (outputs,)

    def walk(
        self,
        parameters: Named,
        rates: Named,
        batch: Batch,
        steps: int,
        second_order: bool,
        weights: Sequence[float],
        first_step: int = 0,
    ) -> Descended:
        """`steps` steps (the first is number `first_step`), and the way back: of the query losses after steps
        1..k weighted by `weights` (a walk of no steps has one); without weights, no way back.

        `rates` by parameter: `[]`, `[K]` (beyond, the last holds) or the parameter's own shape.
        """
        places, own_starts = self.placed(parameters)
        (tasks, shots), queries = batch.support_x.shape[:2], batch.query_x.shape[1]
        large = tasks * (shots + queries) * self.work > WORTH_THREADS
        threads = min(torch.get_num_threads(), tasks) if large else 1
        shape = Shape(tasks, shots, queries, steps, bool(weights), own_starts, threads)
        desk = self._desk(shape, "walks")
        desk.parameters[:] = places
        learned, held = self.placed_rates(rates, steps, first_step)
        if learned:
            desk.rates[:] = learned
        found = torch.empty(desk.total, dtype=self.dtype).split_with_sizes(desk.found)
        question = self._ask(desk, batch, second_order, weights, found)
        self._run(ctypes.addressof(desk.asked))
        states, support_loss, query_loss, norms, flat = found
        del held, question
        gradient = {}
        if weights:
            parts = zip(self.places, flat.split_with_sizes(self.lengths), self.shapes, strict=True)
            gradient = {name: part.view(size) for name, part, size in parts}
        return Descended(
            support_loss.view(tasks, steps),
            query_loss,
            norms.view(tasks, steps),
            gradient,
            states.view(steps, tasks, self.numbers),
            desk.memory["slopes"].view(-1, self.numbers),
            desk.memory["rate_slope"],
        )

    def _desk(self, shape: Shape, purpose: str) -> Desk:
        desk = self._desks.get((shape, purpose))
        if desk is None:
            desk = self._desks[shape, purpose] = self.desk(shape)
        return desk

    def desk(self, shape: Shape) -> Desk:
        """A new one for a shape; a rate that is a number lies on it already."""
        desk = Desk(self.descent, shape, self.dtype, self.numbers)
        if self.descent.learned == "none":
            desk.asked.rates = None
            rate = desk.memory["rate"].view(-1, self.numbers).zero_()
            for adapting in self.unpacked(rate, self.descent.adapts).values():
                adapting.fill_(self.descent.rate)
        return desk

    def begin(
        self,
        desk: Desk,
        batch: Batch,
        second_order: bool,
        weights: Sequence[float],
        found: Sequence[Tensor],
    ) -> Walking:
        """Has the kernels begin with a desk's question on a batch, into `found`, as `Desk.found` has it.

        Until it is finished, nothing of all that may change but the parameters.
        """
        held = self._ask(desk, batch, second_order, weights, found)
        return Walking(self._begin(ctypes.addressof(desk.asked)), self._finish, (desk, held, found))

    def _ask(
        self,
        desk: Desk,
        batch: Batch,
        second_order: bool,
        weights: Sequence[float],
        found: Sequence[Tensor],
    ) -> list[Tensor]:
        """Writes the question down; what it gives back must be held until it is answered."""
        asked, asked.second_order = desk.asked, second_order
        if weights:
            desk.weights[:] = [*weights]
        held = desk.read(batch)
        asked.states, asked.support_loss, asked.query_loss, asked.norms, asked.gradient = (
            t.data_ptr() for t in found
        )
        if asked.rate_slopes == 2:
            desk.memory["rate_slope"].zero_()
        return held

    def probed(self, parameters: Named, batch: Batch, states: Tensor) -> Probed:
        """The states `[k, T, P]` of a walk on a batch, and the parameters that it began with, looked at one
        by one."""
        places, own_starts = self.placed(parameters)
        (tasks, shots), queries = batch.support_x.shape[:2], batch.query_x.shape[1]
        steps, layers = len(states), len(self.places) // 2
        desk = self._desk(Shape(tasks, shots, queries, steps, False, own_starts, 1), "probes")
        desk.parameters[:] = places
        desk.asked.rates = None
        query_loss, metric = torch.empty(2, tasks, steps + 1, dtype=self.dtype)
        support_loss = torch.empty(tasks, dtype=self.dtype)
        squares = torch.empty(tasks, layers, 2, dtype=self.dtype)
        held = desk.read(batch)
        states = states.contiguous()
        desk.asked.states = states.data_ptr()
        to = (POINTER * 4)(*(t.data_ptr() for t in (support_loss, query_loss, metric, squares)))
        self._probe(ctypes.addressof(desk.asked), ctypes.addressof(to))
        del held
        start, way = squares.sum(0).sqrt().unbind(-1)
        lengths = torch.stack([start, torch.zeros_like(start), way], -1).unbind()
        names, adapts = list(self.places), self.descent.adapts
        layer_names = zip(names[::2], names[1::2], lengths, strict=True)
        by_layer = {weight: each for weight, bias, each in layer_names if weight in adapts or bias in adapts}
        return Probed(support_loss, query_loss, metric, by_layer)

    def placed(self, parameters: Named) -> tuple[list[Place], bool]:
        """Where each tensor lies, and whether tasks have some of their own to begin with."""
        places: list[Place] = []
        own = False
        for name, size in zip(self.places, self.shapes, strict=True):
            tensor = parameters[name]
            strides = tensor.stride()
            if len(strides) > len(size):
                own, far, strides = True, strides[0], strides[1:]
            else:
                far = 0
            places += (
                (tensor.data_ptr(), far, *strides)
                if len(size) == 2
                else (tensor.data_ptr(), far, *strides, 0)
            )
        return places, own

    def placed_rates(self, rates: Named, steps: int, first_step: int = 0) -> tuple[list[Place], list[Tensor]]:
        """Where learned rates lie (nothing, where there are none), and what must be held while they are
        read."""
        held: list[Tensor] = []
        places: list[Place] = []
        learned = self.descent.learned
        for name in self.places if learned != "none" else ():
            if name not in self.descent.adapts:
                places += (0, 0, 0, 0)
                continue
            rate = rates[name]
            if learned == "layer-step" and (first_step or len(rate) != steps):
                rate = rate[[min(first_step + step, len(rate) - 1) for step in range(max(steps, 1))]]
            held.append(rate)
            far, output, inputs = 0, 0, 0
            if learned == "layer-step":
                far = rate.stride(0)
            elif learned == "parameter":
                output, inputs = (*rate.stride(), 0)[:2]
            places += (rate.data_ptr(), far, output, inputs)
        return places, held

    def unpacked(self, packed: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Tensors by name, each a view `[..., O, I]` or `[..., O]` of `packed [..., P]`."""
        found = {}
        for name in names:
            begin, inputs, outputs, row = self.places[name]
            if inputs:
                rows = packed[..., begin : begin + inputs * row].unflatten(-1, (inputs, row))
                found[name] = rows[..., :outputs].transpose(-1, -2)
            else:
                found[name] = packed[..., begin : begin + outputs]
        return found

    def rate_slopes(self, found: Descended) -> dict[str, Tensor]:
        """The slope of the mean query loss by the learned rates of what adapts, as rates are shaped."""
        adapts, tasks = self.descent.adapts, len(found.query_loss)
        if self.descent.learned == "parameter":
            packed = found.rates.view(tasks, self.numbers).mean(0)
            return {name: slope.contiguous() for name, slope in self.unpacked(packed, adapts).items()}
        each = found.rates.view(tasks, -1, len(self.places)).mean(0)
        each = each if self.descent.learned == "layer-step" else each.sum(0)
        return {name: each[..., list(self.places).index(name)] for name in adapts}
