"""Trainings that the app starts in threads of their own, and leaving, which waits until they are begun."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tui.threads import Unbroken

if TYPE_CHECKING:
    from engine.runs.rows import Options
    from tui.session import Session

    Follow = Callable[[Session], object]


class Beginnings:
    """What was asked to be started since the app is open."""

    def __init__(self, runs_dir: Path, data_dir: Path) -> None:
        self.runs_dir, self.data_dir = runs_dir, data_dir
        self.asked: list[Unbroken] = []
        self.refused: str | None = None
        """The last one's fault, until the app has told it."""

    def begin(
        self, what: Sequence[str], options: "Options", follow: "Follow", refuse: Callable[[str], object]
    ) -> Unbroken:
        """Starts a task's algorithms (or a comparison) in the background; `follow` takes what was begun,
        `refuse` the sentence of what cannot be. Both are called in that thread."""
        self.asked.append(Unbroken(partial(self._begin, what, options, follow, refuse)))
        return self.asked[-1]

    def _begin(
        self, what: Sequence[str], options: "Options", follow: "Follow", refuse: Callable[[str], object]
    ) -> None:
        from tui.reader import in_one_sentence
        from tui.session import Session, planned

        try:
            plan = planned(what, options, self.runs_dir, self.data_dir)
            session = Session(plan, self.runs_dir, self.data_dir)
            session.begin()
        except Exception as fault:
            self.refused = in_one_sentence(fault)
            refuse(self.refused)
            return
        follow(session)

    def wait(self, seconds: float, say: Callable[[str], object]) -> None:
        """Waits, when the app has been left, until what it was beginning is begun; says so, and what was
        refused."""
        end = time.monotonic() + seconds
        under_way = [each for each in self.asked if not each.is_finished]
        if under_way:
            say("the trainings are being started; one moment")
        if not all(each.wait(end - time.monotonic()) for each in under_way):
            say(f"not all were started within {seconds:.0f} s; kshot runs list shows which were")
        if self.refused is not None:
            say(self.refused)
