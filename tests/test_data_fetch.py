"""Fetching through torchvision (a stand-in: nothing is downloaded), and checking the data folder."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from data_sets import image_task, photograph, write_omniglot, write_own_images, write_zip

from engine import data
from engine.data import checking
from engine.data.parts import published_classes
from engine.errors import RequestError

TORCHVISION = """
import os, zipfile
import numpy
SOURCE = os.environ["STAND_IN"]

class Omniglot:
    def __init__(self, root, background, download):
        import shutil
        assert download
        name = "images_background.zip" if background else "images_evaluation.zip"
        os.makedirs(root + "/omniglot-py", exist_ok=True)
        shutil.copy(SOURCE + "/" + name, root + "/omniglot-py")

class CIFAR100:
    def __init__(self, root, train, download):
        assert download
        with open(SOURCE + "/classes.txt") as file:
            self.classes = file.read().split()
        count = 5 if train else 1
        self.targets = [label for label in range(100) for _ in range(count)]
        self.data = numpy.zeros((100 * count, 32, 32, 3), numpy.uint8)
        self.data[:, 0, 0, 0] = self.targets
        self.data[:, 0, 0, 1] = [10 * train + n for _ in range(100) for n in range(count)]
"""


@pytest.fixture
def torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for torchvision, found before a real one; its source folder is returned."""
    package = tmp_path / "path/torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "datasets.py").write_text(TORCHVISION)
    source = tmp_path / "source"
    source.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("STAND_IN", str(source))
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path / "cache"))
    return source


def levels(findings: list[data.Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_omniglot_is_fetched_and_checked(torchvision: Path, tmp_path: Path) -> None:
    write_omniglot(torchvision, drawings=20)
    told: list[tuple[str, float]] = []
    home = data.fetch("omniglot", tmp_path / "data", lambda what, fraction: told.append((what, fraction)))
    assert home == tmp_path / "data/omniglot"
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["omniglot"]
    assert told[-1][1] == 1
    shutil.rmtree(torchvision)
    assert data.fetch("omniglot", tmp_path / "data") == home  # it is there: nothing is asked of torchvision


def test_cifar_fs_is_made_from_cifar_100(torchvision: Path, tmp_path: Path) -> None:
    published = published_classes("cifar-fs")
    assert published
    classes = sorted(frozenset().union(*published.values()), reverse=True)
    (torchvision / "classes.txt").write_text(" ".join(classes))
    data.fetch("cifar-fs", tmp_path / "data")
    packed = data.load_images(image_task("cifar-fs"), tmp_path / "data")
    for part in data.PARTS:
        assert set(packed.parts[part].names) == published[part]
    assert packed.notes == ("6 of 600 images a class",)
    test = packed.parts["test"]
    for offset, name in zip(test.offsets, test.names, strict=True):
        images = packed.images[offset : offset + 6]
        assert (images[:, 0, 0, 0] == classes.index(name)).all()
        assert images[:, 1, 0, 0].tolist() == [10, 11, 12, 13, 14, 0]  # training images, then test ones


def test_fetching_without_torchvision(torchvision: Path, tmp_path: Path) -> None:
    (tmp_path / "path/torchvision/datasets.py").write_text("raise ImportError('no torch')")
    with pytest.raises(RequestError, match="uv run --extra fetch"):
        data.fetch("omniglot", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_failed_download(torchvision: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"fetching failed: FileNotFoundError: .*images_background.zip"):
        data.fetch("omniglot", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_data_folder_that_cannot_be_written(torchvision: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="cannot be written"):
        data.fetch("omniglot", tmp_path / "file/data")


def test_what_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"image-net\.org"):
        data.fetch("miniimagenet", tmp_path)
    with pytest.raises(RequestError, match="nearest: omniglot"):
        data.fetch("omniglott", tmp_path)


# --- check


def test_a_sound_folder(tmp_path: Path) -> None:
    write_own_images(tmp_path / "mine")
    findings = data.check("mine", tmp_path)
    assert set(levels(findings)) == {"ok"}
    assert any("9 classes of 4 images" in finding.text for finding in findings)
    assert any("3 / 3 / 3 classes" in finding.text for finding in findings)


def test_the_images_read_are_counted_over_all_parts(tmp_path: Path) -> None:
    write_own_images(tmp_path / "mine")
    told: list[tuple[int, int]] = []
    data.check("mine", tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(done, 36) for done in range(37)]


def test_every_damaged_image_is_named(tmp_path: Path) -> None:
    write_own_images(tmp_path / "mine", images=10)
    for index in range(2, 10):
        (tmp_path / f"mine/val/val-class1/{index}.png").write_text("no image")
    faults = [finding.text for finding in data.check("mine", tmp_path) if finding.level == "fault"]
    assert sum("is no image" in text for text in faults) == 5
    assert any("3 more images like these" in text for text in faults)


def test_a_class_or_an_image_in_two_parts(tmp_path: Path) -> None:
    write_own_images(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine/train/train-class0", tmp_path / "mine/test/train-class0")
    texts = [finding.text for finding in data.check("mine", tmp_path) if finding.level == "fault"]
    assert any("in more than one part: train-class0" in text for text in texts)
    assert any("4 images lie in more than one part" in text for text in texts)


def test_another_split_than_the_published_one(tmp_path: Path) -> None:
    published = published_classes("cifar-fs")
    assert published
    moved = {part: set(names) for part, names in published.items()}
    moved["train"].remove("apple")
    moved["test"].add("apple")
    for seed, (part, file) in enumerate((("train", "train"), ("validation", "val"), ("test", "test"))):
        members = [
            (f"{name}/0.png", photograph(1000 * seed + n, 32, 32))
            for n, name in enumerate(sorted(moved[part]))
        ]
        write_zip(tmp_path / f"cifar-fs/{file}.zip", members)
    texts = [finding.text for finding in data.check("cifar-fs", tmp_path) if finding.level == "fault"]
    assert texts == ["split bertinetto: not the published classes for train and test"]


def test_omniglot_with_a_class_too_small(tmp_path: Path) -> None:
    write_omniglot(tmp_path / "omniglot", drawings=1)
    write_zip(tmp_path / "omniglot/images_evaluation.zip", [])
    assert "holds no images" in data.check("omniglot", tmp_path)[0].text


def test_checking_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="nearest: omniglot"):
        data.check("omniglt", tmp_path)
    with pytest.raises(RequestError, match="omniglot is not here"):
        data.check("omniglot", tmp_path)


def test_glyphs_that_differ_here_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    few = np.zeros((2, 1, 28, 28), np.uint8)
    monkeypatch.setattr(checking.Glyphs, "chunks", lambda glyphs: iter([few]))
    assert levels(data.check("glyphs")) == ["fault"]
    monkeypatch.setattr(checking, "DIGEST", hashlib.sha256(few.tobytes()).hexdigest()[:16])
    assert levels(data.check("glyphs")) == ["ok"]
