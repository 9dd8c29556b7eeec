"""The runs screen's keys."""

from tui.keys import Key

KEYS = (
    Key("enter", "open", "Open", "look at the run on Bench", "no run is selected"),
    Key("p", "pause", "Pause", "write a checkpoint, end, free the device", "only runs under way"),
    Key("x", "stop", "Stop", "write a checkpoint and end", "only runs under way"),
    Key("r", "resume", "Resume", "go on from the last checkpoint", "only paused, stopped, crashed, failed"),
    Key("f", "fork", "Fork", "train it anew with changed settings", "no run is selected"),
    Key("delete,d", "remove", "Remove", "move it to the trash", "a run under way has to be stopped first"),
    Key("u", "undo", "Undo", "put the last removed runs back", in_footer=False),
    Key("L", "log", "Log", "the run's log and its events", "no run is selected"),
    Key("R", "replay", "Replay", "play its curves back", "only runs that recorded something", False),
    Key("slash", "find", "Filter", "by words in id, name, task, algorithm, state"),
    Key("o", "order", "Order", "newest, state, task, algorithm, best, name", in_footer=False),
    Key("space", "mark", "Mark", "mark several for p, x, r and del", "no run is selected", in_footer=False),
    Key("escape", "back", "Back", "drop the filter, then the marks", in_footer=False),
)
