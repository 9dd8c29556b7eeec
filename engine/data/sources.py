"""Image files in a folder or a zip archive, one folder a class."""

import os
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from engine.errors import RequestError

IMAGE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
)
FILE_LIMIT = 64 * 2**20  # bytes of one image file; a larger one is no photograph but a mistake or a bomb
RATIO_LIMIT = 100  # an archive's images unpacked may take this many times its own bytes,
ALWAYS_ALLOWED = 2**30  # or as many bytes as this
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without bound
_BROKEN = (OSError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError)
DEPTH_LIMIT = 5  # folders below a source; links may form circles
_IGNORED = frozenset(("thumbs.db", "desktop.ini"))


@dataclass(frozen=True)
class Member:
    """One image file of a source: its class (the folder that holds it), its name in the source, its bytes."""

    class_name: str
    name: str
    size: int


@dataclass
class Source:
    """One folder or zip archive of classes; `repeated` are top folders that it may or may not repeat."""

    path: Path
    repeated: tuple[str, ...] = ()
    _archive: zipfile.ZipFile | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def stamp(self) -> list[tuple[str, int, int]]:
        """Name, size and time of every file that this source consists of: equal stamps mean equal images."""
        if _is_file(self.path):
            facts = self.path.stat()
            return [(str(self.path.resolve()), facts.st_size, facts.st_mtime_ns)]
        return list(_walk(self.path))

    def members(self) -> list[Member]:
        """Every image file, sorted by class, then name.

        Raises RequestError for a broken archive, a member outside it, a file that is no image, an empty
        class.
        """
        named = [(name, _parts(name), size) for name, size in self._named()]
        named = [(name, path, size) for name, path, size in named if not _is_junk(path)]
        top = self._repeated_top([path for _, path, _ in named if _is_image(path)])
        members = []
        for name, path, size in named:
            class_name = self._class_of(name, path, top)
            if class_name is None:
                continue
            if size > FILE_LIMIT:
                raise RequestError(
                    f"{self.path}: {name} has {size:,} bytes; an image may have at most {FILE_LIMIT:,}"
                )
            members.append(Member(class_name, name, size))
        members.sort(key=lambda member: (member.class_name, member.name))
        return members

    def read(self, member: Member) -> bytes:
        """A member's bytes; threads may call it at once. Raises RequestError where they are not whole."""
        try:
            if not _is_file(self.path):
                with (self.path / member.name).open("rb") as file:
                    return _bounded(file)
            with self._open().open(member.name) as file:
                return _bounded(file)
        except (*_BROKEN, zlib.error, KeyError) as error:
            raise RequestError(
                f"{self.path}: {member.name} cannot be read ({error}); get the file again"
            ) from error

    def close(self) -> None:
        """Close the archive, where there is one."""
        with self._lock:
            if self._archive is not None:
                self._archive.close()
                self._archive = None

    def _open(self) -> zipfile.ZipFile:
        with self._lock:
            if self._archive is None:
                try:
                    self._archive = zipfile.ZipFile(self.path)
                except (*_BROKEN, struct.error, IndexError) as error:
                    raise RequestError(
                        f"{self.path} is no whole zip archive ({error}); get it again"
                    ) from error
            return self._archive

    def _named(self) -> Iterator[tuple[str, int]]:
        """Name and bytes of every file."""
        if not _is_file(self.path):
            yield from ((name, size) for name, size, _ in _walk(self.path))
            return
        infos = self._open().infolist()
        self._check_bounds(infos)
        paths = [_parts(info.filename) for info in infos]
        for info, inside in zip(infos, paths, strict=True):
            if not inside.parts:
                raise RequestError(f"{self.path}: a member has no name ({info.filename!r}); pack it anew")
            if (
                inside.is_absolute()
                or ".." in inside.parts
                or inside.parts[0].endswith(":")
            ):
                raise RequestError(f"{self.path}: {info.filename!r} points outside the archive; refused")
        holding = {path.parent for info, path in zip(infos, paths, strict=True) if not info.is_dir()}
        holding |= {above for folder in holding for above in folder.parents}
        for info, inside in zip(infos, paths, strict=True):
            if not info.is_dir():
                yield info.filename, info.file_size
            elif inside not in holding:
                raise _empty(self.path, info.filename.rstrip("/"))

    def _check_bounds(self, infos: list[zipfile.ZipInfo]) -> None:
        """Refuses an archive that would unpack without end: members may share the same bytes of it."""
        total, size = sum(info.file_size for info in infos), self.path.stat().st_size
        if total > max(ALWAYS_ALLOWED, RATIO_LIMIT * size):
            raise RequestError(
                f"{self.path} has {size:,} bytes and would unpack to {total:,}; "
                f"{RATIO_LIMIT} times its size is the limit"
            )
        strange = next((info for info in infos if info.compress_type not in _METHODS), None)
        if strange is not None:
            raise RequestError(
                f"{self.path}: {strange.filename} is packed by another method than deflate; pack it anew"
            )

    def _repeated_top(self, images: list[PurePosixPath]) -> int:
        """1 where all images lie in one folder more, named as the source is; 0 otherwise.

        A class may be named as the source is too: CIFAR-FS has a class `train` in its part train.
        """
        inside = all(path.parts[0] in self.repeated for path in images)
        return int(inside and any(len(path.parts) > 2 for path in images))

    def _class_of(self, name: str, path: PurePosixPath, top: int) -> str | None:
        """The class of a file; None for a README or a licence beside the classes."""
        folders = path.parts[top:-1]
        if not folders and not _is_image(path):
            return None
        if not folders:
            raise RequestError(f"{self.path}: {name} lies in no class folder; CLASS/IMAGE is expected")
        if not _is_image(path):
            raise RequestError(f"{self.path}: {name} is no image; a class folder may hold images alone")
        return "/".join(folders)


def _bounded(file: IO[bytes]) -> bytes:
    """All that is left of a file; ValueError past the limit, whatever its folder or archive says of it."""
    pieces, total = [], 0
    while piece := file.read(2**20):
        pieces.append(piece)
        total += len(piece)
        if total > FILE_LIMIT:
            raise ValueError(f"more than {FILE_LIMIT:,} bytes")
    return b"".join(pieces)


def _parts(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _is_image(path: PurePosixPath) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _is_junk(path: PurePosixPath) -> bool:
    return path.parts[0] == "__MACOSX" or path.name.startswith(".") or path.name.lower() in _IGNORED


def _is_file(path: Path) -> bool:
    return path.suffix == ".zip" and path.is_file()


def _empty(source: Path, name: str) -> RequestError:
    return RequestError(f"{source}: the class {name} is empty; place images in it or remove it")


def _walk(source: Path, below: str = "") -> Iterator[tuple[str, int, int]]:
    """Name below the source, size and time of every file, in a fixed order; dot-names are left out.

    Raises RequestError for an empty folder, or folders that lie too deep, as where a link closes a circle.
    """
    folder = source / below
    if below.count("/") > DEPTH_LIMIT:
        raise RequestError(f"{folder} lies more than {DEPTH_LIMIT} folders deep; CLASS/IMAGE is expected")
    try:
        entries = sorted((e for e in os.scandir(folder) if not e.name.startswith(".")), key=lambda e: e.name)
        if below and not entries:
            raise _empty(source, below)
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            facts = entry.stat()
            if stat.S_ISDIR(facts.st_mode):
                yield from _walk(source, name)
            elif stat.S_ISREG(facts.st_mode):
                yield name, facts.st_size, facts.st_mtime_ns
    except OSError as error:
        raise RequestError(f"{error.filename or folder} cannot be read ({error.strerror})") from error
