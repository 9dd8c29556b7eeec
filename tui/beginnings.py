"""What changes runs, each in a thread of its own: trainings that the app starts, and what is asked of runs.
Leaving waits for these threads."""

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

Request = Callable[[], str | None]
"""Returns a sentence for people, if there is something to say; raises RequestError or OSError."""


class Beginnings:
    """What was asked since the app is open."""

    def __init__(self, runs_dir: Path, data_dir: Path) -> None:
        self.runs_dir, self.data_dir = runs_dir, data_dir
        self.begun: list[Unbroken] = []
        self.requested: list[Unbroken] = []
        self.refused: list[str] = []
        """Faults that the app has not told yet."""

    @property
    def asked(self) -> bool:
        """Whether anything was asked."""
        return bool(self.begun or self.requested)

    def begin(
        self, what: Sequence[str], options: "Options", follow: "Follow", refuse: Callable[[str], object]
    ) -> Unbroken:
        """Starts a task's algorithms (or a comparison) in the background; `follow` takes what was begun,
        `refuse` the sentence of what cannot be. Both are called in that thread."""
        self.begun.append(Unbroken(partial(self._begin, what, options, follow, refuse)))
        return self.begun[-1]

    def request(
        self, request: Request, done: Callable[[str | None], object], refuse: Callable[[str], object]
    ) -> Unbroken:
        """Makes a request on files; `done` takes what it says, `refuse` the sentence of its fault. Both are
        called in that thread."""
        self.requested.append(Unbroken(partial(self._carry_out, request, done, refuse)))
        return self.requested[-1]

    def _begin(
        self, what: Sequence[str], options: "Options", follow: "Follow", refuse: Callable[[str], object]
    ) -> None:
        from tui.session import Session, planned

        try:
            plan = planned(what, options, self.runs_dir, self.data_dir)
            session = Session(plan, self.runs_dir, self.data_dir)
            session.begin()
        except Exception as fault:
            self._refuse(fault, refuse)
            return
        follow(session)

    def _carry_out(
        self, request: Request, done: Callable[[str | None], object], refuse: Callable[[str], object]
    ) -> None:
        try:
            said = request()
        except Exception as fault:
            self._refuse(fault, refuse)
            return
        done(said)

    def _refuse(self, fault: Exception, refuse: Callable[[str], object]) -> None:
        from tui.reader import in_one_sentence

        text = str(fault) if isinstance(fault, OSError) else in_one_sentence(fault)
        self.refused.append(text)
        refuse(text)

    def was_told(self, fault: str) -> None:
        """The app has told this fault."""
        if fault in self.refused:
            self.refused.remove(fault)

    def wait(self, seconds: float, say: Callable[[str], object]) -> None:
        """Waits, when the app has been left, until what was asked is done; says so, and what was refused."""
        end = time.monotonic() + seconds
        under_way = [each for each in self.begun if not each.is_finished]
        if under_way:
            say("the trainings are being started; one moment")
        if not all(each.wait(end - time.monotonic()) for each in under_way):
            say(f"not all were started within {seconds:.0f} s; kshot runs list shows which were")
        under_way = [each for each in self.requested if not each.is_finished]
        if under_way:
            say("what was asked of runs is being done; one moment")
        if not all(each.wait(end - time.monotonic()) for each in under_way):
            say(f"not all that was asked was done within {seconds:.0f} s; kshot runs list shows what was")
        for fault in self.refused:
            say(fault)
