"""The help: every key of a place, made from the key table, with what is greyed now and why."""

import re
from typing import TYPE_CHECKING, ClassVar

from rich.console import Console
from rich.text import Text
from textual.actions import parse
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.keys import PLACES, Key
from tui.output import cells, pad

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "space": "space",
    "escape": "esc",
    "delete": "del",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "comma": ",",
    "full_stop": ".",
    "pageup": "page up",
    "pagedown": "page down",
}


class HelpScreen(ModalScreen[None]):
    """The keys of the place that it was called from, of its panels, and of everywhere. Scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "put_away", "Back"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 94%; max-width: 100; height: auto; max-height: 94%;
        background: $surface; border: round $primary; padding: 0 1;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable;
    }
    HelpScreen Static { height: auto; }
    """

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes, ↑ ↓ scroll"
            yield Static("")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self._tell)

    def _tell(self) -> None:
        told = help_text(self._place, self.app.screen_stack[-2])
        self.query_one(Static).update(hanging(told, self.query_one(Static).size.width, self.app.console))

    def action_put_away(self) -> None:
        """Closes the help."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Some lines up or down."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def help_text(place: str, screen: Screen[object]) -> Text:
    """Every key of the place: sections, a line a key, and under what is greyed now its reason."""
    found = list(sections(place, screen))
    width = max((cells(key_names(key)) for _, _, keys in found for key in keys), default=0)
    told = Text()
    for title, node, keys in found:
        told.append(f"{title}\n", style="bold underline")
        for key in keys:
            possible = is_possible(node, key)
            style = "" if possible else "dim"
            told.append(pad(key_names(key), width), style="bold" if possible else "dim")
            told.append(f"  {key.label}: {key.help}\n", style=style)
            if not possible:
                told.append(
                    f"{'':{width}}  not now{f': {key.why_not}' if key.why_not else ''}\n", style="dim"
                )
        told.append("\n")
    told.rstrip()
    return told


def hanging(told: Text, width: int, console: Console) -> Text:
    """The text wrapped at that width; what goes on in another line stands under the words, not the key."""
    lines: list[Text] = []
    for line in told.split("\n", allow_blank=True):
        words = re.match(r".*?  +", line.plain)
        indent = words.end() if words else 0
        if line.cell_len <= width or not 0 < indent < width // 2:
            lines.append(line)
            continue
        key, rest = line.divide([indent])
        for wrapped in rest.wrap(console, width - indent):
            wrapped.rstrip()
            lines.append(key + wrapped)
            key = Text(" " * indent)
    return Text("\n").join(lines)


def key_names(key: Key) -> str:
    """A key's names as they stand on the keyboard: `?`, `/`, `del`, `L`."""
    return " ".join(KEY_NAMES.get(name.strip(), name.strip()) for name in key.keys.split(","))


def sections(place: str, screen: Screen[object]) -> "Iterator[tuple[str, DOMNode, list[Key]]]":
    """(heading, the node that is asked what is possible, keys) of the place, its panels, everywhere."""
    place = place or getattr(screen, "PLACE", "")
    seen = {"everywhere"}
    shown = [each for each in screen.query("*") if _is_shown(each)]
    # Of several panels of a kind the one that has the focus tells what is possible now.
    shown.sort(key=lambda each: not each.has_focus)
    for name, node in ((place, screen), *((getattr(each, "PLACE", ""), each) for each in shown)):
        if name in PLACES and name not in seen:
            seen.add(name)
            title = name.replace("-", " ").capitalize()
            needs_focus = ", when it has the focus (tab)" if node is not screen and not node.has_focus else ""
            yield f"{title}{needs_focus}", node, list(PLACES[name])
    # Over a form, which takes letters, only what comes before everything else is possible.
    over = isinstance(screen, ModalScreen)
    yield "Everywhere", screen.app, [key for key in PLACES["everywhere"] if key.priority or not over]


def _is_shown(widget: Widget) -> bool:
    return all(each.display for each in widget.ancestors_with_self if isinstance(each, Widget))


def is_possible(node: DOMNode, key: Key) -> bool:
    """Whether the key does something now, as the footer has it."""
    _, name, parameters = parse(key.action)
    return node.check_action(name, parameters) is True
