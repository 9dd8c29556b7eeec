"""A few images of a few of a task's classes, to look at: nothing else is decoded, and nothing is packed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.data.cache import Header, pack_path, read_header
from engine.data.datasets import split_of
from engine.data.parts import Classes, divide
from engine.data.supply import supply_of
from engine.folders import data_folder
from engine.presets.schema import ImageTask


@dataclass(frozen=True)
class Sample:
    """One class of a task: its name and some of its images, uint8 [images, H, W, C]."""

    name: str
    images: np.ndarray


def samples(
    task: ImageTask, data_dir: Path | None = None, *, part: str = "train", classes: int = 5, images: int = 2
) -> tuple[Sample, ...]:
    """The first images of classes spread evenly over a part; fewer where there are fewer.

    They are taken from the pack where there is one, whose bytes are not verified here, else decoded. Raises
    RequestError for missing data, an unknown split, damaged files.
    """
    supply = supply_of(task, data_dir if data_dir is not None else data_folder())
    path = pack_path(task.dataset, supply)
    header = read_header(path, supply.key)
    counts: Classes = header.classes if header is not None else supply.classes()
    keys = divide(task.dataset, split_of(task), counts)[part]
    number = min(classes, len(keys))
    chosen = [keys[at * len(keys) // number] for at in range(number)]
    begins = _begins(counts)
    places = [range(begins[key], begins[key] + min(images, counts[key[0]][key[1]])) for key in chosen]
    flat = [place for each in places for place in each]
    pixels = _packed(path, header, flat) if header is not None else supply.images(flat)
    ends = np.cumsum([len(each) for each in places])
    each_class = np.split(pixels.transpose(0, 2, 3, 1), ends[:-1]) if flat else []
    return tuple(Sample(name, own) for (_, name), own in zip(chosen, each_class, strict=True))


def _begins(counts: Classes) -> dict[tuple[str, str], int]:
    """Where each class's images begin among all."""
    begins: dict[tuple[str, str], int] = {}
    total = 0
    for group, names in counts.items():
        for name, count in names.items():
            begins[group, name] = total
            total += count
    return begins


def _packed(path: Path, header: Header, places: list[int]) -> np.ndarray:
    images = np.memmap(path, np.uint8, mode="r", offset=header.offset, shape=header.shape)
    return np.array(images[places])
