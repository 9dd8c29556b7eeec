"""What a batch of tasks is, and what every task distribution offers."""

from typing import Literal, NamedTuple, Protocol

from torch import Tensor

from engine.presets.shapes import Shape

Part = Literal["train", "validation", "test"]


class Episodes(NamedTuple):
    """A batch of T tasks.

    `support_x [T, S, ...]`, `query_x [T, Q, ...]`; labels are int64 `[T, S]`, `[T, Q]` for classes and
    floats `[T, S, 1]`, `[T, Q, 1]` for values. `indices [T]` are the tasks' numbers in their stream,
    `identity [T]` those in a finite set of tasks (the indices where the set is endless). `detail` is what
    else a task is: for each class 4 · its number + its quarter turns `[T, N]`, or amplitude, phase and
    frequency `[T, 3]`.
    """

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor
    indices: Tensor
    identity: Tensor
    detail: Tensor

    def rows(self, begin: int, end: int) -> "Episodes":
        """The tasks from `begin` up to `end`."""
        if begin == 0 and end >= len(self.indices):
            return self
        return Episodes(*(tensor[begin:end] for tensor in self))


class Examples(NamedTuple):
    """A batch for joint training: `x [1, B, ...]`, labels `y [1, B]` (classes) or `[1, B, 1]` (values), and
    the examples' numbers in their stream `indices [1, B]`."""

    x: Tensor
    y: Tensor
    indices: Tensor

    def columns(self, begin: int, end: int) -> "Examples":
        """The examples from `begin` up to `end`."""
        if begin == 0 and end >= self.indices.shape[1]:
            return self
        return Examples(*(tensor[:, begin:end] for tensor in self))


class TaskDistribution(Protocol):
    """Tasks as a function of their index.

    `kind` is `classes` (labels within an episode) or `values` (regression); `input_shape` one example's
    shape; `outputs` the number of outputs of a task's head in a part; `joint_outputs` that of a head for
    joint training; `seeds` what each part's tasks are drawn by: the run's seed, or `evaluation.seed`.
    """

    kind: Literal["classes", "values"]
    input_shape: tuple[int, ...]
    joint_outputs: int
    seeds: dict[Part, int]

    def outputs(self, part: Part) -> int: ...

    def shape(self, part: Part) -> Shape: ...

    def episodes(self, part: Part, index: Tensor) -> Episodes: ...

    def examples(self, index: Tensor) -> Examples: ...
