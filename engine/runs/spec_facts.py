"""What a spec says of its training that stands in no key of its own."""

from engine.presets import ImageTask, Spec


def normalises(spec: Spec) -> bool:
    """Whether the model has layers that need batch statistics."""
    return spec.model.norm == "batch" and spec.model.name != "pixels"


def tasks_seen(spec: Spec, iterations: int | None) -> int | None:
    """Training tasks, or for joint training as many tasks as its examples would make; 0 without training."""
    if iterations is None:
        return None
    training = spec.training
    if spec.outer.rule != "joint" or training.examples_per_batch is None:
        return iterations * training.tasks_per_batch
    ways = (training.ways or spec.task.ways) if isinstance(spec.task, ImageTask) else 1
    shots, queries = training.shots or spec.task.shots, training.queries or spec.task.queries
    return round(iterations * training.examples_per_batch / (ways * (shots + queries)))
