"""The runs of a folder looked at again and again, cheaply however many have finished."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from engine.devices import device_name
from engine.errors import RequestError
from engine.runs import Run, Status, StatusWatcher, Summary, all_runs, list_checkpoints, summarise
from engine.runs.slots import waiting_text
from engine.runs.status import this_host

MOST_OF_A_CORE = 0.01

Identity = tuple[int, int, int] | None
"""A status file's time (ns), size and inode; None where there is none."""


@dataclass
class _Known:
    """A run as last read, and what its status file was then."""

    summary: Summary
    identity: Identity
    watcher: StatusWatcher | None


class RunList:
    """All runs of a folder as summaries, newest first.

    Runs that are alive are read at every look. The others are looked at when the folder itself changed, and
    otherwise as seldom as makes it cost at most a hundredth of a core; they are read only where their status
    file changed.
    """

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self._known: dict[str, _Known] = {}
        self._folder: tuple[int, int] | None = None
        self._next_sweep = 0.0

    def look(self, all_anew: bool = True) -> tuple[Summary, ...]:
        """The runs now. Raises RequestError for a folder that cannot be read, nothing for what runs hold."""
        begun = time.monotonic()
        folder = self._folder_now()
        if all_anew or folder != self._folder or begun >= self._next_sweep:
            self._sweep()
            ended = time.monotonic()
            self._folder = folder
            self._next_sweep = ended + max(1.0, (ended - begun) / MOST_OF_A_CORE)
        else:
            for known in self._known.values():
                if known.summary.status.alive:
                    self._read(known)
        return tuple(known.summary for known in reversed(self._known.values()))

    def _folder_now(self) -> tuple[int, int] | None:
        try:
            about = self.runs_dir.stat()
        except OSError:
            return None
        return about.st_mtime_ns, about.st_ino

    def _sweep(self) -> None:
        before, self._known = self._known, {}
        try:
            for run in all_runs(self.runs_dir):
                known = before.get(run.id)
                if known is None:
                    identity = _identity(run)
                    known = _Known(_read_anew(run), identity, None)
                    self._believe(known)
                elif known.summary.status.alive or _identity(run) != known.identity:
                    self._read(known)
                self._known[run.id] = known
        except RequestError:
            self._known = before
            raise

    def _read(self, known: _Known) -> None:
        run = known.summary.run
        # Before reading: what is written in between shows as a change at the next look.
        known.identity = _identity(run)
        summary = _read_anew(run)
        known.summary = summary if summary != known.summary else known.summary
        self._believe(known)

    def _believe(self, known: _Known) -> None:
        """Whether another machine's run lives is told by its status moving, not by that machine's clock."""
        status = known.summary.status
        elsewhere = status.host != "" and (status.host, status.boot) != this_host()
        if not elsewhere or not (status.alive or status.state == "crashed"):
            known.watcher = None
            return
        if known.watcher is None:
            known.watcher = StatusWatcher(known.summary.run)
        believed = known.watcher.read()
        if believed != status:
            known.summary = replace(known.summary, status=believed)


def _read_anew(run: Run) -> Summary:
    summary = summarise(run)
    return replace(summary, status=going_on(run, summary.status))


def going_on(run: Run, status: Status) -> Status:
    """The run's status. One that was resumed and does not train yet says the iteration that it goes on from:
    until then its status has the one that it had come to, which a crash may have lost. The phase of one that
    is queued here says for whom it waits."""
    if status.state == "queued" and (status.host, status.boot) == this_host():
        status = replace(status, phase=waiting_text(device_name(status.device or "auto")))
    if status.state not in ("queued", "starting") or not status.step:
        return status
    saved = list_checkpoints(run)
    return replace(status, step=saved[-1].step if saved else 0)


def _identity(run: Run) -> Identity:
    try:
        about = run.status_path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino
