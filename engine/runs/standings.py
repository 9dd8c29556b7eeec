"""What can be compared from the runs folder as it stands: its results as tables, nothing started for it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from engine.runs.listing import Summary
from engine.runs.reports import Result
from engine.runs.results import read_evaluations
from engine.runs.reuse import choose
from engine.runs.sound_results import sound
from engine.runs.standing import Standing
from engine.runs.standing_tables import Seen, tables_of
from engine.runs.store import Run
from engine.runs.testing import digest_in, tested_checkpoint

if TYPE_CHECKING:
    from engine.presets import Spec


class Standings:
    """Reads the folder's tables; what has not changed is not read again. Not for several threads at once."""

    def __init__(self) -> None:
        self._stamp: object = None
        self._specs: dict[str, Spec | None] = {}
        self._results: dict[str, tuple[object, tuple[Result, ...]]] = {}

    def look(self, summaries: Sequence[Summary]) -> tuple[Standing, ...] | None:
        """The tables of these runs, those with the newest runs first; None where nothing has changed."""
        wanted = _candidates(summaries)
        stamp = [(each.id, each.state, each.status.step * (not each.status.alive)) for each in wanted]
        changed = (stamp, [_modified(each.run.results) for each in wanted])
        if changed == self._stamp:
            return None
        seen = [self._seen(summary) for summary in wanted]
        self._stamp = changed
        return tuple(tables_of(seen))

    def _seen(self, summary: Summary) -> Seen:
        run = summary.run
        # Of a finished run the checkpoint that tests use counts; others were tested while it trained.
        tested = tested_checkpoint(run, summary.status) if summary.state == "finished" else None
        modified = (_modified(run.results), tested)
        kept = self._results.get(summary.id)
        if kept is None or kept[0] != modified:
            results = (sound(result) for result in read_evaluations(run) if _is_of(result, tested))
            kept = (modified, tuple(result for result in results if result is not None))
            self._results[summary.id] = kept
        if summary.id not in self._specs:
            self._specs[summary.id] = _spec(summary.run)
        return Seen(summary, self._specs[summary.id], kept[1])


def _is_of(result: Mapping[str, Any], checkpoint: str | None) -> bool:
    """Whether an evaluation is of this checkpoint, or of an ensemble that it leads; all are of none."""
    return checkpoint is None or str(result.get("checkpoint")).split("-")[0] == digest_in(checkpoint)


def _candidates(summaries: Sequence[Summary]) -> list[Summary]:
    """For each (training key, seed) the run that counts, the newest first; those that ended early may."""
    by_key: dict[tuple[str, int], list[Summary]] = {}
    for each in summaries:
        if each.kind == "train" and each.seed is not None and each.key:
            by_key.setdefault((each.key, each.seed), []).append(each)
    chosen = []
    for (key, seed), group in by_key.items():
        found = choose(group, key, seed)
        chosen += [each for each in group if found is not None and each.run == found[0]][:1]
    return sorted(chosen, key=lambda each: each.id, reverse=True)


def _spec(run: Run) -> "Spec | None":
    """The run's spec; None where its file is not one."""
    from engine.presets import load_spec

    try:
        return load_spec(run.spec_path)
    except (RequestError, OSError, ValueError, RecursionError):
        return None


def _modified(folder: Path) -> object:
    """The results there are and when each was written; a test's progress beside them changes nothing here."""
    try:
        return frozenset(
            (entry.name, entry.stat().st_mtime_ns)
            for entry in os.scandir(folder)
            if entry.name.endswith(".json") and not entry.name.startswith(".")
        )
    except OSError:
        return None
