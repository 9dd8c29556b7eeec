"""Which runs the bench draws: those opened together, else the session's, else the one in focus, else those
under way, else the newest run with the newest of every other algorithm on its task."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui.marks import Mark, marks_of
from tui.snapshot import Snapshot

if TYPE_CHECKING:
    from engine.runs import Summary


def shown_runs(
    snapshot: Snapshot, in_focus: str | None, together: "Sequence[str]" = ()
) -> "tuple[Summary, ...]":
    """The runs to lay over one another, all of one task, since only their episodes are the same."""
    chosen = [run for run_id in together if (run := snapshot.run(run_id)) is not None]
    if len(chosen) > 1:
        return _of_one_task(chosen)
    session = snapshot.session
    begun = [run_id for ids in session.runs.values() for run_id in ids] if session is not None else []
    if in_focus is not None and in_focus not in begun:
        focused = snapshot.run(in_focus)
        if focused is not None:
            return (focused,)
    if begun:
        found = [run for run_id in begun if (run := snapshot.run(run_id)) is not None]
        if found:
            return _of_one_task(found)
    under_way = [summary for summary in snapshot.under_way() if summary.kind == "train"]
    if under_way:
        return _of_one_task(under_way)
    return _last_comparison(snapshot.runs)


def _last_comparison(runs: "Sequence[Summary]") -> "tuple[Summary, ...]":
    """The newest run and, of its task, budget and seed, the newest of each other algorithm; newest first."""
    newest = next((run for run in runs if run.kind == "train"), None)
    if newest is None:
        return tuple(runs[:1])
    alike = [run for run in runs if _shape(run) == _shape(newest) and run.status.step > 0]
    by_algorithm = {run.algorithm: run for run in reversed(alike)} | {newest.algorithm: newest}
    return tuple(reversed(by_algorithm.values()))


def _shape(run: "Summary") -> tuple[str, str, int | None]:
    return run.task, run.budget, run.seed


def _of_one_task(runs: "Sequence[Summary]") -> "tuple[Summary, ...]":
    by_id = {run.id: run for run in runs if run.task == runs[0].task}
    return tuple(by_id.values())


def looked_at(runs: "Sequence[Summary]", chosen: str | None, in_focus: str | None) -> "Summary | None":
    """The one run whose inner loop and training loss are shown: the one chosen with the key, else the one in
    focus, else the one that trains, else the one heard of last."""
    for wanted in (chosen, in_focus):
        for summary in runs:
            if summary.id == wanted:
                return summary
    for states in (("running", "starting"), ("queued",)):
        for summary in runs:
            if summary.state in states:
                return summary
    return max(runs, key=lambda summary: summary.status.updated or 0.0, default=None)


def row_marks(runs: "Sequence[Summary]") -> dict[str, Mark]:
    """How each run looks among these, by id: two of one algorithm are told apart by their shapes."""
    marks = marks_of([run.algorithm for run in runs])
    return {run.id: mark for run, mark in zip(runs, marks, strict=True)}


def row_names(runs: "Sequence[Summary]") -> dict[str, str]:
    """What each run is called in a legend, by id: its algorithm, and what else tells it from the others."""
    names = {summary.id: summary.algorithm or summary.id for summary in runs}
    for summary in runs:
        same = [other for other in runs if other.algorithm == summary.algorithm]
        if len(same) > 1:
            alike = len({other.seed for other in same}) < len(same)
            names[summary.id] += f" {summary.name or summary.id[-4:]}" if alike else f" seed {summary.seed}"
    return names
