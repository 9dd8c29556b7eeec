"""What supplies a task's images: files in the data folder, or the program that draws glyphs."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.data.copies import copy_note
from engine.data.datasets import DATASETS, Dataset, image_shape
from engine.data.decoding import decode
from engine.data.glyphs import CLASSES, DRAWINGS, VERSION, draw_classes
from engine.data.parts import Classes
from engine.data.sources import Member, Source
from engine.errors import RequestError
from engine.folders import at_home
from engine.presets.schema import ImageTask

_IMAGES_A_JOB = 128


class Supply(Protocol):
    """Classes and images of one data set at one size.

    key: equal keys mean equal images. place: the same before and after the files change.
    """

    @property
    def size(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def place(self) -> str: ...

    @property
    def key(self) -> str: ...

    def classes(self) -> Classes:
        """Group -> class name -> number of images, in the order of the images. No image is decoded."""

    def notes(self) -> tuple[str, ...]:
        """What a reader of a result must know of these images."""

    def chunks(self) -> Iterator[np.ndarray]:
        """All images in order, uint8 [images, channels, size, size] a chunk."""

    def images(self, places: Sequence[int]) -> np.ndarray:
        """The images at these places of the order, uint8 [places, channels, size, size]."""


def supply_of(task: ImageTask, data_dir: Path) -> Supply:
    """What supplies the task's images. Raises RequestError where the data are missing."""
    dataset = DATASETS[task.dataset]
    size, channels = image_shape(task)
    if dataset.name == "glyphs":
        return Glyphs(size, channels)
    return Files(dataset, size, channels, locate(task, data_dir))


@dataclass(frozen=True)
class Glyphs:
    """The glyphs that kshot draws."""

    size: int
    channels: int
    place: str = "glyphs"

    @property
    def key(self) -> str:
        return _hash(["glyphs", VERSION, self.size, self.channels])

    def classes(self) -> Classes:
        return {"glyphs": {f"glyph{index:04d}": DRAWINGS for index in range(CLASSES)}}

    def notes(self) -> tuple[str, ...]:
        return ()

    def chunks(self) -> Iterator[np.ndarray]:
        step = max(1, 50 * 28**2 // self.size**2)  # classes at once: as much memory at every size
        for first in range(0, CLASSES, step):
            drawn = draw_classes(range(first, min(first + step, CLASSES)), size=self.size)
            yield np.repeat(drawn.reshape(-1, 1, self.size, self.size), self.channels, axis=1)

    def images(self, places: Sequence[int]) -> np.ndarray:
        owners = sorted({place // DRAWINGS for place in places})
        drawn = draw_classes(owners, size=self.size)
        found = [drawn[owners.index(place // DRAWINGS), place % DRAWINGS] for place in places]
        images = np.stack(found).reshape(-1, 1, self.size, self.size)
        return np.repeat(images, self.channels, axis=1)


@dataclass(frozen=True)
class Files:
    """Image files in the data folder: one source a group."""

    dataset: Dataset
    size: int
    channels: int
    sources: dict[str, Path]

    @property
    def place(self) -> str:
        return _hash([str(path.resolve()) for path in self.sources.values()])

    @cached_property
    def key(self) -> str:
        return _hash([self.dataset.name, self.size, self.channels, self._stamps])

    def classes(self) -> Classes:
        groups: dict[str, dict[str, int]] = {}
        for group, members in self._listing().items():
            counts = groups.setdefault(group, {})
            for member in members:
                counts[member.class_name] = counts.get(member.class_name, 0) + 1
        return groups

    def notes(self) -> tuple[str, ...]:
        notes = [*copy_note(self.dataset, self.listed())]
        expected = self.dataset.images_per_class
        if expected is not None:
            fewest = min(count for counts in self.classes().values() for count in counts.values())
            notes += [f"{fewest} of {expected} images a class"] if fewest < expected else []
        return tuple(notes)

    def chunks(self) -> Iterator[np.ndarray]:
        jobs = (
            (source, members[first : first + _IMAGES_A_JOB])
            for source, members in self.listed()
            for first in range(0, len(members), _IMAGES_A_JOB)
        )
        threads = min(8, os.cpu_count() or 1)
        waiting: deque[Future[np.ndarray]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for job in jobs:
                    waiting.append(pool.submit(self._decode, *job))
                    if len(waiting) > 2 * threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def images(self, places: Sequence[int]) -> np.ndarray:
        members = [(source, member) for source, members in self.listed() for member in members]
        return np.concatenate([self._decode(members[at][0], [members[at][1]]) for at in places])

    def listed(self) -> list[tuple[Source, list[Member]]]:
        """Each source with its members."""
        listing = self._listing()
        return [(source, listing[group]) for group, source in self._sources()]

    def _decode(self, source: Source, members: list[Member]) -> np.ndarray:
        return np.stack(
            [
                decode(
                    source.read(member),
                    f"{source.path}: {member.name}",
                    size=self.size,
                    channels=self.channels,
                    source_size=self.dataset.source_size,
                    inverted=self.dataset.inverted,
                )
                for member in members
            ]
        )

    def _sources(self) -> list[tuple[str, Source]]:
        names = {names[0]: names for names in self.dataset.groups}
        return [(group, Source(path, names[group])) for group, path in self.sources.items()]

    @cached_property
    def _stamps(self) -> dict[str, str]:
        return {group: _hash(source.stamp()) for group, source in self._sources()}

    def _listing(self) -> dict[str, list[Member]]:
        return {
            group: _members(str(source.path), source.repeated, self._stamps[group])
            for group, source in self._sources()
        }


@lru_cache(maxsize=16)
def _members(path: str, repeated: tuple[str, ...], stamp: str) -> list[Member]:
    """The members of a source; `stamp` makes a changed source a different question."""
    source = Source(Path(path), repeated)
    members = source.members()
    source.close()
    if not members:
        raise RequestError(f"{path} holds no images; CLASS/IMAGE is expected")
    return members


def locate(task: ImageTask, data_dir: Path) -> dict[str, Path]:
    """The archive or folder of each group of the task's data set.

    Raises RequestError that says what is missing, where it was looked for and how to get it.
    """
    dataset = DATASETS[task.dataset]
    homes = homes_of(task, data_dir)
    try:
        return _located(dataset, homes)
    except (OSError, ValueError) as error:  # a name too long or with a null, a folder above closed to us
        reason = error.strerror if isinstance(error, OSError) else error
        raise RequestError(f"{dataset.name}: {homes[0]} cannot be read ({reason})") from None


def _located(dataset: Dataset, homes: Sequence[Path]) -> dict[str, Path]:
    home = next((home for home in homes if home.is_dir()), None)
    looked = " or ".join(map(str, homes))
    if home is None:
        raise RequestError(f"{dataset.name} is not here: looked for {looked}; to get it: {dataset.how}")
    found: dict[str, Path] = {}
    for names in dataset.groups:
        candidates = [home / (name + ending) for name in names for ending in (".zip", "")]
        path = next((path for path in candidates if path.exists()), None)
        if path is None:
            raise RequestError(
                f"{names[0]} (a folder or {names[0]}.zip) is missing in {home}; to get it: {dataset.how}"
            )
        if not os.access(path, os.R_OK):
            raise RequestError(f"{path} cannot be read; check its permissions")
        found[names[0]] = path
    return found


def homes_of(task: ImageTask, data_dir: Path) -> list[Path]:
    """The folders in which the task's data set may lie; the first that exists counts."""
    dataset = DATASETS[task.dataset]
    if dataset.name != "folder":
        return [data_dir / name for name in dataset.folders]
    if not task.folder:
        raise RequestError(
            "task.folder is needed for dataset: folder (its name in the data folder, or a path)"
        )
    given = at_home(task.folder)
    if given.is_absolute():
        return [given]
    # A bare name lies in the data folder; with a slash (./mine, mine/set) it may be a path from here too.
    return [data_dir / given, Path.cwd() / given] if "/" in task.folder else [data_dir / given]


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
