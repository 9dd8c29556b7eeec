"""Fully connected nets: whole walks of gradient descent for all tasks at once, in one call of the kernels.

Inside, a net's parameters lie packed as mlp.cpp has it; here they are given and found by name, as PyTorch has
them: weights `[O, I]` and biases `[O]`, with a leading task axis where each task has its own.
"""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.fused.library import kernels

Named = Mapping[str, Tensor]
BITS = {torch.float32: 32, torch.float64: 64}
WORTH_THREADS = 1e7
"""Multiplications of a pass over all tasks below which a second thread costs more than it brings."""
Place = ctypes.c_ssize_t | int
_NUMBER, _REAL, _POINTER = ctypes.c_ssize_t, ctypes.c_double, ctypes.c_void_p


@dataclass(frozen=True)
class Descent:
    """What is descended: a net's layers, the names of their weights and biases, which of these adapt, which
    each task comes to own, and how.

    `sizes` are the inputs of each layer and the outputs of the last. `learned` is what rates are learned for:
    `none`, `layer`, `layer-step` or `parameter`; with none, `rate` is that of all.
    """

    sizes: tuple[int, ...]
    names: tuple[str, ...]
    adapts: tuple[str, ...]
    owned: tuple[str, ...]
    classes: bool
    summed: bool
    learned: str
    rate: float


class Batch(NamedTuple):
    """T tasks: `support_x [T, S, ...]` and `query_x [T, Q, ...]`, and their labels (int64) or values."""

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor


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


class _Asked(ctypes.Structure):
    """A walk's question, as mlp.cpp has it."""

    _fields_ = [
        *(
            (name, _NUMBER)
            for name in ("layers", "tasks", "shots", "queries", "steps", "second_order", "back")
        ),
        *((name, _NUMBER) for name in ("classes", "threads", "workspace", "own_starts")),
        *((name, _NUMBER) for name in ("rate_rows", "rate_slopes", "groups")),
        *((name, _REAL) for name in ("fixed_rate", "support_scale", "query_scale")),
        *((name, _POINTER) for name in ("sizes", "parameters", "rates", "adapts", "owned", "weights")),
        *((name, _POINTER) for name in ("support_x", "support_y", "query_x", "query_y")),
        *((name, _POINTER) for name in ("start", "rate", "states", "slopes", "gradient", "rate_slope")),
        *((name, _POINTER) for name in ("support_loss", "query_loss", "norms", "work")),
    ]


class Shape(NamedTuple):
    """What a walk's memory goes by: `tasks` are those of all groups, which have equally many."""

    tasks: int
    shots: int
    queries: int
    steps: int
    back: bool
    own_starts: bool
    threads: int
    groups: int = 1


class Desk:
    """A question and the memory that it is worked out in, made once for a shape and used again.

    `found` has the sizes of what a walk finds: states, support losses, query losses, norms, gradients.
    """

    def __init__(self, descent: Descent, shape: Shape, dtype: torch.dtype, numbers: int) -> None:
        count, outputs = len(descent.names), 1 if descent.classes else descent.sizes[-1]
        self.arrays: dict[str, ctypes.Array[Any]] = {
            "sizes": (_NUMBER * len(descent.sizes))(*descent.sizes),
            "adapts": (ctypes.c_uint8 * count)(*(name in descent.adapts for name in descent.names)),
            "owned": (ctypes.c_uint8 * count)(*(name in descent.owned for name in descent.names)),
        }
        places = _NUMBER * (4 * count * shape.groups)
        self.parameters, self.rates = places(), places()
        self.weights = (_REAL * max(shape.steps, 1))()
        self.arrays |= {"parameters": self.parameters, "rates": self.rates, "weights": self.weights}
        self.asked = asked = _Asked(
            layers=count // 2,
            tasks=shape.tasks,
            shots=shape.shots,
            queries=shape.queries,
            steps=shape.steps,
            back=shape.back,
            classes=descent.classes,
            threads=shape.threads,
            own_starts=shape.own_starts,
            groups=shape.groups,
            rate_rows=max(shape.steps, 1) if descent.learned == "layer-step" else 1,
            rate_slopes={"none": 0, "parameter": 2}.get(descent.learned, 1) if shape.back else 0,
            fixed_rate=descent.rate,
            support_scale=1.0 if descent.summed else 1 / (shape.shots * outputs),
            query_scale=1 / max(shape.queries * outputs, 1),
        )
        for name, array in self.arrays.items():
            setattr(asked, name, ctypes.addressof(array))
        asked.workspace = _room(dtype)(ctypes.addressof(asked))
        learned = {0: 0, 1: shape.steps * count, 2: numbers}[asked.rate_slopes]
        starts = shape.tasks if shape.own_starts else shape.groups
        self.parts = {
            "start": starts * numbers,
            "rate": shape.groups * asked.rate_rows * numbers,
            "slopes": shape.tasks * numbers if shape.back else 0,
            "rate_slope": shape.tasks * learned,
            "work": shape.threads * asked.workspace,
        }
        memory = torch.empty(sum(self.parts.values()), dtype=dtype).split(list(self.parts.values()))
        self.memory = dict(zip(self.parts, memory, strict=True))
        for name, part in self.memory.items():
            setattr(asked, name, part.data_ptr())
        losses = shape.tasks * shape.steps
        gradient = shape.groups * sum(
            (i + 1) * o for i, o in zip(descent.sizes, descent.sizes[1:], strict=False)
        )
        self.found = [losses * numbers, losses, shape.tasks, losses, gradient if shape.back else 0]
        self.total = sum(self.found)


def lanes(dtype: torch.dtype) -> int:
    """How many numbers of a row the kernels take at once."""
    return int(kernels("mlp", BITS[dtype]).mlp_lanes())


def _room(dtype: torch.dtype) -> "ctypes._NamedFuncPointer":
    room = kernels("mlp", BITS[dtype]).mlp_room
    room.argtypes, room.restype = [_POINTER], _NUMBER
    return room


class MlpDescent:
    """Walks of one descent. The memory that they are worked out in is used again: one walk at a time."""

    def __init__(self, descent: Descent, dtype: torch.dtype) -> None:
        self.descent, self.dtype = descent, dtype
        self._run = kernels("mlp", BITS[dtype]).mlp_walk
        self._run.argtypes, self._run.restype = [_POINTER], None
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
        self._desks: dict[Shape, Desk] = {}

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
        desk = self._desks.get(shape)
        if desk is None:
            desk = self._desks[shape] = Desk(self.descent, shape, self.dtype, self.numbers)
        desk.parameters[:] = places
        learned, held = self.placed_rates(rates, steps, first_step)
        if learned:
            desk.rates[:] = learned
        found = torch.empty(desk.total, dtype=self.dtype).split_with_sizes(desk.found)
        self.ask(desk, batch, second_order, weights, found)
        states, support_loss, query_loss, norms, flat = found
        del held
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

    def ask(
        self,
        desk: Desk,
        batch: Batch,
        second_order: bool,
        weights: Sequence[float],
        found: Sequence[Tensor],
    ) -> None:
        """Has the kernels answer a desk's question on a batch, into `found`, as `Desk.found` has it."""
        asked, asked.second_order = desk.asked, second_order
        if weights:
            desk.weights[:] = [*weights]
        given = [t if t.is_contiguous() else t.contiguous() for t in batch]
        asked.support_x, asked.support_y, asked.query_x, asked.query_y = (t.data_ptr() for t in given)
        asked.states, asked.support_loss, asked.query_loss, asked.norms, asked.gradient = (
            t.data_ptr() for t in found
        )
        if asked.rate_slopes == 2:
            desk.memory["rate_slope"].zero_()
        self._run(ctypes.addressof(asked))

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

    def placed_rates(
        self, rates: Named, steps: int, first_step: int = 0
    ) -> tuple[list[Place], list[Tensor]]:
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
