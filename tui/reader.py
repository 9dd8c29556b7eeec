"""The reader's thread: looks at the runs folder and hands out pictures of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tui.session import Session
from tui.snapshot import Snapshot


class Reader:
    """Takes a picture a few times a second while something is under way, seldom otherwise."""

    def __init__(self, runs_dir: Path, deliver: Callable[[Snapshot], object]) -> None:
        self.runs_dir, self.deliver = runs_dir, deliver

    def start(self) -> None:
        """Begins looking."""

    def end(self) -> None:
        """Ends the thread."""

    def look(self) -> None:
        """Takes a picture now."""

    def watch(self, runs: Sequence[str]) -> None:
        """Reads the histories of these runs from now on, and of no others."""

    def follow(self, session: Session) -> None:
        """Polls this session with every picture."""
