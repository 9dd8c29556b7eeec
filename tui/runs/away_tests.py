"""What the tests of runs that ended while one was away say: what is best, and its lead on pretraining."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.runs import Summary
from engine.runs.reports import verdict
from engine.runs.standing import Standing
from engine.runs.standings import Standings
from tui.numbers import interval, magnitude

MOST_READ = 40
"""Runs whose results are read for the card, the newest of what is alike; a spec takes 10 ms."""


@dataclass(frozen=True)
class Tested:
    """What tests say of one task: a sentence on what is best, and whether all runs that ended are tested."""

    best: str
    all_tested: bool


def tested(runs: Sequence[Summary], ended: Sequence[Summary]) -> dict[str, Tested]:
    """By task, for those of the finished runs among `ended`. Reads files: never on the event loop."""
    finished = {run.id: run for run in ended if run.state == "finished" and run.kind == "train"}
    shapes = {(run.task, run.budget) for run in finished.values()}
    alike = [run for run in runs if (run.task, run.budget) in shapes][:MOST_READ]
    found: dict[str, Tested] = {}
    for standing in Standings().look(alike) or ():
        ids = {run.id for of_row in standing.runs.values() for run in of_row} & finished.keys()
        if ids and standing.task not in found:
            untested = any(run.id in finished for _, run in standing.untested())
            found[standing.task] = Tested(best_sentence(standing), not untested)
    return found


def best_sentence(standing: Standing) -> str:
    """`Best: maml 95.8 ± 0.4 on sine-10shot, better than pretrain by 20.1 ± 1.3 (test).`; empty without a
    result."""
    baseline = standing.default_baseline
    table = standing.table(baseline)
    rows = [row for row in table["rows"] if row["after"] is not None and row["after"]["mean"] is not None]
    if not rows:
        return ""
    sign = -1 if standing.higher_is_better else 1
    best = min(rows, key=lambda row: sign * row["after"]["mean"])
    shown = interval(best["after"], standing.metric)
    against = "; no other is better" if best["label"] == baseline else _against(best, standing, baseline)
    return f"Best: {best['label']} {shown} on {standing.task}{against} (test)."


def _against(row: dict[str, Any], standing: Standing, baseline: str | None) -> str:
    difference = row["vs_baseline"]
    said = verdict(difference, standing.higher_is_better)
    if difference is None or said is None:
        return ""
    if said == "undecided":
        return f", undecided against {baseline}: {interval(difference, standing.metric, signed=True)}"
    return f", {said} than {baseline} by {magnitude(difference, standing.metric)}"
