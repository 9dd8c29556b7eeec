"""Reuse: the run that already trained, or is training, what somebody asks for."""

from collections.abc import Iterable
from pathlib import Path

from engine.runs.listing import Summary, list_runs
from engine.runs.store import Run

PREFERENCE = (
    {"finished"},
    {"running", "starting", "queued"},
    {"stopped", "paused", "crashed"},
    {"failed"},
)


def find_reusable(runs_dir: Path, key: str, seed: int) -> tuple[Run, str] | None:
    """The run of this training key and seed that is nearest to done, with its state; of equals the newest.

    Finished comes before running or queued, these before stopped, paused and crashed, and failed last.
    """
    return choose(list_runs(runs_dir), key, seed)


def choose(summaries: Iterable[Summary], key: str, seed: int) -> tuple[Run, str] | None:
    """`find_reusable` among runs already listed."""
    fitting = [each for each in summaries if each.key == key and each.seed == seed]
    for states in PREFERENCE:
        found = [each for each in fitting if each.state in states]
        if found:
            best = max(found, key=lambda each: (each.status.step, each.id))
            return best.run, best.state
    return None
