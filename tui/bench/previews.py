"""What a task looks like before anything runs; made off the event loop."""

from pathlib import Path

from engine.errors import RequestError
from tui.bench.catalog import TaskEntry
from tui.bench.live import Preview
from tui.bench.waves import family

PARTS = {"train": "training", "validation": "validation", "test": "test"}


def preview_of(entry: TaskEntry, data_dir: Path) -> Preview:
    """Waves for a sine task; classes and images of each part for an image task whose data are here."""
    if entry.is_sine:
        return Preview(entry.name, family(entry.section))
    lines = [f"{entry.name}: {entry.summary}" if entry.summary else entry.name]
    if entry.present is False:
        return Preview(entry.name, text="\n".join([*lines, entry.detail, entry.how]))
    try:
        lines += _counts(entry, data_dir)
    except (RequestError, OSError, ValueError) as fault:
        lines.append(str(fault))
    return Preview(entry.name, text="\n".join(lines))


def _counts(entry: TaskEntry, data_dir: Path) -> list[str]:
    """`training     1,100 classes, 20 images each`, a line a part."""
    from engine.data import class_counts
    from engine.presets.schema import ImageTask

    given = {key: value for key, value in entry.section.items() if value is not None}
    lines = []
    for part, counts in class_counts(ImageTask.model_validate(given), data_dir).items():
        fewest, most = min(counts, default=0), max(counts, default=0)
        each = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
        lines.append(f"{PARTS.get(part, part):<12}{len(counts):>6,} classes, {each} images each")
    return lines
