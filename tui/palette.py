"""The command palette: every function of the place, its panels and everywhere by name, and the themes."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

from tui.keys import Key
from tui.screens.help import is_possible, key_names, sections
from tui.themes import CYCLE

if TYPE_CHECKING:
    from tui.app import Workbench

ITSELF = "command_palette"
BY_HELP = 0.1
"""What a match in the words of help is worth beside one in the name, which is worth 1 or more."""


class Function(NamedTuple):
    """What can be done: its name, its keys, words on it, whether that is possible now, and what does it."""

    name: str
    keys: str
    help: str
    possible: bool
    run: Callable[[], Awaitable[None] | None]
    at_first: bool = True
    """Whether it is listed before something is typed."""

    def shown(self, name: Content) -> Content:
        """The name, its keys, and the help under them; all faint while it is not possible."""
        keys = f"  {self.keys}" if self.keys else ""
        shown = Content.assemble(name, keys, ("\n" + self.help, "dim"))
        return shown if self.possible else shown.stylize("dim")


class Functions(Provider):
    """The functions of the screen that the palette was opened over."""

    async def discover(self) -> Hits:
        """All functions, in the order of the help."""
        for each in functions(self.screen):
            if each.at_first:
                yield DiscoveryHit(each.shown(Content(each.name)), each.run, each.name)

    async def search(self, query: str) -> Hits:
        """Functions whose name is like the query, then those whose keys or help have it."""
        matcher = self.matcher(query)
        for each in functions(self.screen):
            score = matcher.match(each.name)
            if score > 0:
                yield Hit(1 + score, each.shown(matcher.highlight(each.name)), each.run, each.name)
            elif query == each.keys or query.casefold() in each.help.casefold():
                yield Hit(BY_HELP, each.shown(Content(each.name)), each.run, each.name)


class Palette(CommandPalette):
    """Textual's palette with our functions in it."""

    def __init__(self) -> None:
        super().__init__([Functions], placeholder="A function or a theme, by name")


def functions(screen: Screen[object]) -> Iterator[Function]:
    """Every function of the screen, its panels and everywhere, then a theme each."""
    for title, node, keys in sections("", screen):
        panel = "" if node in (screen, screen.app) else f"{title.split(',')[0]}: "
        for key in keys:
            if key.action == ITSELF:
                continue
            possible = is_possible(node, key)
            missing = "" if possible else f" (not now{f': {key.why_not}' if key.why_not else ''})"
            run = partial(_run, screen, node, key)
            yield Function(key.label, key_names(key), f"{panel}{key.help}{missing}", possible, run)
    app = screen.app
    for name in (*CYCLE, *sorted(set(app.available_themes) - set(CYCLE))):
        # Of Textual's own themes none is on the list until it is asked for.
        use = partial(setattr, app, "theme", name)
        yield Function(f"Theme {name}", "", "this colour theme", True, use, name in CYCLE)


async def _run(screen: Screen[object], node: DOMNode, key: Key) -> None:
    """Does it; a panel gets the focus first, so that one sees where."""
    if isinstance(node, Widget) and node is not screen and not node.has_focus:
        screen.set_focus(node)
    if is_possible(node, key):
        await screen.app.run_action(key.action, node)
    else:
        reason = f": {key.why_not}" if key.why_not else ""
        cast("Workbench", screen.app).tell(f"{key.label} is not possible now{reason}")
