"""Whether a copy of a data set can be what was published, and that one which cannot is never taken for it."""

from pathlib import Path

import numpy as np
import pytest
from data_sets import encoded, image_task
from test_cards import evaluated

from engine import data
from engine.data import cache, packing
from engine.data.datasets import DATASETS
from engine.data.parts import published_classes
from engine.data.supply import Files
from engine.runs.cards import card_of
from engine.runs.published import beside

UNKNOWN = "unknown copy ({}): published as a list of photographs, not as files"


def picture(kind: str, size: int = 32) -> bytes:
    return encoded(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8), kind)


def copied(folder: Path, name: str, images: dict[str, str]) -> tuple[str, ...]:
    """What is noted of a data set of one class whose files are these: name -> encoding."""
    (folder / "train" / "class").mkdir(parents=True)
    for file, kind in images.items():
        (folder / "train" / "class" / file).write_bytes(picture(kind))
    group = DATASETS[name].groups[0][0]
    notes = Files(DATASETS[name], 32, 3, {group: folder / "train"}).notes()
    return tuple(note for note in notes if "images a class" not in note)


@pytest.mark.parametrize(
    ("name", "images", "noted"),
    [
        ("cifar-fs", {"0.png": "PNG"}, None),
        ("cifar-fs", {"0.jpg": "JPEG"}, "recompressed (JPEG)"),
        ("cifar-fs", {"0.png": "PNG", "1.JPEG": "JPEG"}, "recompressed (JPEG)"),
        ("cifar-fs", {"0.png": "JPEG"}, "recompressed (JPEG)"),
        ("cifar-fs", {"0.webp": "WEBP", "1.jpg": "JPEG"}, "recompressed (JPEG, WebP)"),
        ("omniglot", {"0.png": "WEBP"}, "recompressed (WebP)"),
        ("miniimagenet", {"0.jpg": "JPEG"}, UNKNOWN.format("JPEG")),
        ("miniimagenet", {"0.png": "PNG"}, UNKNOWN.format("lossless")),
        ("miniimagenet", {"0.webp": "WEBP"}, "recompressed (WebP)"),
        ("folder", {"0.jpg": "JPEG"}, None),
    ],
)
def test_lossy_files_are_told_apart_from_published_ones(
    name: str, images: dict[str, str], noted: str | None, tmp_path: Path
) -> None:
    assert copied(tmp_path, name, images) == (() if noted is None else (noted,))


@pytest.mark.parametrize("note", ["recompressed (JPEG)", UNKNOWN.format("JPEG")])
def test_such_a_copy_stands_on_the_card_and_reproduces_nothing(note: str) -> None:
    card = card_of(evaluated(notes=[note], dataset="omniglot"))
    assert card["copy"] == note
    figure = {"value": 98.7, "ci95": 0.4, "source": "Finn 2017"}
    after = {"mean": 98.7, "ci95": 0.4}
    assert beside(figure, after, card)["verdict"] == "not comparable"
    assert beside(figure, after, {**card, "copy": None})["verdict"] == "agrees"


def test_a_pack_from_before_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path / "cache"))
    files = {"train": "train", "validation": "val", "test": "test"}
    for part, classes in (published_classes("cifar-fs") or {}).items():
        for name in classes:
            (tmp_path / "cifar-fs" / files[part] / name).mkdir(parents=True)
            (tmp_path / "cifar-fs" / files[part] / name / "0.jpg").write_bytes(picture("JPEG"))
    with monkeypatch.context() as before:
        before.setattr(Files, "notes", lambda self: ("nothing to note",))
        for module in (cache, packing):
            before.setattr(module, "TOLD", 1)
        first = data.load_images(image_task("cifar-fs"), tmp_path)
        assert first.notes == ("nothing to note",)
    again = data.load_images(image_task("cifar-fs"), tmp_path)
    assert again.notes == ("recompressed (JPEG)", "1 of 600 images a class")
    assert again.images_hash == first.images_hash
