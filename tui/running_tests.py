"""Which runs are being tested now, by whatever asked for it: from their requests and what the worker says."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.runs.files import from_json, plain, read_small
from engine.runs.status import SILENT_SECONDS
from tui.run_list import MOST_OF_A_CORE
from tui.snapshot import TestNow

if TYPE_CHECKING:
    from engine.runs import Run, Summary

NEWEST = 20
"""So many of the newest runs are looked at each time: most often it is they that are tested."""
EPISODE = "episode-"
"""How requests are called that ask about a single episode."""


class RunningTests:
    """The tests under way of a folder's runs.

    Runs that were asked for a test, and the newest, are looked at each time; the others as seldom as makes it
    cost at most a hundredth of a core, and read only where their folder of requests has changed.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, ...]] = {}
        self._changed: dict[str, int] = {}
        self._next_sweep = 0.0

    def look(self, runs: "Sequence[Summary]", all_anew: bool = False) -> Mapping[str, TestNow]:
        """By run id what is known of its test: one that is under way, or one asked for (0 of 0)."""
        begun = time.monotonic()
        sweeps = all_anew or begun >= self._next_sweep
        for place, summary in enumerate(runs):
            if sweeps or place < NEWEST or summary.id in self._open:
                self._look_at(summary.run)
        if sweeps:
            known = {summary.id for summary in runs}
            self._open = {run_id: names for run_id, names in self._open.items() if run_id in known}
            self._changed = {run_id: time for run_id, time in self._changed.items() if run_id in known}
            ended = time.monotonic()
            self._next_sweep = ended + max(1.0, (ended - begun) / MOST_OF_A_CORE)
        if not self._open:
            return {}
        return {each.id: _now(each.run, self._open[each.id]) for each in runs if each.id in self._open}

    def _look_at(self, run: "Run") -> None:
        try:
            changed = run.requests.stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed == self._changed.get(run.id, 0) and run.id not in self._open:
            return
        names = _asked_for(run) if changed else ()
        self._changed[run.id] = changed
        if names:
            self._open[run.id] = names
        else:
            self._open.pop(run.id, None)


def _asked_for(run: "Run") -> tuple[str, ...]:
    with suppress(OSError):
        with os.scandir(run.requests) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".json")]
        return tuple(sorted(name[:-5] for name in names if not name.startswith((EPISODE, "."))))
    return ()


def _now(run: "Run", names: Sequence[str]) -> TestNow:
    """The test that a worker is at; one whose worker has been silent for long counts as asked for."""
    for name in names:
        path = run.results / f".{name}.progress"
        with suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            if time.time() - path.stat().st_mtime <= SILENT_SECONDS:
                said = from_json(read_small(path, 1 << 16))
                return TestNow(run.id, plain(said["phase"], 60), int(said["done"]), int(said["total"]))
    return TestNow(run.id, "", 0, 0)
