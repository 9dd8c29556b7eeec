"""Reuse: the run that already trained, or is training, what somebody asks for."""

from collections.abc import Iterable

from engine.runs.listing import Summary
from engine.runs.store import Run

PREFERENCE = (
    {"finished"},
    {"running", "starting", "queued"},
    {"stopped", "paused", "crashed"},
    {"failed"},
)


def choose(summaries: Iterable[Summary], key: str, seed: int) -> tuple[Run, str] | None:
    """The run of this training key and seed that is nearest to done, with its state; of equals the newest.

    Finished comes before running or queued, these before stopped, paused and crashed, and failed last.
    """
    fitting = [each for each in summaries if each.key == key and each.seed == seed]
    for states in PREFERENCE:
        found = [each for each in fitting if each.state in states]
        if found:
            best = max(found, key=lambda each: (each.status.step, each.id))
            return best.run, best.state
    return None
