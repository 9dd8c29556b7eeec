"""Task distributions: tasks as a function of (seed, part, index)."""

from functools import lru_cache
from pathlib import Path

import torch

from engine.data import PackedImages, load_images
from engine.presets.schema import ImageTask, Spec
from engine.presets.shapes import Shape, tested_shape, training_shape
from engine.tasks.episodes import Episodes, Examples, Part, TaskDistribution
from engine.tasks.images import ImageEpisodes
from engine.tasks.sine import Sine

__all__ = ["Episodes", "Examples", "Part", "Shape", "TaskDistribution", "build_tasks", "training_shape"]


def _images_of(task: ImageTask) -> ImageTask:
    """A task with whatever does not decide its images left out, so that equal images have equal keys."""
    kept = {"dataset", "split", "folder", "image_size", "channels", "rotations"}
    return ImageTask.model_validate(task.model_dump(include=kept))


@lru_cache(maxsize=1)
def _packed(task: ImageTask, data_folder: Path) -> PackedImages:
    """The images that were read last: one worker tests many runs on the same ones."""
    return load_images(task, data_folder)


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
        tested = tested_shape(task)
        shapes: dict[Part, Shape] = {"train": training, "validation": tested, "test": tested}
        augment = spec.training.augment
        return ImageEpisodes(_packed(_images_of(task), data_folder), task.rotations, shapes, *common, augment)
    return Sine(task, training, *common)
