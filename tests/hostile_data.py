"""Images, archives and data folders that nobody meant to keep, each made from a number."""

import io
import os
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from data_sets import photograph, write_own_images, write_zip
from PIL import Image

CLASS_NAMES = (
    *(
        "a\x1b[31mred",
        "$(rm -rf x)",
        "`id`",
        "[red]x[/red]",
        "a\nb",
        "a\rb",
        "-rf",
        "..x",
        "x" * 200,
        "ж" * 60,
        " ",
    ),
    *(
        "a;b",
        "a'b",
        'a"b',
        "\u202ex",
        "%s",
        "{0}",
        "~",
        "*",
        "con",
        "a\\b",
        "<b>",
        "\x07",
        "\x9b31m",
        "😀",
        "train",
    ),
)
NO_UTF8 = b"class-\xff\xfe"
MEMBERS = (
    *(
        "",
        "/",
        ".",
        "..",
        "../x.png",
        "a/../../x.png",
        "/etc/x.png",
        "C:\\x.png",
        "a\\..\\..\\x.png",
        "a//b.png",
        "a/",
    ),
    *(
        "a/.png",
        "a/b",
        "a/b.exe",
        "x.png",
        "__MACOSX/a.png",
        "a/" * 100 + "b.png",
        "a\x1b[31m/b.png",
        "a\nb/c.png",
    ),
    *(
        "$(rm)/b.png",
        "val/val-class0/0.png",
        "val/x.png",
        "ж/b.png",
        "a/Thumbs.db",
        "a/b.eps",
        "a/b.tiff",
        "~/b.png",
    ),
)


# --- images


def image(number: int) -> bytes:
    """The bytes of an image file, mostly a broken one."""
    chance = random.Random(number)
    kind = chance.choice(["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
    mode = chance.choice(["RGB", "L", "1", "P", "RGBA", "LA", "I;16", "I", "F", "CMYK"])
    data = _saved(kind, mode, chance)
    for _ in range(chance.choice([0, 1, 1, 2, 8])):
        data = chance.choice(BYTES_WAYS)(data, chance)
    return chance.choice(ABSURD)() if chance.random() < 0.1 else data


def _saved(kind: str, mode: str, chance: random.Random) -> bytes:
    size = chance.choice([(1, 1), (12, 12), (12, 7), (300, 2), (64, 64)])
    picture = Image.effect_noise(size, 80)
    content = io.BytesIO()
    try:
        picture.convert("I").convert(mode).save(content, kind) if mode == "I;16" else picture.convert(
            mode
        ).save(content, kind)
    except (OSError, ValueError):  # a mode that this kind does not have
        picture.save(content, "PNG")
    return content.getvalue()


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 4, 40])):
        if changed:
            # Headers are where sizes, counts and offsets stand.
            reach = len(changed) if chance.random() < 0.5 else min(len(changed), 64)
            changed[chance.randrange(reach)] = chance.choice([0, 0xFF, 0x7F, 0x80, chance.randrange(256)])
    return bytes(changed)


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice([b"\0" * 50, b"\xff" * 50, data[:40]]) + data[at:]


def _join(data: bytes, chance: random.Random) -> bytes:
    return data + photograph(1)


BYTES_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (_cut, _flip, _flip, _flip, _insert, _join)


def png(width: int, height: int, *, text: bytes = b"", rows: bytes = b"\0") -> bytes:
    """A PNG whose header says any size, whatever its rows; `text` lies packed in a chunk of it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    told = chunk(b"zTXt", b"k\0\0" + zlib.compress(text)) if text else b""
    return b"\x89PNG\r\n\x1a\n" + header + told + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _bmp() -> bytes:
    return b"BM" + struct.pack(
        "<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0
    )


def _gif() -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0)
        + b"\0" * 6
        + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;"
    )


def _tiff() -> bytes:
    entries = [(256, 4, 1, 2**31 - 1), (257, 4, 1, 2**31 - 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 2**30, 8), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 2**30, 8)]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + b"\0\0\0\0"


ABSURD: tuple[Callable[[], bytes], ...] = (
    lambda: b"",
    lambda: b"\0" * 1000,
    lambda: b"I am no image",
    lambda: png(2**31 - 1, 2**31 - 1),
    lambda: png(8000, 8000),
    lambda: png(0, 5),
    lambda: png(2, 2, rows=bytes(20_000_000)),
    lambda: png(2, 2, text=bytes(50_000_000)),
    _bmp,
    _gif,
    _tiff,
    lambda: b"P6\n99999999 99999999\n255\n",
    lambda: b"P5\n" + b"9" * 5000 + b" 1\n255\n",
    lambda: b"P7\nWIDTH 1\n",
    lambda: b"RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff",
    # Pillow hands this to Ghostscript, where that is installed.
    lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(x) print quit\n%%EOF\n",
)


# --- archives and folders


def data_folder(folder: Path, number: int) -> Path:
    """A folder of one's own images with up to four things wrong; the same for the same number."""
    chance = random.Random(number)
    home = folder / f"mine-{number}"
    write_own_images(home, classes=2, images=2)
    for part in ("train", "val", "test"):
        if chance.random() < 0.3:
            _pack(home, part, chance)
    for _ in range(chance.randint(1, 4)):
        chance.choice(FOLDER_WAYS)(home, chance)
    return home


def _pack(home: Path, part: str, chance: random.Random) -> None:
    files = sorted(path for path in (home / part).rglob("*.png"))
    method = chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(home / f"{part}.zip", "w", method) as archive:
        for path in files:
            archive.writestr(str(path.relative_to(home / part)), path.read_bytes())
        for _ in range(chance.choice([0, 0, 1, 2])):
            info = zipfile.ZipInfo("x")
            info.filename = chance.choice(MEMBERS)
            archive.writestr(info, photograph(chance.randrange(100)))
    shutil.rmtree(home / part)


def _some(home: Path, chance: random.Random, pattern: str) -> Path | None:
    found = sorted(path for path in home.rglob(pattern) if os.path.lexists(path))
    return chance.choice(found) if found else None


def _break_file(home: Path, chance: random.Random) -> None:
    path = _some(home, chance, "*.*")
    if path is not None and path.is_file():
        path.write_bytes(chance.choice(BYTES_WAYS)(path.read_bytes(), chance))


def _break_archive(home: Path, chance: random.Random) -> None:
    path = _some(home, chance, "*.zip")
    if path is not None and path.is_file():
        data = bytearray(path.read_bytes())
        for _ in range(chance.choice([1, 3, 20])):
            # The directory of an archive stands at its end.
            at = chance.randrange(max(0, len(data) - 300), len(data)) if data else 0
            data[at : at + 1] = bytes([chance.choice([0, 0xFF, chance.randrange(256)])])
        path.write_bytes(bytes(data))


def _strange_image(home: Path, chance: random.Random) -> None:
    path = _some(home, chance, "*.png")
    if path is not None and path.is_file():
        path.write_bytes(image(chance.randrange(10**6)))


def _remove(home: Path, chance: random.Random) -> None:
    path = _some(home, chance, "*")
    if path is not None:
        _away(path)


def _away(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _other_kind(home: Path, chance: random.Random) -> None:
    """A folder, a link, a pipe or nothing readable where something else was."""
    path = _some(home, chance, "*")
    if path is None:
        return
    _away(path)
    way = chance.randrange(7)
    if way == 0:
        path.mkdir()
    elif way == 1:
        path.write_bytes(b"")
    elif way == 2:
        path.symlink_to(path)
    elif way == 3:
        path.symlink_to(home)
    elif way == 4:
        path.symlink_to("/dev/zero")
    elif way == 5:
        os.mkfifo(path)
    else:
        path.symlink_to(home / "nowhere")


def _unreadable(home: Path, chance: random.Random) -> None:
    path = _some(home, chance, "*")
    if path is not None and not path.is_symlink():
        path.chmod(0)


def _strange_class(home: Path, chance: random.Random) -> None:
    parts = [path for path in sorted(home.iterdir()) if path.is_dir() and not path.is_symlink()]
    if not parts:
        return
    with_name = os.fsencode(chance.choice(parts)) + b"/"
    with_name += NO_UTF8 if chance.random() < 0.2 else os.fsencode(chance.choice(CLASS_NAMES))
    # One of the names has a slash in it.
    Path(os.fsdecode(with_name)).mkdir(parents=True, exist_ok=True)
    if chance.random() < 0.8:
        name = os.fsdecode(with_name + b"/" + chance.choice([b"0.png", b"\xff.png", b"\x1b[2J.png"]))
        Path(name).write_bytes(photograph(chance.randrange(100)))


def _deep(home: Path, chance: random.Random) -> None:
    parts = [path for path in sorted(home.iterdir()) if path.is_dir() and not path.is_symlink()]
    if parts:
        below = chance.choice(parts) / "/".join("d" * chance.choice([2, 6, 60]))
        below.mkdir(parents=True, exist_ok=True)
        (below / "0.png").write_bytes(photograph(3))


def _double(home: Path, chance: random.Random) -> None:
    """Both an archive and a folder of a part."""
    path = home / f"{chance.choice(['train', 'val', 'test'])}.zip"
    if not os.path.lexists(path):  # it would wait for a pipe's reader
        write_zip(path, [("a/0.png", photograph(7))])


FOLDER_WAYS: tuple[Callable[[Path, random.Random], None], ...] = (
    *(_break_file, _break_archive, _break_archive, _strange_image, _strange_image, _remove, _other_kind),
    *(_unreadable, _strange_class, _strange_class, _deep, _double),
)
