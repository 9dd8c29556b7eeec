"""The one table of keys: it makes the bindings, the footer and the help screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Key:
    """One function of a place: `keys` as Textual names them (several by commas), the action, words for the
    footer and the help.

    `why_not` says what is missing when the function is greyed.
    """

    keys: str
    action: str
    label: str
    help: str
    why_not: str = ""
    in_footer: bool = True
    priority: bool = False


EVERYWHERE = (
    Key("1", "go('bench')", "Bench", "choose a task and algorithms, start them, watch", in_footer=False),
    Key("2", "go('runs')", "Runs", "all runs: pause, stop, resume, fork, remove", in_footer=False),
    Key("3", "go('compare')", "Compare", "algorithms against the pretraining baseline", in_footer=False),
    Key("4", "go('episode')", "Episode", "one test task looked at closely", in_footer=False),
    Key("question_mark", "help", "Help", "every key of this place"),
    Key("ctrl+p", "command_palette", "Palette", "every function by name", in_footer=False),
    Key("T", "theme", "Theme", "the next colour theme; the palette has all by name", in_footer=False),
    Key("q", "leave", "Leave", "leave; trainings go on"),
    Key("y", "copy", "Copy", "copy what has the focus to the clipboard (OSC 52, works over SSH)"),
    Key("ctrl+q", "quit", "Leave at once", "leave without a word", in_footer=False, priority=True),
)

LOG = Key("L", "log", "Log", "the log and the events of the run shown", "no run is shown", in_footer=False)
"""For every place that shows a run."""
PLACES: dict[str, Sequence[Key]] = {"everywhere": EVERYWHERE}
"""Every place's keys by its name; screens add theirs when they are imported."""


def scrolling(what: str) -> tuple[Key, ...]:
    """The keys that scroll a panel."""
    return (
        Key("down", "scroll_down", "Down", f"a line of {what} down", in_footer=False),
        Key("up", "scroll_up", "Up", "a line up", in_footer=False),
        Key("pagedown", "page_down", "Page down", "a page down", in_footer=False),
        Key("pageup", "page_up", "Page up", "a page up", in_footer=False),
        Key("home", "scroll_home", "First", "to its beginning", in_footer=False),
        Key("end", "scroll_end", "Last", "to its end", in_footer=False),
    )


def place(name: str, keys: Sequence[Key]) -> list[BindingType]:
    """Enters a place's keys into the table and gives its bindings."""
    PLACES[name] = keys
    return [
        Binding(key.keys, key.action, key.label, show=key.in_footer, priority=key.priority) for key in keys
    ]
