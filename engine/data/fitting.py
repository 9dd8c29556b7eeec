"""Does a task fit its data: are they here, are there classes and images enough."""

from dataclasses import dataclass
from pathlib import Path

from engine.data.cache import pack_path, read_header
from engine.data.datasets import DATASETS
from engine.data.packing import class_counts
from engine.data.supply import homes_of, locate, supply_of
from engine.errors import RequestError
from engine.folders import data_folder
from engine.presets.schema import ImageTask, Spec
from engine.presets.shapes import Shape, tested_shape, training_shape


@dataclass(frozen=True)
class Presence:
    """Whether a task's data are here, where they were looked for, a line about it, and how to get them."""

    present: bool
    where: Path
    detail: str
    how: str


def inspect(task: ImageTask, data_dir: Path | None = None) -> Presence:
    """Whether the task's data are here. Looks for archives and folders alone and never into them."""
    dataset = DATASETS[task.dataset]
    folder = data_dir if data_dir is not None else data_folder()
    if dataset.name == "glyphs":
        return Presence(
            True, pack_path("glyphs", supply_of(task, folder)).parent, "drawn by kshot", dataset.how
        )
    try:
        where = homes_of(task, folder)[0]
        found = locate(task, folder)
    except RequestError as error:
        where = folder if task.dataset == "folder" and not task.folder else homes_of(task, folder)[0]
        return Presence(False, where, str(error), dataset.how)
    paths = list(found.values())
    return Presence(True, paths[0].parent, ", ".join(path.name for path in paths), dataset.how)


def is_packed(task: ImageTask, data_dir: Path | None = None) -> bool:
    """Whether the task's images are in the cache already. Raises RequestError where the data are missing."""
    supply = supply_of(task, data_dir if data_dir is not None else data_folder())
    return read_header(pack_path(task.dataset, supply), supply.key) is not None


def check_task_fits(spec: Spec, data_dir: Path | None = None) -> None:
    """Refuse a spec that its data cannot serve; a task without images always fits.

    Raises RequestError for missing data, more ways than classes, or more shots and queries than images of the
    smallest class, in every part that the run uses.
    """
    task = spec.task
    if not isinstance(task, ImageTask):
        return
    counts = class_counts(task, data_dir)
    for part in ("test", "validation"):
        _fits(task, part, counts[part], tested_shape(task), "task")
    # Reptile draws whole episodes too: its queries are only watched, but they are drawn.
    if spec.outer.rule in ("meta-gradient", "interpolate"):
        section = "training" if spec.training.ways else "task"
        _fits(task, "train", counts["train"], training_shape(spec), section)


def _fits(task: ImageTask, part: str, counts: list[int], wanted: Shape, section: str) -> None:
    ways, shots, queries = wanted
    which = f"the {part} part of {task.folder or task.dataset}"
    if ways > len(counts):
        raise RequestError(
            f"{section}.ways is {ways}, but {which} has {len(counts)} classes; at most {len(counts)}"
        )
    fewest = min(counts)
    if shots + queries > fewest:
        allowed = f"shots + queries may be at most {fewest}"
        raise RequestError(
            f"{shots} shots and {queries} queries need {shots + queries} images a class, but the smallest "
            f"class of {which} has {fewest}; {allowed}"
        )
