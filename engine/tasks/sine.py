"""Sine waves: the family of regression tasks of Finn 2017 and its relatives."""

from typing import Literal

import torch
from torch import Tensor

from engine.presets.schema import SineTask
from engine.presets.shapes import Shape, tested_shape
from engine.tasks.draws import integers, stream_key, uniform, uniforms
from engine.tasks.episodes import Episodes, Examples, Part


def wave(detail: Tensor, x: Tensor, sign: float) -> Tensor:
    """amplitude · sin(frequency · x + sign · phase) at `x [T, n]` for `detail [T, 3]` (amplitude, phase,
    frequency)."""
    amplitude, phase, frequency = detail.unsqueeze(-1).unbind(1)
    return amplitude * torch.sin(frequency * x + sign * phase)


def told_to_oracle(task: SineTask) -> list[int]:
    """The columns of `detail` that an oracle is given beside x: those that vary; none where there is none."""
    ranges = (task.amplitude, task.phase, task.frequency)
    return [at for at, (low, high) in enumerate(ranges) if task.oracle and low < high]


def _within(low_high: tuple[float, float], fraction: Tensor) -> Tensor:
    low, high = low_high
    return low + (high - low) * fraction


class Sine:
    """Tasks y = amplitude · sin(frequency · x ± phase), drawn in float64 and given in `dtype`."""

    kind: Literal["classes", "values"] = "values"
    joint_outputs = 1

    def __init__(
        self,
        task: SineTask,
        training: Shape,
        seed: int,
        evaluation_seed: int,
        tasks: int | None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.task, self.tasks, self.device, self.dtype = task, tasks, device, dtype
        self.seeds: dict[Part, int] = {"train": seed, "validation": evaluation_seed, "test": evaluation_seed}
        tested = tested_shape(task)
        self.shapes = {"train": training, "validation": tested, "test": tested}
        self.sign = -1.0 if task.shift == "minus" else 1.0
        self.told = told_to_oracle(task)
        self.input_shape: tuple[int, ...] = (1 + len(self.told),)

    def outputs(self, part: Part) -> int:
        """One value."""
        return 1

    def shape(self, part: Part) -> Shape:
        """Points of an episode; its `ways` is 1."""
        return self.shapes[part]

    def _key(self, part: Part, purpose: str) -> int:
        return stream_key("sine", self.seeds[part], part, purpose)

    def _identity(self, index: Tensor) -> Tensor:
        """The wave of each training index: itself, or one of a finite set."""
        if self.tasks is None:
            return index
        return integers(self._key("train", "identity"), index, 1, self.tasks).squeeze(-1)

    def _waves(self, fraction: Tensor) -> Tensor:
        """Amplitude, phase, frequency `[T, 3]` from numbers in [0, 1)."""
        ranges = (self.task.amplitude, self.task.phase, self.task.frequency)
        return torch.stack([_within(r, f) for r, f in zip(ranges, fraction.unbind(-1), strict=True)], -1)

    def inputs(self, x: Tensor, detail: Tensor) -> Tensor:
        """What a model is given `[T, n, I]` at `x [T, n]` of waves `detail [T, 3]`: x, and for an oracle what
        differs from wave to wave."""
        # Columns one by one: a list of them as an index would be copied to the device at each draw.
        told = [detail[:, column, None].expand_as(x) for column in self.told]
        return torch.stack([x, *told], -1)

    def episodes(self, part: Part, index: Tensor) -> Episodes:
        """The tasks of `index [T]`: K support and Q query points each."""
        shape = self.shapes[part]
        identity = self._identity(index) if part == "train" else index
        wave_key, *keys = (self._key(part, purpose) for purpose in ("wave", "support", "query"))
        if identity is index:
            counts = [3, shape.shots, shape.queries]
            of_wave, of_support, of_query = uniforms([wave_key, *keys], index, counts)
        else:
            of_wave = uniform(wave_key, identity, 3)
            of_support, of_query = uniforms(keys, index, [shape.shots, shape.queries])
        detail = self._waves(of_wave)
        support_x = _within(self.task.support_x, of_support)
        query_x = _within(self.task.query_x, of_query)
        given_x = [self.inputs(x, detail) for x in (support_x, query_x)]
        values = [wave(detail, x, self.sign).unsqueeze(-1) for x in (support_x, query_x)]
        points = [v.to(self.device, self.dtype) for v in (given_x[0], values[0], given_x[1], values[1])]
        numbers = [v.to(self.device) for v in (index, identity, detail)]
        return Episodes(points[0], points[1], points[2], points[3], numbers[0], numbers[1], numbers[2])

    def examples(self, index: Tensor) -> Examples:
        """Single points for joint training, `x [1, B, I]`: example i is one point of its own wave.

        Support and query ranges are drawn from in the proportion in which training episodes draw from them.
        """
        identity = self._identity(index)
        fraction = uniform(self._key("train", "joint"), index, 2)
        shape = self.shapes["train"]
        from_support = fraction[:, 1:] * (shape.shots + shape.queries) < shape.shots
        place = fraction[:, :1]
        x = torch.where(from_support, _within(self.task.support_x, place), _within(self.task.query_x, place))
        waves = self._waves(uniform(self._key("train", "wave"), identity, 3))
        points = (self.inputs(x, waves).squeeze(1), wave(waves, x, self.sign))
        given_x, y = (v.unsqueeze(0).to(self.device, self.dtype) for v in points)
        return Examples(given_x, y, index.unsqueeze(0).to(self.device))
