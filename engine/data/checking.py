"""Checking a data set: every image decodes, nothing is missing, and training and test images never meet."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from engine.data.cache import digest_of
from engine.data.datasets import DATASETS, dataset_named
from engine.data.decoding import decode
from engine.data.glyphs import CLASSES, DIGEST, DRAWINGS
from engine.data.parts import Classes, divide, published_classes
from engine.data.sources import Member, Source
from engine.data.supply import Files, Glyphs, locate
from engine.errors import RequestError
from engine.folders import at_home, data_folder
from engine.presets.schema import ImageTask

_NAMED = 5  # faults of a kind that are named; the others are counted


@dataclass(frozen=True)
class Finding:
    """One thing that a check found: `ok`, `note` (worth knowing beside a result) or `fault`."""

    level: Literal["ok", "note", "fault"]
    text: str


Progress = Callable[[int, int], None]
"""Told how many images of how many have been read."""


def _unwatched(done: int, total: int) -> None:
    pass


def check(name: str, data_dir: Path | None = None, progress: Progress = _unwatched) -> list[Finding]:
    """Read a data set wholly and report what was found; `name` may be a folder of your own images.

    `progress` is told once it is known what is to be read, and after each image or portion of drawn ones.

    Raises RequestError where there is no such data set or its files are not where they should be.
    """
    if name == "glyphs":
        return _check_glyphs(progress)
    files = _files_named(name, data_folder() if data_dir is None else data_dir)
    try:
        classes = files.classes()
    except RequestError as error:
        return [Finding("fault", str(error))]
    digests, listed = _Digests(), files.listed()
    seen, total = itertools.count(1), sum(len(members) for _, members in listed)
    progress(0, total)

    def tell() -> None:
        progress(next(seen), total)

    findings = [f for source, members in listed for f in _read(files, source, members, digests, tell)]
    findings += _check_counts(files, classes)
    findings += [
        finding for split in files.dataset.splits for finding in _check_split(files, split, classes, digests)
    ]
    return findings + [Finding("note", note) for note in files.notes()]


def _files_named(name: str, folder: Path) -> Files:
    if name == "folder":
        raise RequestError("which folder? kshot data check NAME, its name in the data folder or a path")
    if name in DATASETS:
        task = {"dataset": name}
    else:
        path = next((path for path in (folder / name, at_home(name)) if _is_folder(path)), None)
        if path is None:
            dataset_named(name)
        task = {"dataset": "folder", "folder": str(Path(path or name).absolute())}
    dataset = DATASETS[task["dataset"]]
    sources = locate(ImageTask.model_validate(task), folder)
    # A folder's own size and channels stand in its task; any will do to see whether its images can be read.
    return Files(dataset, dataset.image_size or 32, dataset.channels or 3, sources)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long, a folder above closed to us
        return False


class _Digests:
    """Which classes hold a file of the same bytes."""

    def __init__(self) -> None:
        self.holders: dict[str, set[tuple[Path, str]]] = {}

    def add(self, source: Path, class_name: str, digest: str) -> None:
        self.holders.setdefault(digest, set()).add((source, class_name))


def _read(
    files: Files, source: Source, members: list[Member], digests: _Digests, tell: Callable[[], None]
) -> Iterator[Finding]:
    def fault(member: Member) -> tuple[str, str | None]:
        try:
            content = source.read(member)
            decode(
                content,
                f"{source.path}: {member.name}",
                size=files.size,
                channels=files.channels,
                source_size=files.dataset.source_size,
            )
        except RequestError as error:
            return "", str(error)
        return hashlib.sha256(content).hexdigest(), None

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        faults = []
        for member, (digest, text) in zip(members, pool.map(fault, members, chunksize=64), strict=True):
            tell()
            if text is None:
                digests.add(source.path, member.class_name, digest)
            else:
                faults.append(text)
    yield from (Finding("fault", text) for text in faults[:_NAMED])
    if len(faults) > _NAMED:
        yield Finding("fault", f"{source.path}: {len(faults) - _NAMED:,} more images like these")
    if not faults:
        yield Finding("ok", f"{source.path}: all {len(members):,} images can be read")


def _check_counts(files: Files, classes: Classes) -> Iterator[Finding]:
    counts = [count for names in classes.values() for count in names.values()]
    spread = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    yield Finding("ok", f"{len(counts):,} classes of {spread} images")
    expected = files.dataset.images_per_class
    few = [
        f"{name} ({count})"
        for names in classes.values()
        for name, count in names.items()
        if count != expected
    ]
    if expected is not None and 0 < len(few) < len(counts):
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        yield Finding("fault", f"classes without {expected} images: {', '.join(few[:_NAMED])}{more}")


def _check_split(files: Files, split: str, classes: Classes, digests: _Digests) -> Iterator[Finding]:
    try:
        parts = divide(files.dataset.name, split, classes)
    except RequestError as error:
        yield Finding("fault", str(error))
        return
    part_of = {(files.sources[group], name): part for part, keys in parts.items() for group, name in keys}
    sizes = " / ".join(f"{len(parts[part]):,}" for part in ("train", "validation", "test"))
    names = [name for keys in parts.values() for _, name in keys]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    shared = sum(
        len({part_of.get(holder) for holder in holders} - {None}) > 1 for holders in digests.holders.values()
    )
    if twice:
        yield Finding("fault", f"split {split}: in more than one part: {', '.join(twice[:_NAMED])}")
    published = published_classes(files.dataset.name) or {}
    if shared:
        # CIFAR-100 and ImageNet hold a few images twice, in two classes: so they were published.
        level: Literal["note", "fault"] = "note" if published else "fault"
        yield Finding(level, f"split {split}: {shared:,} images lie in more than one part, byte for byte")
    strange = [part for part in published if {name for _, name in parts[part]} != published[part]]
    if strange:
        yield Finding("fault", f"split {split}: not the published classes for {' and '.join(strange)}")
    elif not twice:
        listed = ", as published" if published else ""
        yield Finding("ok", f"split {split}: {sizes} classes for training, validation and test{listed}")


def _check_glyphs(progress: Progress) -> list[Finding]:
    chunks: list[np.ndarray] = []
    progress(0, CLASSES * DRAWINGS)
    for chunk in Glyphs(28, 1).chunks():
        chunks.append(chunk)
        progress(sum(map(len, chunks)), CLASSES * DRAWINGS)
    drawn = np.concatenate(chunks)
    if digest_of(drawn).startswith(DIGEST):
        return [Finding("ok", f"{len(drawn):,} glyphs drawn, the same as on every machine")]
    return [
        Finding("fault", "glyphs are drawn differently here than on other machines; results do not compare")
    ]
