"""Bad data: one line that names what is wrong, where, and what would be right; none of it is trained on."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_sets import encoded, image_task, photograph, spec, write_omniglot, write_own_images, write_zip

from engine import data
from engine.data import decoding, sources
from engine.errors import RequestError
from engine.presets.schema import ImageTask

OWN: dict[str, object] = {"dataset": "folder", "folder": "mine", "image_size": 6, "channels": 3}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    write_own_images(tmp_path / "mine")
    return tmp_path / "mine"


def refusal(folder: Path, task: ImageTask | None = None) -> str:
    with pytest.raises(RequestError) as caught:
        data.load_images(task or ImageTask.model_validate(OWN), folder)
    line = str(caught.value)
    assert "\n" not in line
    left = [path for path in (folder / "cache").rglob("*") if path.suffix in (".pack", ".tmp")]
    assert not left, "nothing of a refused data set may stay"
    return line


def test_missing_data_set(tmp_path: Path) -> None:
    line = refusal(tmp_path, image_task("omniglot"))
    assert str(tmp_path / "omniglot") in line
    assert "kshot data fetch omniglot" in line
    assert "licence" in refusal(tmp_path, image_task("miniimagenet"))


def test_missing_part(mine: Path, tmp_path: Path) -> None:
    (mine / "val").rename(mine / "other")
    assert f"val (a folder or val.zip) is missing in {mine}" in refusal(tmp_path)


def test_half_of_omniglot(tmp_path: Path) -> None:
    write_omniglot(tmp_path / "omniglot", drawings=1)
    archive = tmp_path / "omniglot/images_evaluation.zip"
    with zipfile.ZipFile(archive) as whole:
        members = [(name, whole.read(name)) for name in whole.namelist()[:-1]]
    write_zip(archive, members)
    line = refusal(tmp_path, image_task("omniglot"))
    assert "omniglot is not whole: 964 in images_background, 658 in images_evaluation" in line


@pytest.mark.parametrize("kept", [0.2, 0.9, 0.0])
def test_truncated_archive(tmp_path: Path, kept: float) -> None:
    write_omniglot(tmp_path / "omniglot", drawings=1)
    archive = tmp_path / "omniglot/images_background.zip"
    content = archive.read_bytes()
    archive.write_bytes(content[: int(kept * len(content))])
    assert f"{archive} is no whole zip archive" in refusal(tmp_path, image_task("omniglot"))


def test_archive_with_a_damaged_member(mine: Path, tmp_path: Path) -> None:
    write_zip(mine / "val.zip", [(f"a/{n}.png", photograph(n)) for n in range(3)])
    content = bytearray((mine / "val.zip").read_bytes())
    content[200] ^= 1
    (mine / "val.zip").write_bytes(content)
    line = refusal(tmp_path)
    assert "val.zip: a/0.png cannot be read" in line
    assert "CRC" in line


def test_file_that_is_no_image(mine: Path, tmp_path: Path) -> None:
    (mine / "train/train-class1/2.png").write_text("I am no image")
    assert "train-class1/2.png is no image" in refusal(tmp_path)


def test_file_of_another_kind_among_images(mine: Path, tmp_path: Path) -> None:
    (mine / "train/train-class1/labels.csv").write_text("1,2")
    assert "train-class1/labels.csv is no image" in refusal(tmp_path)


def test_image_cut_off(mine: Path, tmp_path: Path) -> None:
    path = mine / "test/test-class0/0.png"
    path.write_bytes(path.read_bytes()[:-40])
    assert "test-class0/0.png is a damaged image" in refusal(tmp_path)


def test_image_outside_every_class(mine: Path, tmp_path: Path) -> None:
    (mine / "train/stray.png").write_bytes(photograph(1))
    assert "stray.png lies in no class folder" in refusal(tmp_path)


@pytest.mark.parametrize("zipped", [False, True])
def test_empty_class(mine: Path, tmp_path: Path, zipped: bool) -> None:
    if zipped:
        write_zip(mine / "val.zip", [("a/0.png", photograph(0)), ("hollow/", b"")])
    else:
        (mine / "val/hollow").mkdir()
    assert "the class hollow is empty" in refusal(tmp_path)


def test_part_without_images(mine: Path, tmp_path: Path) -> None:
    write_zip(mine / "val.zip", [])
    assert "val.zip holds no images" in refusal(tmp_path)


@pytest.mark.parametrize(
    "name", ["/etc/a/0.png", "../a/0.png", "a/../../b/0.png", "C:\\a\\0.png", "..\\a\\0.png"]
)
def test_archive_that_points_outside_itself(mine: Path, tmp_path: Path, name: str) -> None:
    write_zip(mine / "val.zip", [("a/0.png", photograph(0)), (name, photograph(1))])
    assert "points outside the archive" in refusal(tmp_path)


def test_bombs(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(mine / "val.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.png", bytes(sources.FILE_LIMIT + 1))
    assert "an image may have at most" in refusal(tmp_path)
    (mine / "val.zip").unlink()
    (mine / "val/val-class0/0.png").write_bytes(encoded(np.zeros((9000, 9000), bool)))
    assert "has 9000 x 9000 pixels" in refusal(tmp_path)
    monkeypatch.setattr(decoding, "PIXEL_LIMIT", 143)
    assert "has 12 x 12 pixels" in refusal(tmp_path)


def test_unequal_sizes_in_a_fixed_size_set(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        write_zip(
            tmp_path / f"cifar-fs/{part}.zip", [(f"a{part}/{n}.png", photograph(n, 32, 32)) for n in (0, 1)]
        )
    write_zip(
        tmp_path / "cifar-fs/val.zip",
        [("b/0.png", photograph(0, 32, 32)), ("b/1.png", photograph(1, 32, 31))],
    )
    line = refusal(tmp_path, image_task("cifar-fs"))
    assert "b/1.png has 31 x 32 pixels; every image of this data set has 32 x 32" in line


def test_links_that_form_a_circle(mine: Path, tmp_path: Path) -> None:
    (mine / "train/train-class0/back").symlink_to(mine / "train")
    assert "folders deep" in refusal(tmp_path)


def test_unknown_split_and_open_shape(mine: Path, tmp_path: Path) -> None:
    assert "(nearest: vinyals)" in refusal(tmp_path, image_task("omniglot", split="vinyal"))
    assert "task.image_size is needed" in refusal(tmp_path, image_task("folder", folder="mine", channels=3))
    assert "task.channels is needed" in refusal(tmp_path, image_task("folder", folder="mine", image_size=6))
    assert "task.folder is needed" in refusal(tmp_path, image_task("folder", image_size=6, channels=3))


# --- does a task fit


def misfit(folder: Path, **keys: object) -> str:
    task = {**OWN, "ways": 2, "shots": 1, "queries": 3} | {
        key: keys.pop(key) for key in list(keys) if key in FITTED
    }
    with pytest.raises(RequestError) as caught:
        data.check_task_fits(spec(task, **keys), folder)
    return str(caught.value)


FITTED = ("ways", "shots", "queries", "folder")


def test_a_task_that_fits(mine: Path, tmp_path: Path) -> None:
    data.check_task_fits(spec({**OWN, "ways": 3, "shots": 1, "queries": 3}), tmp_path)
    data.check_task_fits(spec({"dataset": "sine"}), tmp_path / "nothing")


def test_more_ways_than_classes(mine: Path, tmp_path: Path) -> None:
    assert "task.ways is 4, but the test part of mine has 3 classes" in misfit(tmp_path, ways=4)
    for rule in ("meta-gradient", "interpolate"):
        too_wide = misfit(tmp_path, training={"ways": 9}, outer={"rule": rule})
        assert "training.ways is 9, but the train part" in too_wide


def test_more_shots_than_images(mine: Path, tmp_path: Path) -> None:
    assert "2 shots and 3 queries need 5 images a class" in misfit(tmp_path, shots=2)
    for rule in ("meta-gradient", "interpolate"):
        too_large = misfit(tmp_path, training={"queries": 9}, outer={"rule": rule})
        assert "1 shots and 9 queries need 10" in too_large
    (mine / "val/val-class2/3.png").unlink()
    assert "the smallest class of the validation part of mine has 3" in misfit(tmp_path)


def test_pretraining_needs_no_training_episodes(mine: Path, tmp_path: Path) -> None:
    keys: dict[str, object] = {
        "training": {"ways": 9},
        "outer": {"rule": "joint"},
        "adaptation": {"steps": 0},
    }
    data.check_task_fits(spec({**OWN, "ways": 3, "shots": 1, "queries": 3}, **keys), tmp_path)


def test_missing_data_do_not_fit(tmp_path: Path) -> None:
    assert "mine is not here" in misfit(tmp_path) or "folder is not here" in misfit(tmp_path)
