"""What stands in the bench's middle and right columns in the first frame, until the curves are there."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.welcome import Welcome

MOST = 50


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
