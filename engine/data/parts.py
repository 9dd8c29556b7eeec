"""Splits: which classes are for training, for validation and for testing. Each is a file or a fixed rule."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from engine.errors import RequestError

ClassKey = tuple[str, str]  # group (the archive or folder it lies in), class name
Classes = Mapping[str, Mapping[str, int]]  # group -> class name -> images
Parts = dict[str, tuple[ClassKey, ...]]  # part -> its classes

_LISTS = Path(__file__).parent / "splits"
_FINN = (1100, 100, 423)
_ALPHABETS_FOR_VALIDATION = 5
_GLYPHS = (1100, 100, 400)
_PUBLISHED = {
    "miniimagenet": "miniimagenet-ravi.txt",
    "cifar-fs": "cifar-fs-bertinetto.txt",
    "fc100": "fc100-oreshkin.txt",
}


def divide(dataset: str, split: str, classes: Classes) -> Parts:
    """The classes of each part in a fixed order: a function of the names alone.

    - omniglot `finn` (1,100 / 100 / 423): all characters by the SHA-256 of 'ALPHABET/characterNN'; the first
      1,200 are for training (Finn 2017 drew them at random once), of them the last 100 for validation.
    - omniglot `vinyals`: the published lists (Vinyals 2016).
    - omniglot `original`: background / evaluation (Lake 2015); of background's alphabets by the SHA-256 of
      their names the first five are for validation.
    - fc100 `oreshkin`: the published list; 60 / 20 / 20 classes, wherever the files lie (Oreshkin 2018).
    - glyphs `standard`: the first 1,100, the next 100, the last 400.
    - all others: as the files are divided.

    Raises RequestError where classes are missing that the split names.
    """
    if dataset == "omniglot":
        return _omniglot(split, classes)
    keys = [tuple((group, name) for name in sorted(names)) for group, names in classes.items()]
    if dataset == "glyphs":
        return _cut(list(keys[0]), _GLYPHS)
    if dataset == "fc100":
        return _listed("fc100", [key for group in keys for key in group])
    return dict(zip(("train", "validation", "test"), keys, strict=True))


def published_classes(dataset: str) -> dict[str, frozenset[str]] | None:
    """Class names of each part as the split's authors list them; None for data sets without such a list."""
    file = _PUBLISHED.get(dataset)
    if file is None:
        return None
    listed: dict[str, set[str]] = {}
    for part, name in _lines(file):
        listed.setdefault(part, set()).add(name)
    return {part: frozenset(names) for part, names in listed.items()}


def _listed(dataset: str, keys: list[ClassKey]) -> Parts:
    """The classes of each part by the published list, whichever archive or folder each lies in."""
    published = published_classes(dataset) or {}
    named = frozenset().union(*published.values())
    there = [name for _, name in keys]
    missing = sorted(named - set(there))
    if missing or len(there) != len(set(there)):
        what = f"{missing[0]} is missing" if missing else "a class lies in more than one archive"
        raise RequestError(f"{dataset} is not whole: {what} (kshot data check {dataset})")
    return {
        part: tuple(sorted(key for key in keys if key[1] in published[part]))
        for part in ("train", "validation", "test")
    }


def _omniglot(split: str, classes: Classes) -> Parts:
    keys = [(group, name) for group, names in classes.items() for name in names]
    expected = sum(_FINN)
    if len(keys) != expected or len({name for _, name in keys}) != expected:
        counts = ", ".join(f"{len(names)} in {group}" for group, names in classes.items())
        raise RequestError(
            f"omniglot is not whole: {counts}; 964 characters in images_background and 659 in "
            "images_evaluation are expected (kshot data check omniglot)"
        )
    if split == "finn":
        return _cut(sorted(keys, key=lambda key: _digest(key[1])), _FINN)
    if split == "vinyals":
        return _vinyals({name: key for key in keys for name in (key[1],)})
    background = [key for key in keys if key[0] == "images_background"]
    alphabets = sorted({_alphabet(key) for key in background}, key=_digest)[:_ALPHABETS_FOR_VALIDATION]
    return {
        "train": tuple(sorted(key for key in background if _alphabet(key) not in alphabets)),
        "validation": tuple(sorted(key for key in background if _alphabet(key) in alphabets)),
        "test": tuple(sorted(key for key in keys if key[0] != "images_background")),
    }


def _vinyals(by_name: Mapping[str, ClassKey]) -> Parts:
    parts: dict[str, list[ClassKey]] = {}
    for part, alphabet, numbers in _lines("omniglot-vinyals.txt"):
        first, last = map(int, numbers.split("-"))
        for number in range(first, last + 1):
            name = f"{alphabet}/character{number:02d}"
            if name not in by_name:
                raise RequestError(f"omniglot is not whole: {name} of the split vinyals is missing")
            parts.setdefault(part, []).append(by_name[name])
    return {part: tuple(keys) for part, keys in parts.items()}


def _cut(keys: list[ClassKey], sizes: tuple[int, int, int]) -> Parts:
    train, validation, _ = sizes
    return {
        "train": tuple(keys[:train]),
        "validation": tuple(keys[train : train + validation]),
        "test": tuple(keys[train + validation :]),
    }


def _alphabet(key: ClassKey) -> str:
    return key[1].split("/")[0]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def _lines(file: str) -> list[list[str]]:
    lines = (_LISTS / file).read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if not line.startswith("#")]
