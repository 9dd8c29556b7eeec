"""Image data sets: where they lie, how they are divided, decoded and packed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_sets import (
    EVALUATION_ALPHABETS,
    image_task,
    omniglot_characters,
    photograph,
    write_omniglot,
    write_own_images,
    write_zip,
)
from PIL import Image

from engine import data
from engine.data.decoding import decode
from engine.data.parts import Classes, Parts, divide
from engine.errors import RequestError

REAL = os.environ.get("KSHOT_DATA")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture(scope="module")
def omniglot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("data")
    write_omniglot(home / "omniglot")
    return home


def own(home: Path) -> data.PackedImages:
    return data.load_images(image_task("folder", folder="mine", image_size=6, channels=3), home)


# --- folders


def test_the_first_given_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/xdg")
    monkeypatch.delenv("KSHOT_DATA", raising=False)
    assert data.data_folder() == Path("/xdg/kshot/data")
    monkeypatch.setenv("KSHOT_DATA", "/mine")
    assert data.data_folder() == Path("/mine")
    assert data.data_folder(tmp_path) == tmp_path
    monkeypatch.delenv("KSHOT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert data.cache_folder() == Path.home() / ".cache/kshot"


# --- splits


def test_finn_is_the_documented_rule(omniglot: Path) -> None:
    parts = data.load_images(image_task("omniglot"), omniglot).parts
    ordered = sorted(omniglot_characters(), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert parts["train"].names == tuple(ordered[:1100])
    assert parts["validation"].names == tuple(ordered[1100:1200])
    assert parts["test"].names == tuple(ordered[1200:])


@pytest.mark.parametrize(
    ("split", "sizes"),
    [("finn", (1100, 100, 423)), ("vinyals", (1028, 172, 423)), ("original", (827, 137, 659))],
)
def test_omniglot_splits_share_no_character(omniglot: Path, split: str, sizes: tuple[int, ...]) -> None:
    parts = data.load_images(image_task("omniglot", split=split), omniglot).parts
    names = [set(parts[part].names) for part in data.PARTS]
    assert tuple(map(len, names)) == sizes
    assert len(set.union(*names)) == 1623
    if split == "original":
        assert {name.split("/")[0] for name in names[2]} == set(EVALUATION_ALPHABETS)
        assert len({name.split("/")[0] for name in names[1]}) == 5
        assert not {name.split("/")[0] for name in names[0]} & {name.split("/")[0] for name in names[1]}


def test_every_class_holds_its_own_images(omniglot: Path) -> None:
    packed = data.load_images(image_task("omniglot"), omniglot)
    number_of = {name: number for number, name in enumerate(omniglot_characters())}
    assert packed.images.shape == (3246, 1, 28, 28)
    for part in packed.parts.values():
        for offset, count, name in zip(part.offsets, part.counts, part.names, strict=True):
            assert count == 2
            ink = packed.images[offset : offset + count].mean((1, 2, 3)) / 255  # ink is 255 on 0
            assert np.allclose(ink, 1 - number_of[name] % 105 / 105, atol=0.02)


def test_turned_classes_are_counted_and_not_packed(omniglot: Path) -> None:
    plain, turned = image_task("omniglot"), image_task("omniglot", rotations="classes")
    counts = data.class_counts(turned, omniglot)
    assert [len(counts[part]) for part in data.PARTS] == [4400, 400, 1692]
    assert len(data.load_images(turned, omniglot).images) == len(data.load_images(plain, omniglot).images)


def test_unequal_classes_repeat_in_place(tmp_path: Path) -> None:
    write_own_images(tmp_path / "mine", classes=2)
    (tmp_path / "mine/train/train-class1/more.png").write_bytes(photograph(5))
    task = image_task("folder", folder="mine", image_size=6, channels=3, rotations="classes")
    assert data.class_counts(task, tmp_path)["train"] == [4, 4, 4, 4, 5, 5, 5, 5]


def test_classes_are_divided_once_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def dividing(dataset: str, split: str, classes: Classes) -> Parts:
        asked.append(split)
        return divide(dataset, split, classes)

    monkeypatch.setattr("engine.data.packing.divide", dividing)
    write_own_images(tmp_path / "mine", classes=2)
    task = image_task("folder", folder="mine", image_size=6, channels=3)
    assert [data.class_counts(task, tmp_path)["train"] for _ in range(3)] == [[4, 4]] * 3
    assert len(asked) == 1
    (tmp_path / "mine/train/train-class1/more.png").write_bytes(photograph(5))
    assert data.class_counts(task, tmp_path)["train"] == [4, 5]


def test_counts_and_hash_are_the_same_before_and_after_packing(omniglot: Path) -> None:
    for split in ("finn", "original"):
        task = image_task("omniglot", split=split)
        before = data.class_counts(task, omniglot), data.split_hash(task, omniglot)
        assert data.load_images(task, omniglot).split_hash == before[1]
        assert (data.class_counts(task, omniglot), data.split_hash(task, omniglot)) == before
    assert data.split_hash(image_task("omniglot"), omniglot) != before[1]


# --- decoding


def test_images_are_resized_by_area() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    expected = pixels.reshape(4, 3, 4, 3, 3).mean((1, 3)).transpose(2, 0, 1)
    decoded = decode(_bytes(Image.fromarray(pixels)), "x", size=4, channels=3)
    assert decoded.shape == (3, 4, 4)
    assert np.abs(decoded - expected).max() <= 1  # Pillow rounds rows, then columns


def test_the_centred_square_is_kept() -> None:
    pixels = np.zeros((4, 10), np.uint8)
    pixels[:, 3:7] = 200
    assert (decode(_bytes(Image.fromarray(pixels)), "x", size=2, channels=1) == 200).all()


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (3, 3), (255, 0, 0, 0))
    half = Image.new("RGBA", (3, 3), (0, 0, 0, 128))
    palette = Image.new("P", (3, 3), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    opaque = decode(_bytes(palette), "x", size=3, channels=3)
    assert opaque[:, 0, 0].tolist() == [0, 255, 0]
    palette.info["transparency"] = 1
    for image in (clear, palette):
        assert (decode(_bytes(image), "x", size=3, channels=3) == 255).all()
    assert (decode(_bytes(half), "x", size=3, channels=1) == 127).all()


def test_the_camera_s_turn_is_undone() -> None:
    image = Image.fromarray(np.arange(9, dtype=np.uint8).reshape(3, 3) * 20)
    exif = Image.Exif()
    exif[0x0112] = 6  # held so that the picture must be turned by 90 degrees clockwise
    decoded = decode(_bytes(image, exif=exif), "x", size=3, channels=1)[0]
    assert np.array_equal(decoded, np.rot90(np.asarray(image), -1))


def test_sixteen_bits_keep_their_high_byte() -> None:
    deep = (np.arange(16).reshape(4, 4) * 4096).astype(np.uint16)
    decoded = decode(_bytes(Image.fromarray(deep)), "x", size=4, channels=1)[0]
    assert np.abs(decoded - deep / 257).max() <= 1


def _bytes(image: Image.Image, **keys: object) -> bytes:
    import io

    content = io.BytesIO()
    image.save(content, "PNG", **keys)
    return content.getvalue()


# --- layouts


def test_folders_and_archives_hold_the_same(tmp_path: Path) -> None:
    write_own_images(tmp_path / "mine")
    unpacked = own(tmp_path)
    results = []
    for repeated in (True, False):
        home = tmp_path / f"zipped-{repeated}"
        for part in ("train", "val", "test"):
            source = tmp_path / "mine" / part
            files = sorted(path for path in source.rglob("*.png"))
            prefix = f"{part}/" if repeated else ""
            junk = [("__MACOSX/x.png", b""), (f"{prefix}a/.DS_Store", b""), ("README.txt", b"mine")]
            write_zip(
                home / "mine" / f"{part}.zip",
                junk + [(prefix + path.relative_to(source).as_posix(), path.read_bytes()) for path in files],
            )
        results.append(own(home))
    for packed in results:
        assert packed.split_hash == unpacked.split_hash
        assert packed.images_hash == unpacked.images_hash


def test_fc100_divides_cifar_s_classes_by_superclass(tmp_path: Path) -> None:
    """Files as CIFAR-FS divides them; of its superclasses each lies in one part of FC100 as a whole."""
    lists = Path(__file__).parents[1] / "engine/data/splits"
    lines = (lists / "cifar-fs-bertinetto.txt").read_text().splitlines()
    listed = [line.split() for line in lines if not line.startswith("#")]
    for part, file in (("train", "train"), ("validation", "val"), ("test", "test")):
        names = [name for where, name in listed if where == part]
        write_zip(
            tmp_path / f"cifar_fs/{file}.zip",
            [(f"{file}/{name}/{n}.png", photograph(n, 32, 32)) for name in names for n in (0, 1)],
        )
    packed = data.load_images(image_task("fc100"), tmp_path)
    parts = {part: set(packed.parts[part].names) for part in data.PARTS}
    assert [len(packed.parts[part].names) for part in data.PARTS] == [60, 20, 20]
    assert set.union(*parts.values()) == {name for _, name in listed}
    for superclass, part in (
        ("beaver dolphin otter seal whale", "test"),  # aquatic mammals
        ("baby boy girl man woman", "test"),  # people
        ("bear leopard lion tiger wolf", "validation"),  # large carnivores
        ("maple_tree oak_tree palm_tree pine_tree willow_tree", "train"),  # trees
        ("bicycle bus motorcycle pickup_truck train", "train"),  # vehicles 1
    ):
        assert set(superclass.split()) <= parts[part]
    assert packed.split == "oreshkin"
    (tmp_path / "cifar_fs/val.zip").unlink()
    write_zip(tmp_path / "cifar_fs/val.zip", [("val/bear/0.png", photograph(1, 32, 32))])
    with pytest.raises(RequestError, match=r"fc100 is not whole: .* is missing"):
        data.class_counts(image_task("fc100"), tmp_path)
    absent = data.inspect(image_task("fc100"), tmp_path / "none")
    assert "kshot data fetch cifar-fs" in absent.detail


def test_torchvision_s_folder_is_found(omniglot: Path, tmp_path: Path) -> None:
    (tmp_path / "omniglot-py").symlink_to(omniglot / "omniglot")
    assert data.class_counts(image_task("omniglot"), tmp_path)["test"] == [2] * 423


def test_a_path_may_stand_for_the_folder(tmp_path: Path) -> None:
    write_own_images(tmp_path / "elsewhere")
    task = image_task("folder", folder=str(tmp_path / "elsewhere"), image_size=6, channels=1)
    assert data.load_images(task, tmp_path / "nothing").images.shape == (36, 1, 6, 6)


def test_presence_says_where_and_how(omniglot: Path, tmp_path: Path) -> None:
    here = data.inspect(image_task("omniglot"), omniglot)
    assert here.present
    assert here.where == omniglot / "omniglot"
    absent = data.inspect(image_task("omniglot"), tmp_path)
    assert not absent.present
    assert str(tmp_path / "omniglot") in absent.detail
    assert "kshot data fetch omniglot" in absent.detail
    assert data.inspect(image_task("glyphs"), tmp_path).present


# --- packs


def test_a_pack_is_read_again_and_mapped(tmp_path: Path, cache: Path) -> None:
    write_own_images(tmp_path / "mine")
    told: list[float] = []
    task = image_task("folder", folder="mine", image_size=6, channels=3)
    first = data.load_images(task, tmp_path, lambda what, fraction: told.append(fraction))
    assert told[-1] == 1
    assert data.is_packed(task, tmp_path)
    stamp = _only_pack(cache).stat()
    second = data.load_images(task, tmp_path, lambda what, fraction: pytest.fail("packed twice"))
    assert isinstance(second.images, np.memmap)
    assert np.array_equal(first.images, second.images)
    assert _only_pack(cache).stat().st_mtime_ns == stamp.st_mtime_ns
    assert hashlib.sha256(second.images.tobytes()).hexdigest() == second.images_hash


@pytest.mark.parametrize("damage", ["flip", "truncate", "header", "empty"])
def test_a_damaged_pack_is_made_again(tmp_path: Path, cache: Path, damage: str) -> None:
    write_own_images(tmp_path / "mine")
    whole = own(tmp_path).images.copy()
    pack = _only_pack(cache)
    content = bytearray(pack.read_bytes())
    if damage == "flip":
        content[-10] ^= 4
    elif damage == "truncate":
        del content[-10:]
    elif damage == "header":
        content[30] ^= 0xFF
    else:
        content.clear()
    pack.write_bytes(content)
    if damage != "flip":  # seen without reading the images
        assert not data.is_packed(image_task("folder", folder="mine", image_size=6, channels=3), tmp_path)
    assert np.array_equal(own(tmp_path).images, whole)
    assert _only_pack(cache).read_bytes() != bytes(content)


def test_changed_files_are_packed_anew(tmp_path: Path, cache: Path) -> None:
    write_own_images(tmp_path / "mine")
    before, old = own(tmp_path), _only_pack(cache)
    (tmp_path / "mine/train/train-class0/0.png").write_bytes(photograph(77))
    after = own(tmp_path)
    assert after.images_hash != before.images_hash
    assert after.split_hash == before.split_hash
    assert _only_pack(cache) != old


def test_a_killed_writer_s_leftovers_go(tmp_path: Path, cache: Path) -> None:
    write_own_images(tmp_path / "mine")
    own(tmp_path)
    pack = _only_pack(cache)
    pack.unlink()
    pack.with_name(f".{pack.name}.12345.tmp").write_bytes(b"half")
    own(tmp_path)
    assert [path.suffix for path in cache.iterdir() if not path.name.endswith("lock")] == [".pack"]


def test_without_a_cache_images_are_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own_images(tmp_path / "mine")
    packed = own(tmp_path)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path / "file"))
    held = own(tmp_path)
    assert np.array_equal(held.images, packed.images)
    assert held.images_hash == packed.images_hash
    assert held.split_hash == packed.split_hash
    assert any("held in memory" in note for note in held.notes)


def test_two_processes_may_pack_at_once(tmp_path: Path, cache: Path) -> None:
    write_own_images(tmp_path / "mine", classes=20, images=10)
    program = (
        "import sys; from pathlib import Path; from engine import data\n"
        "from engine.presets.schema import ImageTask\n"
        "task = ImageTask(dataset='folder', folder='mine', image_size=6, channels=3)\n"
        "print(data.load_images(task, Path(sys.argv[1])).images_hash)\n"
        "assert 'torch' not in sys.modules\n"
    )
    start = [sys.executable, "-c", program, str(tmp_path)]
    root = Path(__file__).parents[1]
    children = [subprocess.Popen(start, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(3)]
    said = {child.communicate()[0] for child in children}
    assert [child.returncode for child in children] == [0, 0, 0]
    assert said == {own(tmp_path).images_hash + "\n"}
    assert _only_pack(cache)


def _only_pack(cache: Path) -> Path:
    (pack,) = [path for path in cache.iterdir() if path.suffix == ".pack"]
    return pack


# --- glyphs and real data


def test_glyphs_need_no_data(tmp_path: Path) -> None:
    packed = data.load_images(image_task("glyphs"), tmp_path)
    assert packed.images.shape == (32000, 1, 28, 28)
    assert [len(packed.parts[part].names) for part in data.PARTS] == [1100, 100, 400]
    assert packed.parts["test"].offsets[0] == 24000
    assert (packed.split, packed.notes) == ("standard", ())


@pytest.mark.skipif(not (REAL and (Path(REAL) / "omniglot").is_dir()), reason="needs Omniglot in KSHOT_DATA")
def test_real_omniglot() -> None:
    packed = data.load_images(image_task("omniglot"), Path(REAL or ""))
    assert packed.images.shape == (32460, 1, 28, 28)
    assert all((part.counts == 20).all() for part in packed.parts.values())
    assert 0.05 < packed.images.mean() / 255 < 0.12  # white ink on black


@pytest.mark.skipif(not (REAL and (Path(REAL) / "cifar_fs").is_dir()), reason="needs CIFAR-FS in KSHOT_DATA")
def test_real_cifar_fs_is_counted_without_decoding(cache: Path) -> None:
    counts = data.class_counts(image_task("cifar-fs"), Path(REAL or ""))
    assert [len(counts[part]) for part in data.PARTS] == [64, 16, 20]
    assert not cache.exists()
