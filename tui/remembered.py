"""What the user has chosen stays chosen: the colour theme, in a small file of the user's configuration."""

import os
import stat
from collections.abc import Collection

from engine.folders import config_folder

FILE = "theme"
LONGEST = 100


def remembered_theme(known: Collection[str]) -> str | None:
    """The theme chosen last, if it is one of those; a file that says anything else is none."""
    try:
        # A pipe must not hold up the first frame.
        descriptor = os.open(config_folder() / FILE, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            name = file.read(LONGEST).decode("utf-8", "replace").strip() if regular else ""
    except (OSError, ValueError, RuntimeError):  # the last where there is no home folder
        return None
    return name if name in known else None


def remember_theme(name: str) -> None:
    """Writes it; where that cannot be, the next start has the theme that there was. Raises nothing."""
    from engine.runs.files import write_whole

    try:
        folder = config_folder()
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / FILE, f"{name}\n".encode(), durable=False)
    except (OSError, RuntimeError):
        return
