"""The runs screen's keys, and which of them do something now."""

from collections.abc import Collection, Mapping, Sequence

from engine.runs import Summary
from engine.runs.processes import RESUMABLE
from tui.keys import Key, scrolling

KEYS = (
    Key("enter", "open", "Open", "look at the run on Bench, or at the marked ones", "no run is selected"),
    Key("p", "pause", "Pause", "write a checkpoint, end, free the device", "only runs under way"),
    Key("x", "stop", "Stop", "write a checkpoint and end", "only runs under way or paused"),
    Key("r", "resume", "Resume", "go on from the last checkpoint", "only paused, stopped, crashed, failed"),
    Key("L", "log", "Log", "the run's log and its events", "no run is selected"),
    Key("f", "fork", "Fork", "train it anew with changed settings", "no run is selected"),
    Key("slash", "find", "Filter", "by words in id, name, task, algorithm, state"),
    Key("delete,d", "remove", "Remove", "move it to the trash", "a run under way has to be stopped first"),
    Key("u", "undo", "Undo", "put the last removed runs back", in_footer=False),
    Key("R", "replay", "Replay", "play its curves back", "only runs that recorded something", False),
    Key("o", "order", "Order", "newest, state, task, algorithm, best, name", in_footer=False),
    Key("space", "mark", "Mark", "mark several for enter, p, x, r, d", "no run is selected", in_footer=False),
    Key("tab", "app.focus_next", "Panel", "to the selected run in words, and back", in_footer=False),
    Key("escape", "back", "Back", "drop the filter, then the marks", in_footer=False),
)
PANEL_KEYS = scrolling("what is told of the run")


def is_possible(
    action: str, meant: Sequence[Summary], current: Summary | None, asked: Mapping[str, Collection[str]]
) -> bool:
    """Whether a key does something now: to one of the runs `meant`, or to the one under the cursor.

    `asked` is by run id what runs were asked and have not done yet.
    """
    match action:
        case "pause":
            return any(run.status.alive and not asked.get(run.id) for run in meant)
        case "stop":
            return any(can_stop(run) and "stop" not in asked.get(run.id, ()) for run in meant)
        case "resume":
            return any(run.state in RESUMABLE for run in meant)
        case "remove":
            return any(not run.status.alive for run in meant)
        case "open" | "fork" | "log" | "mark":
            return current is not None
        case "replay":
            return current is not None and current.status.step > 0
    return True


def can_stop(run: Summary) -> bool:
    """Whether the run is under way, or paused."""
    return run.status.alive or run.state == "paused"
