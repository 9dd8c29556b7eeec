"""How large an episode is, as training and testing see it."""

from typing import NamedTuple

from engine.presets.schema import SineTask, Spec, Task


class Shape(NamedTuple):
    """Classes, support examples a class and query examples a class of an episode; one class for values."""

    ways: int
    shots: int
    queries: int

    @property
    def examples(self) -> int:
        """Support and query examples of one episode."""
        return self.ways * (self.shots + self.queries)


def tested_shape(task: Task) -> Shape:
    """What an episode has in testing and validation."""
    return Shape(1 if isinstance(task, SineTask) else task.ways, task.shots, task.queries)


def training_shape(spec: Spec) -> Shape:
    """What a training episode has: `training.*` where given, else what is tested."""
    tested, training = tested_shape(spec.task), spec.training
    ways = 1 if isinstance(spec.task, SineTask) else training.ways or tested.ways
    return Shape(ways, training.shots or tested.shots, training.queries or tested.queries)
