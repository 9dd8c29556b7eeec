"""What a task looks like before anything runs; made off the event loop."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.style import Style

from engine.errors import RequestError
from tui.bench.catalog import TaskEntry
from tui.bench.panel import Preview
from tui.bench.waves import family
from tui.output import plain
from tui.widgets.images import Group, Picture

if TYPE_CHECKING:
    from engine.presets.schema import ImageTask

CLASSES, DRAWINGS = 5, 3
PARTS = {"train": "training", "validation": "validation", "test": "test"}


def preview_of(entry: TaskEntry, data_dir: Path) -> Preview:
    """Waves for a sine task; for an image task whose data are here the classes and images of each part, and
    some of them; else what is missing and how to get it."""
    if entry.is_sine:
        return Preview(entry.name, family(entry.section))
    lines = [f"{entry.name}: {entry.summary}" if entry.summary else entry.name]
    if entry.present is False:
        return Preview(entry.name, text="\n".join([*lines, entry.detail, entry.how]))
    groups: list[Group] = []
    try:
        task = _task_of(entry)
        lines += _counts(task, data_dir)
        groups = _drawings(task, data_dir)
    except (RequestError, OSError, ValueError) as fault:
        lines.append(str(fault))
    return Preview(entry.name, text="\n".join(lines), groups=groups)


def _task_of(entry: TaskEntry) -> "ImageTask":
    from engine.presets.schema import ImageTask

    return ImageTask.model_validate({key: value for key, value in entry.section.items() if value is not None})


def _drawings(task: "ImageTask", data_dir: Path) -> list[Group]:
    """Some images of some training classes: a row for each image of all of them, under their names."""
    from engine.data.samples import samples

    found = samples(task, data_dir, classes=min(CLASSES, task.ways), images=DRAWINGS)
    # Of `ALPHABET/character05` the end tells it from its neighbours.
    names = [plain(sample.name).rpartition("/")[2] for sample in found]
    return [
        Group(
            f"{len(found)} of the training classes" if row == 0 else f"{row + 1}. image of each",
            [
                Picture(sample.images[row], name if row == 0 else "", Style(dim=True))
                for sample, name in zip(found, names, strict=True)
                if row < len(sample.images)
            ],
        )
        for row in range(max((len(sample.images) for sample in found), default=0))
    ]


def _counts(task: "ImageTask", data_dir: Path) -> list[str]:
    """`training     1,100 classes, 20 images each`, a line a part."""
    from engine.data import class_counts

    lines = []
    for part, counts in class_counts(task, data_dir).items():
        fewest, most = min(counts, default=0), max(counts, default=0)
        each = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
        lines.append(f"{PARTS.get(part, part):<12}{len(counts):>6,} classes, {each} images each")
    return lines
