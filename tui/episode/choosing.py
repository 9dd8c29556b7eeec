"""Which runs the episode screen shows: one in focus, and the newest finished baseline of its task."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.baseline import BASELINE
from engine.runs import Summary
from tui.snapshot import Snapshot


@dataclass(frozen=True)
class Pair:
    """The run that is looked at, and the baseline beside it, if there is one."""

    focus: Summary
    baseline: Summary | None = None

    @property
    def runs(self) -> tuple[Summary, ...]:
        """One or both."""
        return (self.focus,) if self.baseline is None else (self.focus, self.baseline)

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(summary.id for summary in self.runs)


def pair(snapshot: Snapshot, wanted: str | None, before: Pair | None = None) -> Pair | None:
    """The wanted run if it is finished, else the newest finished one; None where there is none. What was
    looked at `before` under the same wish stays while it is there: others that end must not take its place.

    A comparison often ends with its baseline: then the newest other run of that task is looked at, beside it.
    """
    finished = _finished(snapshot)
    if not finished:
        return None
    by_id = {run.id: run for run in finished}
    focus = by_id.get(wanted or "") or by_id.get(before.focus.id if before is not None else "")
    if focus is None:
        newest = finished[0]
        of_task = [run for run in finished if run.task == newest.task and run.algorithm != BASELINE]
        focus = of_task[0] if of_task else newest
    others = [run for run in finished if (run.task, run.algorithm) == (focus.task, BASELINE)]
    kept = before.baseline.id if before and before.baseline and before.focus.id == focus.id else ""
    # Of the same seed where there is one: that is how a comparison pairs them.
    others = sorted(others, key=lambda run: (run.id != kept, run.seed != focus.seed))
    baseline = next((run for run in others if run.id != focus.id), None)
    return Pair(focus, baseline if focus.algorithm != BASELINE else None)


def next_algorithm(snapshot: Snapshot, focus: Summary) -> str | None:
    """A finished run of the next algorithm that learned this task: of the same seed where there is one, else
    the newest; None without another."""
    newest: dict[str, str] = {}
    for run in sorted(_finished(snapshot), key=lambda run: run.seed != focus.seed):
        if run.task == focus.task:
            newest.setdefault(run.algorithm, run.id)
    names = sorted(newest)
    if focus.algorithm not in names or len(names) < 2:
        return None
    return newest[names[(names.index(focus.algorithm) + 1) % len(names)]]


def _finished(snapshot: Snapshot) -> Sequence[Summary]:
    return [run for run in snapshot.runs if run.state == "finished"]
