"""Forks under the run that they were forked from."""

from collections.abc import Mapping, Sequence

from engine.runs import Summary

DEEPEST = 4
"""Forks of forks beyond this are drawn no further in."""


def nested(runs: Sequence[Summary]) -> tuple[list[Summary], dict[str, int]]:
    """The runs with each one's forks under it, and by id how deep those stand.

    A family stands where the first of its members stood; a fork whose parent is not among the runs stands
    for itself.
    """
    if not any(run.parent for run in runs):
        return list(runs), {}
    known = {run.id: run for run in runs}
    forks: dict[str, list[Summary]] = {}
    for run in runs:
        if run.parent in known:
            forks.setdefault(run.parent or "", []).append(run)
    placed: list[Summary] = []
    depths: dict[str, int] = {}
    seen: set[str] = set()
    for run in runs:
        waiting = [(_eldest(run, known), 0)]
        while waiting:
            one, depth = waiting.pop()
            if one.id in seen:
                continue
            seen.add(one.id)
            placed.append(one)
            if depth:
                depths[one.id] = min(depth, DEEPEST)
            waiting += [(fork, depth + 1) for fork in reversed(forks.get(one.id, ()))]
    return placed, depths


def _eldest(run: Summary, known: Mapping[str, Summary]) -> Summary:
    """The first of the run's forebears; files may claim a circle, of which any one is taken."""
    seen = {run.id}
    while run.parent is not None and run.parent in known and run.parent not in seen:
        run = known[run.parent]
        seen.add(run.id)
    return run
