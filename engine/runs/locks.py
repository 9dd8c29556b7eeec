"""The writer's lock: `flock` on RUN/lock, held by the one process that writes while it lives.

A lock belongs to the open file, not to the process, so the launcher can take it and hand it to the worker by
descriptor: it is never free in between, and the kernel frees it however the worker dies.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import RequestError

POLL_SECONDS = 0.02
WAIT_SECONDS = 0.2


def open_lock(path: Path) -> int:
    """A descriptor of the lock file, made where it is missing. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)


def try_lock(descriptor: int) -> bool:
    """Whether the exclusive lock is now held through `descriptor`. Raises RequestError without flock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
            raise RequestError(
                f"the file system of the runs folder has no file locks ({error.strerror}); "
                "name another folder with --runs-dir or KSHOT_RUNS"
            ) from error
        raise
    return True


def lock_within(path: Path, wait: float) -> int | None:
    """A descriptor that holds the lock at `path`, or None when it stayed taken for `wait` seconds.

    Readers take the lock for an instant to look at it, so a writer tries for a while. Raises OSError.
    """
    end = time.monotonic() + wait
    descriptor = open_lock(path)
    try:
        while not try_lock(descriptor):
            if time.monotonic() >= end:
                os.close(descriptor)
                return None
            time.sleep(POLL_SECONDS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def probe(path: Path) -> bool | None:
    """Whether a writer on this machine holds the lock; None where that cannot be told (no permission)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def same_file(descriptor: int, path: Path) -> bool:
    """Whether `descriptor` is open on the file that is now at `path`."""
    try:
        there = path.stat()
    except OSError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def kept_lock(descriptor: int, path: Path) -> int | None:
    """The descriptor that holds the lock at `path`: the one given, or another where its file was taken away
    or replaced; None where somebody else holds it by now. Raises OSError."""
    if same_file(descriptor, path):
        return descriptor
    # The old one stays open: what was handed down with it may still be asked for.
    return lock_within(path, WAIT_SECONDS)


@contextmanager
def held_alone(path: Path, ending: Callable[[], bool]) -> Iterator[bool]:
    """Wait for the lock at `path` and hold it; its file goes with it. Gives False where `ending()` was first.

    Raises OSError, and RequestError without flock.
    """
    while not ending():
        descriptor = open_lock(path)
        try:
            held = try_lock(descriptor) and same_file(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        if held:
            break
        os.close(descriptor)
        time.sleep(WAIT_SECONDS)
    else:
        yield False
        return
    try:
        yield True
    finally:
        # While it is held: who waited for this file then sees that it is no longer the one at `path`.
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def adopt(path: Path, descriptor: int) -> None:
    """Take over a lock that the launcher handed down, and keep it from this process's own children.

    Raises RequestError when `descriptor` is no lock of `path`.
    """
    try:
        fits = same_file(descriptor, path) and try_lock(descriptor)
    except OSError:
        fits = False
    if not fits:
        raise RequestError(f"descriptor {descriptor} does not hold {path}; start runs with `kshot train`")
    os.set_inheritable(descriptor, False)
