"""Images, archives and data folders by the thousand: each is read, or one line says what is wrong."""

import contextlib
import hashlib
import io
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from data_sets import image_task, write_own_images
from hostile_data import data_folder, image

from engine import data
from engine.data import decoding
from engine.data.cache import open_pack
from engine.data.samples import samples
from engine.errors import RequestError
from engine.presets.schema import ImageTask
from tui import cli, parameters

IMAGES, ALL_IMAGES, FOLDERS, ALL_FOLDERS, PACKS, ALL_PACKS, EACH = 300, 6000, 40, 1600, 60, 1200, 40
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
pytestmark = pytest.mark.filterwarnings("ignore")


def long(first: int, after: int, each: int) -> list[object]:
    return [pytest.param(number, marks=pytest.mark.long) for number in range(first, after, each)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    parameters.read_texts_plainly()
    monkeypatch.setattr(parameters, "read_texts_plainly", lambda: None)
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KSHOT_DATA", str(tmp_path))
    return tmp_path


def taken(read: object) -> bool:
    """Whether it was read; a refusal is one line that names the file."""
    try:
        read()  # type: ignore[operator]
    except RequestError as error:
        assert "\n" not in str(error)
        assert "mine" in str(error)
        return False
    return True


@pytest.mark.parametrize("first", [0, *long(IMAGES, ALL_IMAGES, IMAGES)])
def test_any_image_is_read_or_refused(first: int) -> None:
    read = 0
    for number in range(first, first + IMAGES):
        content = image(number)

        def decode(content: bytes = content) -> None:
            pixels = decoding.decode(content, "mine/a.png", size=12, channels=3)
            assert pixels.shape == (3, 12, 12) and pixels.dtype == np.uint8

        read += taken(decode)
    assert IMAGES // 10 < read < IMAGES


@pytest.mark.parametrize("first", [0, *long(FOLDERS, ALL_FOLDERS, EACH)])
def test_any_folder_of_images_is_read_or_refused(folder: Path, first: int) -> None:
    read, codes = 0, set()
    for number in range(first, first + EACH):
        home = data_folder(folder, number)
        own = {"dataset": "folder", "folder": str(home), "image_size": 6, "channels": 3}
        task = ImageTask.model_validate(own)
        data.inspect(task, folder)
        read += taken(lambda task=task: data.load_images(task, folder))
        taken(lambda task=task: samples(task, folder))
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            codes.add(code := cli.run(["data", "check", str(home)]))
        assert not CONTROL.search(out.getvalue() + err.getvalue())
        assert code in (0, 1, 2) and (code == 2) == (not out.getvalue())
        assert code != 2 or (err.getvalue().count("\n") == 1 and str(home) in err.getvalue())
        for name in ("train", "val", "test"):  # what was made unreadable has to go too
            with contextlib.suppress(OSError):
                (home / name).chmod(0o700)
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(folder / "cache", ignore_errors=True)
    assert read and {0, 1} <= codes


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A sound pack of images, and its key."""
    folder = tmp_path_factory.mktemp("pack")
    write_own_images(folder / "mine", classes=2, images=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KSHOT_CACHE", str(folder / "cache"))
        data.load_images(image_task("folder", folder="mine", image_size=6, channels=3), folder)
    path = next((folder / "cache").rglob("*.pack"))
    return path, path.stem.rpartition("-")[2]


@pytest.mark.parametrize("first", [0, *long(PACKS, ALL_PACKS, PACKS)])
def test_any_pack_is_whole_or_none(tmp_path: Path, pack: tuple[Path, str], first: int) -> None:
    sound, key = pack
    whole = sound.read_bytes()
    images, header = open_pack(sound, key) or (np.zeros(0), None)
    expected = hashlib.sha256(images.tobytes()).hexdigest()
    for number in range(first, first + PACKS):
        chance = random.Random(number)
        spoilt = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 30])):
            # The header is a line of JSON at the start, padded with spaces.
            at = chance.randrange(min(len(spoilt), chance.choice([40, 700, 10**6])))
            words = [
                b"-1",
                b"9" * 30,
                b"[" * 5000,
                b"null",
                b"{}",
                b"NaN",
                b"\0",
                b'"',
                bytes([chance.randrange(256)]),
            ]
            word = chance.choice(words)
            spoilt[at : at + (len(word) if chance.random() < 0.7 else 0)] = word
        path = tmp_path / f"{number}.pack"
        path.write_bytes(bytes(spoilt))
        found = open_pack(path, key)
        if found is not None:
            assert hashlib.sha256(found[0].tobytes()).hexdigest() == expected
            counts = [count for names in found[1].classes.values() for count in names.values()]
            assert sum(counts) == len(found[0]) and min(counts) > 0
        path.unlink()
    assert header is not None and sound.exists()
