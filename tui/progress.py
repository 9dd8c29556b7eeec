"""Progress of runs and evaluations on standard error: live lines on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from engine.runs.testing import Test
from tui.numbers import duration, speed
from tui.output import cells, plain, say, terminal_width
from tui.views import RunView

LOOK_EVERY = 0.25
PLAIN_LINE_EVERY = 10.0
SAME_LINE_EVERY = 60.0


class Display(Protocol):
    """Shows runs and the tests under way, again and again, until it is left."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *details: object) -> None: ...

    def show(self, views: Sequence[RunView], tests: Sequence[Test]) -> None:
        """Draws the present state."""


def display() -> Display:
    """Live lines where standard error is a terminal that can move its cursor, plain lines elsewhere."""
    return LiveLines() if _can_rewrite() else PlainLines()


def _can_rewrite() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def follow(
    views: Sequence[RunView], tests: Sequence[Test], poll: Callable[[], None], done: Callable[[], bool]
) -> None:
    """Polls and shows until done; `tests` may grow meanwhile. Ctrl+C passes through."""
    with display() as screen:
        while True:
            poll()
            for view in views:
                view.refresh()
            screen.show(views, tests)
            if done():
                return
            time.sleep(LOOK_EVERY)


class PlainLines:
    """A line for each run at every change of state and every ten seconds; no carriage returns."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, float, str]] = {}

    def __enter__(self) -> "PlainLines":
        return self

    def __exit__(self, *details: object) -> None:
        return None

    def show(self, views: Sequence[RunView], tests: Sequence[Test]) -> None:
        """Says what has changed."""
        for view in views:
            # Validation comes and goes many times; what it found stands in the next line.
            state = "training" if view.shown_state == "validating" else view.shown_state
            self._say(view.run.id, state, view.line, view.status.state == "running")
        for test in tests:
            found = test.progress()
            if found is not None:
                phase, done, total = found
                self._say(f"test {test.id}", phase, _test_line(test.label, phase, done, total), total > 0)

    def _say(self, key: str, state: str, line: str, moving: bool) -> None:
        before, at, last = self._said.get(key, ("", 0.0, ""))
        now = time.monotonic()
        news = line != last or now - at >= SAME_LINE_EVERY
        if state != before or (moving and news and now - at >= PLAIN_LINE_EVERY):
            self._said[key] = (state, now, line)
            say(line)


class LiveLines:
    """One line for each run and each test under way, redrawn in place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        def folded() -> Column:
            # Who holds the device takes more than a narrow terminal's line: it goes on below.
            return Column(no_wrap=False, overflow="fold")

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[state]}", markup=False, table_column=folded()),
            BarColumn(bar_width=14),
            TextColumn("{task.fields[words]}", markup=False, table_column=folded()),
            console=Console(stderr=True, highlight=False),
            refresh_per_second=8,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "LiveLines":
        self._progress.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._progress.stop()

    def show(self, views: Sequence[RunView], tests: Sequence[Test]) -> None:
        """Redraws every line."""
        for view in views:
            status = view.status
            # Runs that wait for one of these stand below it.
            waits = view.waits if not any(other.run.id in view.waits for other in views) else ""
            queued = "  ".join(part for part in (view.goes_on, waits) if part)
            words = queued if status.state == "queued" else _words(view)
            total = max(1, status.steps)
            step = total if status.state == "finished" else status.step
            self._draw(view.run.id, view.label, view.shown_state, step, total, words)
        for test in tests:
            found = test.progress()
            key = f"test {test.id}"
            if found is not None:
                phase, done, total = found
                self._draw(
                    key, test.label, phase, done, max(1, total), f"{done:,}/{total:,}" if total else ""
                )
            elif key in self._tasks:
                self._progress.remove_task(self._tasks.pop(key))

    def _draw(self, key: str, label: str, state: str, done: int, total: int, words: str) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(plain(label), total=total, state="", words="")
        self._progress.update(
            self._tasks[key], completed=done, total=total, state=plain(state), words=plain(words)
        )


class Counting:
    """How far one piece of work is: a line rewritten in place on a terminal; elsewhere one at the start.

    `what` is what is being done; `silent` says nothing at all. Nothing is said before the first count: the
    request may be wrong.
    """

    def __init__(self, what: str, silent: bool = False) -> None:
        self._what, self._silent, self._live = plain(what), silent, _can_rewrite()
        self._line, self._next = "", 0.0

    def __enter__(self) -> "Counting":
        return self

    def __exit__(self, *details: object) -> None:
        if self._line and self._live:
            self._write()
            print(file=sys.stderr, flush=True)

    def show(self, done: int, total: int) -> None:
        """That many of so many are done. Cheap: the line is written a few times a second, and at the end."""
        if self._silent or (self._line and not self._live):
            return
        self._line = f"{self._what}: {done:,} of {total:,} images"
        if not self._live:
            say(f"{self._what}: {total:,} images")
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + LOOK_EVERY / 2
            self._write()

    def _write(self) -> None:
        # Cut short of the last column: a line that wraps cannot be written over.
        line, room = self._line, terminal_width() - 1
        while cells(line) > room:
            line = line[:-1]
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def _test_line(label: str, phase: str, done: int, total: int) -> str:
    return f"{label}: {phase} {done:,} of {total:,}" if total else f"{label}: {phase}"


def _words(view: RunView) -> str:
    left = view.seconds_left
    parts = [
        f"{view.status.step:,}/{view.status.steps:,}" if view.status.steps else "",
        view.value_text,
        speed(view.iterations_per_second),
        f"{duration(left)} left" if left is not None else "",
        view.status.error or "",
    ]
    return "  ".join(part for part in parts if part)
