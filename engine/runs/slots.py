"""Slots and the queue: one training a device at a time, served in order of creation, without a daemon.

A device's folder holds `slot-N` files and the tickets of those who wait, every one under flock by its
process: a killed process leaves unlocked files, which count as free slots and as nobody's tickets. Who holds
a slot says so in its file, for those who wait.
"""

import contextlib
import os
import re
import secrets
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import RequestError
from engine.runs.files import from_json, plain, read_small, to_json
from engine.runs.locks import open_lock, probe, same_file, try_lock

WAITING = "waiting for the device"
POLL_SECONDS = 0.2
SETTLE_SECONDS = 0.3
HUNG_SECONDS = 10.0
GUARD_SECONDS = 1.0


def slots_folder() -> Path:
    """The private folder of all slots, made if missing: $XDG_RUNTIME_DIR/kshot, else in the temporary folder.

    Raises RequestError for a folder that another user owns or that cannot be made.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and os.access(runtime, os.W_OK | os.X_OK):
        folder = Path(runtime) / "kshot"
    else:
        folder = Path(tempfile.gettempdir()) / f"kshot-{os.getuid()}"
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        about = folder.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
            raise RequestError(
                f"{folder} belongs to another user; set XDG_RUNTIME_DIR to a folder of your own"
            )
        if stat.S_IMODE(about.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise RequestError(
            f"cannot make {folder}: {error.strerror or error}; set XDG_RUNTIME_DIR to a folder of your own"
        ) from error
    return folder


def slots_per_device() -> int:
    """How many trainings a device may hold at once: KSHOT_SLOTS, or 1. Raises RequestError."""
    text = os.environ.get("KSHOT_SLOTS") or "1"
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise RequestError(f"KSHOT_SLOTS is {text!r}; it must be a whole number of at least 1")
    return int(text)


def cores_per_slot() -> int:
    """How many cores a training may fill: those of this process, shared among the slots. Raises
    RequestError."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // slots_per_device())


@contextmanager
def hold_slot(
    device: str, created: float, cancelled: Callable[[], bool], what: str = ""
) -> Iterator[bool]:
    """Wait for a slot of `device` (cpu, cuda:0, mps), in order of `created` (seconds), and hold it. `what` is
    told to those who wait meanwhile: `run ID`.

    Gives True once it is held, False when `cancelled()` became true while waiting. Raises RequestError for a
    slots folder that cannot be used.
    """
    count = slots_per_device()
    descriptor = _wait(device, created, cancelled, count, what)
    if descriptor is None:
        yield False
        return
    slot = _Slot(device, count, descriptor, what)
    try:
        yield True
    finally:
        slot.release()


def held_by(device: str) -> str:
    """Who holds the slots of a device on this machine: `run ID (process N) holds it`; nothing where none is
    held, or that cannot be told. Raises nothing."""
    found: list[str] = []
    with contextlib.suppress(OSError, RequestError):
        found = [_signature(path) for path in sorted(_place(device).glob("slot-*")) if probe(path)]
    if not found:
        return ""
    return f"{' and '.join(found)} {'holds' if len(found) == 1 else 'hold'} it"


def waiting_text(device: str) -> str:
    """What is said of whatever waits for a slot of a device: that it does, and for whom."""
    return ": ".join(part for part in (WAITING, held_by(device)) if part)


def _signature(path: Path) -> str:
    try:
        said = from_json(read_small(path, 1 << 12))
        what, process = plain(said["what"], 120), int(said["pid"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"
    return f"{what} (process {process})" if what else f"process {process}"


def _wait(
    device: str, created: float, cancelled: Callable[[], bool], count: int, what: str
) -> int | None:
    """The descriptor of a free slot, taken in turn; None when cancelled."""
    ticket = _Ticket(created)
    # Workers started together need a moment until all of them stand in line.
    settled = time.monotonic() + SETTLE_SECONDS
    try:
        while not cancelled():
            # A folder that vanishes between two lines is made anew in the next round.
            with contextlib.suppress(FileNotFoundError):
                folder = _device_folder(device)
                ticket.stand_in(folder)
                if time.monotonic() >= settled and ticket.is_first(folder):
                    descriptor = _free_slot(folder, count, what)
                    if descriptor is not None:
                        return descriptor
            time.sleep(POLL_SECONDS)
        return None
    finally:
        ticket.withdraw()


def _device_folder(device: str) -> Path:
    folder = _place(device)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _place(device: str) -> Path:
    return slots_folder() / re.sub(r"[^A-Za-z0-9]+", "-", device)


def _free_slot(folder: Path, count: int, what: str) -> int | None:
    for number in range(count):
        path = folder / f"slot-{number}"
        descriptor = open_lock(path)
        if try_lock(descriptor) and same_file(descriptor, path):
            with contextlib.suppress(OSError):  # a full disk: it is held all the same
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, to_json({"pid": os.getpid(), "what": what}), 0)
            return descriptor
        os.close(descriptor)
    return None


class _Ticket:
    """A waiting worker's place in line: a locked file whose name sorts by creation."""

    def __init__(self, created: float) -> None:
        self.name = f"ticket-{max(created, 0.0):020.6f}-{os.getpid()}-{secrets.token_hex(3)}"
        self._path: Path | None = None
        self._descriptor: int | None = None

    def stand_in(self, folder: Path) -> None:
        """Be in line in `folder`, anew where the file vanished, and show that this process still moves."""
        path = folder / self.name
        if self._descriptor is None or not same_file(self._descriptor, path):
            self.withdraw()
            # Under its name only once it is locked, so that nobody takes it for a dead one.
            temporary = folder / f".{self.name}"
            self._descriptor = open_lock(temporary)
            try_lock(self._descriptor)
            temporary.rename(path)
            self._path = path
        os.utime(self._descriptor)

    def is_first(self, folder: Path) -> bool:
        """Whether nobody alive stands before this ticket; the tickets of dead processes are removed."""
        for name in sorted(entry.name for entry in os.scandir(folder) if entry.name.startswith("ticket-")):
            if name == self.name:
                return True
            path = folder / name
            with contextlib.suppress(FileNotFoundError):
                if probe(path) is False:
                    path.unlink()
                elif time.time() - path.stat().st_mtime < HUNG_SECONDS:
                    return False
        return False

    def withdraw(self) -> None:
        """Leave the line."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._path = self._descriptor = None


class _Slot:
    """A slot that is held, taken again when its folder was cleaned away under it."""

    def __init__(self, device: str, count: int, descriptor: int, what: str) -> None:
        self._device, self._count, self._what = device, count, what
        self._descriptors = [descriptor]
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._guard, name="kshot-slot", daemon=True)
        self._thread.start()

    def _guard(self) -> None:
        while not self._released.wait(GUARD_SECONDS):
            with contextlib.suppress(OSError, RequestError):
                folder = _device_folder(self._device)
                paths = [folder / f"slot-{number}" for number in range(self._count)]
                if not any(same_file(self._descriptors[-1], path) for path in paths):
                    descriptor = _free_slot(folder, self._count, self._what)
                    if descriptor is not None:
                        self._descriptors.append(descriptor)

    def release(self) -> None:
        """Free the slot."""
        self._released.set()
        self._thread.join()
        for descriptor in self._descriptors:
            os.close(descriptor)
