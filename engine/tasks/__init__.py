"""Task distributions: tasks as a function of (seed, part, index)."""

from pathlib import Path

import torch

from engine.data import load_images
from engine.presets.schema import ImageTask, SineTask, Spec
from engine.tasks.episodes import Episodes, Examples, Part, Shape, TaskDistribution
from engine.tasks.images import ImageEpisodes
from engine.tasks.sine import Sine

__all__ = ["Episodes", "Examples", "Part", "Shape", "TaskDistribution", "build_tasks", "training_shape"]


def training_shape(spec: Spec) -> Shape:
    """What a training episode has: `training.*` where given, else what is tested."""
    task, training = spec.task, spec.training
    ways = 1 if isinstance(task, SineTask) else training.ways or task.ways
    return Shape(ways, training.shots or task.shots, training.queries or task.queries)


def build_tasks(
    spec: Spec,
    data_folder: Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> TaskDistribution:
    """The task distribution of a spec, its images on `device`.

    Raises:
        RequestError: data are missing or broken.
    """
    task, training, device = spec.task, training_shape(spec), torch.device(device)
    common = (spec.seed, spec.evaluation.seed, spec.training.tasks, device, dtype)
    if isinstance(task, ImageTask):
        tested = Shape(task.ways, task.shots, task.queries)
        shapes: dict[Part, Shape] = {"train": training, "validation": tested, "test": tested}
        return ImageEpisodes(load_images(task, data_folder), task.rotations, shapes, *common)
    return Sine(task, training, *common)
