"""Where data sets, packed images and the user's choices lie.

Outside `engine.data`, whose import costs Pillow and pydantic.
"""

import os
from pathlib import Path

from engine.errors import RequestError


def at_home(path: Path | str) -> Path:
    """The path with a leading `~` written out; as it is where nobody knows whose home is meant."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # no user can have that name
        return Path(path)


def data_folder(override: Path | None = None) -> Path:
    """The folder that holds data sets: the first given of `override`, KSHOT_DATA, XDG data `/kshot/data`.

    Only that one is searched. It need not exist.
    """
    if override is not None:
        return at_home(override)
    return _from_environment("KSHOT_DATA") or user_folder("XDG_DATA_HOME", ".local/share") / "kshot" / "data"


def cache_folder() -> Path:
    """The folder of packed images: KSHOT_CACHE, or XDG cache `/kshot`. It need not exist."""
    return _from_environment("KSHOT_CACHE") or user_folder("XDG_CACHE_HOME", ".cache") / "kshot"


def config_folder() -> Path:
    """The folder of the user's choices: XDG config `/kshot`. It need not exist."""
    return _xdg("XDG_CONFIG_HOME", ".config") / "kshot"


def user_folder(name: str, fallback: str) -> Path:
    """A folder of the user, named by an XDG variable or lying in the home folder. Raises RequestError where
    nobody knows either."""
    try:
        return _xdg(name, fallback)
    except RuntimeError:
        raise RequestError(f"nobody knows your home folder: set HOME, or {name}") from None


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name, "")
    return at_home(value) if value else None


def _xdg(name: str, fallback: str) -> Path:
    value = os.environ.get(name, "")
    # The XDG specification: a relative path is invalid and to be ignored.
    return Path(value) if value and Path(value).is_absolute() else Path.home() / fallback
