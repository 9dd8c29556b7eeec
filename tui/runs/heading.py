"""The line over the table of runs, and what stands under one without rows."""

from pathlib import Path

from tui.output import plain
from tui.snapshot import Snapshot


def heading(snapshot: Snapshot, shown: int, order: str, words: str, marked: int) -> str:
    """How many runs there are and how many of them are shown, their order, the filter, the marks, a fault."""
    total = len(snapshot.runs)
    counted = f"{shown:,} of {total:,} runs" if words else f"{total:,} run{'s' if total != 1 else ''}"
    parts = [counted, f"order: {order}"]
    parts += [f"filter: {words}"] if words else []
    parts += [f"{marked} marked"] if marked else []
    parts += [snapshot.error] if snapshot.error else []
    return plain("   ".join(parts))


def why_empty(snapshot: Snapshot, words: str, runs_dir: Path) -> str:
    """Why there is no row, and what to do."""
    if not snapshot.taken:
        return "looking at the runs folder"
    if snapshot.runs:
        return f"no run has the words {words}; esc drops the filter"
    return f"no runs in {plain(str(runs_dir))} yet; 1 chooses what to train"
