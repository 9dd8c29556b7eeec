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
KEYS_WAIT = 3.0
"""Seconds that keys typed ahead wait for it: whether there are runs decides what has the focus."""
Found = TypeVar("Found")
Other = TypeVar("Other")


def in_time(
    look: Callable[[], Found], otherwise: Other, late: Callable[[Found], object] = lambda found: None
) -> Found | Other:
    """What `look` finds, in a thread of its own; `otherwise` where that takes too long. `late` is then called
    in that thread with what is found."""
    found: list[Found] = []
    turn = threading.Lock()
    waited = True

    def go() -> None:
        answer = look()
        with turn:
            found.append(answer)
            is_late = not waited
        if is_late:
            late(answer)

    looking = threading.Thread(target=go, daemon=True)
    looking.start()
    looking.join(PATIENCE)
    with turn:
        waited = bool(found)
    return found[0] if waited else otherwise


def holds_runs(runs_dir: Path) -> bool:
    """Whether there seem to be runs in the folder, by a look at a few names alone."""
    try:
        return any(not path.name.startswith(".") for path in islice(runs_dir.iterdir(), MOST))
    except OSError:
        return False


def opening_columns(first_start: bool) -> Iterator[Widget]:
    """The welcome, and frames with a word; by the ids of the columns. The welcome stays where it is, whatever
    comes beside it, so that keys find it at any time."""
    yield Vertical(Welcome(), _panel("Runs", "reading the runs", "waiting"), id="curves", classes="column")
    yield Vertical(_panel("This run", "no run yet" if first_start else "", ""), id="inner", classes="column")


def _panel(title: str, text: str, classes: str) -> Static:
    panel = Static(text, classes=f"panel {classes}")
    panel.border_title = title
    return panel
