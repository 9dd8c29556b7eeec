"""What the kernels for fully connected nets are asked, and the memory in which they work it out."""

import ctypes
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.fused.library import kernels

BITS = {torch.float32: 32, torch.float64: 64}
Place = ctypes.c_ssize_t | int
NUMBER, REAL, POINTER = ctypes.c_ssize_t, ctypes.c_double, ctypes.c_void_p


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


class Asked(ctypes.Structure):
    """A walk's question, as asked.h has it."""

    _fields_ = [
        *(
            (name, NUMBER)
            for name in ("layers", "tasks", "shots", "queries", "steps", "second_order", "back")
        ),
        *((name, NUMBER) for name in ("classes", "threads", "workspace", "own_starts")),
        *((name, NUMBER) for name in ("rate_rows", "rate_slopes", "groups")),
        *((name, REAL) for name in ("support_scale", "query_scale")),
        *((name, POINTER) for name in ("sizes", "parameters", "rates", "adapts", "owned", "told", "weights")),
        *((name, POINTER) for name in ("support_x", "support_y", "query_x", "query_y")),
        *((name, POINTER) for name in ("start", "rate", "states", "slopes", "gradient", "rate_slope")),
        *((name, POINTER) for name in ("support_loss", "query_loss", "norms", "work")),
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
            "sizes": (NUMBER * len(descent.sizes))(*descent.sizes),
            "adapts": (ctypes.c_uint8 * count)(*(name in descent.adapts for name in descent.names)),
            "owned": (ctypes.c_uint8 * count)(*(name in descent.owned for name in descent.names)),
        }
        places = NUMBER * (4 * count * shape.groups)
        self.parameters, self.rates = places(), places()
        self.weights = (REAL * max(shape.steps, 1))()
        self.told = (REAL * (2 * shape.groups))()
        """Of each group with a way back: its slope's norm and its mean query loss."""
        self.arrays |= {"parameters": self.parameters, "rates": self.rates}
        self.arrays |= {"told": self.told, "weights": self.weights}
        self.asked = asked = Asked(
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

    def read(self, batch: Batch) -> list[Tensor]:
        """Says where a batch lies; what it gives back must be held until the kernels have read it."""
        given = [t if t.is_contiguous() else t.contiguous() for t in batch]
        asked = self.asked
        asked.support_x, asked.support_y, asked.query_x, asked.query_y = (t.data_ptr() for t in given)
        return given


def lanes(dtype: torch.dtype) -> int:
    """How many numbers of a row the kernels take at once."""
    return int(kernels("mlp", BITS[dtype]).mlp_lanes())


def _room(dtype: torch.dtype) -> "ctypes._NamedFuncPointer":
    room = kernels("mlp", BITS[dtype]).mlp_room
    room.argtypes, room.restype = [POINTER], NUMBER
    return room
