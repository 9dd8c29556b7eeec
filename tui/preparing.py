"""Images are read and packed before anything starts: broken ones are refused while nothing is written."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tui.output import say


def prepare_images(specs: Iterable[Any], data_folder: Path) -> None:
    """Packs the images of these specs' tasks where they are not packed yet, and says so.

    Raises RequestError for data that are missing or broken, naming the file.
    """
    from engine.data import is_packed, load_images
    from engine.presets.schema import ImageTask

    seen = set()
    for task in (spec.task for spec in specs):
        if not isinstance(task, ImageTask):
            continue
        images = (task.dataset, task.folder, task.split, task.image_size, task.channels)
        if images in seen:
            continue
        seen.add(images)
        if not is_packed(task, data_folder):
            say(f"reading {task.folder or task.dataset}: once, then it is kept in the cache")
        load_images(task, data_folder)
