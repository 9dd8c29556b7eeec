"""What stands in the bench's middle and right columns in the first frame, until the curves are there."""

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.welcome import Welcome

MOST = 50
PATIENCE = 0.2
"""Seconds that the first frame waits for a folder; one on a file server that is away never answers."""
Found = TypeVar("Found")


def in_time(look: Callable[[], Found], otherwise: Found) -> Found:
    """What `look` finds, in a thread of its own; `otherwise` where that takes too long."""
    found: list[Found] = []
    looking = threading.Thread(target=lambda: found.append(look()), daemon=True)
    looking.start()
    looking.join(PATIENCE)
    return found[0] if found else otherwise


def holds_runs(runs_dir: Path) -> bool:
    """Whether there seem to be runs in the folder, by a look at a few names alone."""
    try:
        return any(not path.name.startswith(".") for path in islice(runs_dir.iterdir(), MOST))
    except OSError:
        return False


def opening_columns(first_start: bool) -> Iterator[Widget]:
    """The welcome where there are no runs, else frames with a word; by the ids of the columns."""
    middle = Welcome() if first_start else _panel("Runs", "reading the runs", "waiting")
    yield Vertical(middle, id="curves", classes="column")
    yield Vertical(_panel("This run", "no run yet" if first_start else "", ""), id="inner", classes="column")


def _panel(title: str, text: str, classes: str) -> Static:
    panel = Static(text, classes=f"panel {classes}")
    panel.border_title = title
    return panel
