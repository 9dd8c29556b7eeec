"""A task's images and classes: counted without decoding, and loaded through the packed cache."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.data.cache import TOLD, Header, bytes_of, digest_of, open_pack, pack_path, read_header, write_pack
from engine.data.datasets import split_of
from engine.data.parts import Classes, Parts, divide
from engine.data.supply import Supply, supply_of
from engine.errors import RequestError
from engine.folders import data_folder
from engine.presets.schema import ImageTask

Progress = Callable[[str, float], None]
TURNS = 4


@dataclass(frozen=True)
class Part:
    """The classes of one part: a class's images are images[offset : offset + count].

    offsets, counts int64 [classes]; names of the classes. Turned classes are not in here: the sampler turns.
    """

    offsets: np.ndarray
    counts: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class PackedImages:
    """All images of a data set, uint8 [images, C, H, W] (memory-mapped), and the classes of each part."""

    images: np.ndarray
    parts: dict[str, Part]
    split: str
    split_hash: str
    images_hash: str
    notes: tuple[str, ...]


def class_counts(task: ImageTask, data_dir: Path | None = None) -> dict[str, list[int]]:
    """Images per class of train, validation and test; with `rotations: classes` at place class * 4 + turn.

    No image is decoded. Raises RequestError for missing data, an unknown split, or archives not to be read.
    """
    classes, parts = _divided(task, supply_of(task, _folder(data_dir)))
    turns = TURNS if task.rotations == "classes" else 1
    return {
        part: [classes[group][name] for group, name in keys for _ in range(turns)]
        for part, keys in parts.items()
    }


def split_hash(task: ImageTask, data_dir: Path | None = None) -> str:
    """16 hex digits of the split's name and each part's class names and counts, pack or no pack."""
    return _hash_of(split_of(task), *_divided(task, supply_of(task, _folder(data_dir))))


def load_images(
    task: ImageTask, data_dir: Path | None = None, progress: Progress | None = None
) -> PackedImages:
    """The task's images, packed into the cache where they are not yet.

    progress(what, fraction) is called while packing. Where the cache cannot be written the images are held in
    memory and a note says so. Raises RequestError for missing data, damaged files and files that are no
    images.
    """
    split = split_of(task)
    supply = supply_of(task, _folder(data_dir))
    # Divided before anything is packed: an incomplete data set is refused here.
    classes, parts = _divided(task, supply)
    tell = _teller(f"packing {task.dataset} into the cache", progress)
    images, digest, notes = _packed(pack_path(task.dataset, supply), supply, tell)
    return PackedImages(
        images=images,
        parts=_parts(classes, parts),
        split=split,
        split_hash=_hash_of(split, classes, parts),
        images_hash=digest,
        notes=notes,
    )


def _packed(
    path: Path, supply: Supply, tell: Callable[[float], None]
) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Images, their digest and notes: from the pack, made where it is missing, or in memory."""
    found = open_pack(path, supply.key)
    reason = "what was written differs"
    if found is None:
        try:
            write_pack(path, supply, tell)
            found = open_pack(path, supply.key)
        except OSError as error:
            reason = error.strerror or str(error)
    if found is None:
        images = _in_memory(supply, reason)
        note = f"held in memory: the cache {path.parent} cannot be used ({reason})"
        return images, digest_of(images), (*supply.notes(), note)
    images, header = found
    return images, header.digest, header.notes if header.told == TOLD else supply.notes()


def _in_memory(supply: Supply, reason: str) -> np.ndarray:
    total = sum(sum(counts.values()) for counts in supply.classes().values())
    needed, there = bytes_of(supply), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise RequestError(
            f"{total:,} images of {supply.size} x {supply.size} pixels take {needed / 1e9:,.0f} GB, memory "
            f"has {there / 1e9:,.0f} and the cache cannot hold them ({reason}); lower task.image_size"
        )
    images = np.empty((total, supply.channels, supply.size, supply.size), np.uint8)
    done = 0
    for chunk in supply.chunks():
        images[done : done + len(chunk)] = chunk
        done += len(chunk)
    return images


_MOST_DIVIDED = 16
_divided_before: dict[tuple[str, str, str, str], tuple[Classes, Parts]] = {}


def _divided(task: ImageTask, supply: Supply) -> tuple[Classes, Parts]:
    """The classes, and those of each part; told once of the same files: a comparison asks for every row."""
    split = split_of(task)
    asked = (task.dataset, split, supply.place, supply.key)
    found = _divided_before.get(asked)
    if found is None:
        header = _packed_header(task, supply)
        classes: Classes = header.classes if header else supply.classes()
        found = classes, divide(task.dataset, split, classes)
        while len(_divided_before) >= _MOST_DIVIDED:
            _divided_before.pop(next(iter(_divided_before)), None)
        _divided_before[asked] = found
    return found


def _packed_header(task: ImageTask, supply: Supply) -> Header | None:
    return read_header(pack_path(task.dataset, supply), supply.key)


def _parts(classes: Classes, parts: Parts) -> dict[str, Part]:
    offsets: dict[tuple[str, str], int] = {}
    total = 0
    for group, names in classes.items():
        for name, count in names.items():
            offsets[group, name] = total
            total += count
    return {
        part: Part(
            offsets=np.array([offsets[key] for key in keys], np.int64),
            counts=np.array([classes[group][name] for group, name in keys], np.int64),
            names=tuple(name for _, name in keys),
        )
        for part, keys in parts.items()
    }


def _hash_of(split: str, classes: Classes, parts: Parts) -> str:
    content = {part: [[name, classes[group][name]] for group, name in keys] for part, keys in parts.items()}
    return hashlib.sha256(json.dumps([split, content], sort_keys=True).encode()).hexdigest()[:16]


def _folder(data_dir: Path | None) -> Path:
    return data_dir if data_dir is not None else data_folder()


def _teller(what: str, progress: Progress | None) -> Callable[[float], None]:
    def tell(fraction: float) -> None:
        if progress is not None:
            progress(what, fraction)

    return tell
