"""Where compiled kernels are kept. A library does whatever its user may, so none is loaded that another user
could have put there."""

import grp
import os
import pwd
import stat
from pathlib import Path

from engine.errors import RequestError
from engine.folders import cache_folder
from engine.runs.slots import slots_folder

ROOT = 0


def kernels_folder() -> tuple[Path, str | None]:
    """The folder of compiled kernels, made if missing: `kernels` in the cache folder; where other users could
    write there, one in this user's private folder, with a line that says so.

    Raises OSError, and RequestError where there is no private folder either.
    """
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    reason = open_to_others(cache)
    if reason is None:
        folder = cache / "kernels"
        folder.mkdir(mode=0o700, exist_ok=True)
        reason = open_to_others(folder)
        if reason is None:
            return folder, None
    private = slots_folder() / "kernels"
    private.mkdir(mode=0o700, exist_ok=True)
    if fault := open_to_others(private):
        raise RequestError(fault)
    return private, f"{reason}, so compiled kernels are kept in {private}"


def kept_elsewhere() -> str | None:
    """The line that says so where they are not kept in the cache folder. Raises nothing."""
    try:
        return kernels_folder()[1]
    except (OSError, RequestError):
        return None


def open_to_others(path: Path) -> str | None:
    """Why what lies at `path` may be another user's work; None where only this user and root can write there.
    Raises OSError."""
    about = path.stat()
    if about.st_uid not in (os.getuid(), ROOT):
        return f"{path} belongs to another user"
    # In a sticky folder, as /tmp is, nobody can move away or replace what is another's.
    if stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX:
        return None
    by_group = about.st_mode & stat.S_IWGRP and not _is_of_one(about.st_gid)
    if by_group or about.st_mode & stat.S_IWOTH:
        return f"{path} can be written to by other users (chmod go-w mends that)"
    return None


def _is_of_one(group: int) -> bool:
    """Whether this is the group that many systems give each user alone, with a umask that lets it write."""
    try:
        user, about = pwd.getpwuid(os.getuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return user.pw_gid == group and about.gr_name == user.pw_name and set(about.gr_mem) <= {user.pw_name}
