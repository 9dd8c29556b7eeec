"""The line of keys at the bottom: one widget, not one for every key, so that it costs little to change."""

from itertools import accumulate
from typing import NamedTuple

from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from tui.output import cells

STAYING = ("help", "leave")
"""The actions whose keys stay in sight however few columns there are."""


class Shown(NamedTuple):
    """One key: what is pressed, what it is called, what it does, whether that is possible now."""

    key: str
    name: str
    label: str
    action: str
    possible: bool

    @property
    def width(self) -> int:
        """Columns that it takes."""
        return cells(self.name) + cells(self.label) + 3


class KeyLine(Widget):
    """The keys of what has the focus, of its screen and of everywhere. Those that do not fit are left out:
    the help has them. A click on a key presses it, also on a greyed one, which then says why."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyLine {
        dock: bottom;
        height: 1;
        background: $footer-background;
        color: $footer-foreground;
        text-wrap: nowrap;
        text-overflow: clip;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._all: tuple[Shown, ...] = ()

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self._look(self.screen)

    def _look(self, screen: Screen[object]) -> None:
        """Asks which keys there are; draws only what changed."""
        found: dict[str, Shown] = {}
        for _, binding, enabled, _ in self.screen.active_bindings.values():
            if binding.show and binding.action not in found:
                name = self.app.get_key_display(binding)
                found[binding.action] = Shown(binding.key, name, binding.description, binding.action, enabled)
        if tuple(found.values()) != self._all:
            self._all = tuple(found.values())
            self.refresh()

    @property
    def shown(self) -> tuple[Shown, ...]:
        """The keys that fit, from left to right."""
        staying = [key for key in self._all if key.action in STAYING]
        others = [key for key in self._all if key.action not in STAYING]
        room = self.size.width - sum(key.width for key in staying)
        last = sum(end <= room for end in accumulate(key.width for key in others))
        kept = {*others[:last], *staying}
        return tuple(key for key in self._all if key in kept)

    def render(self) -> Content:
        parts: list[tuple[str, str]] = []
        for key in self.shown:
            dim = "" if key.possible else " dim"
            parts.append((f" {key.name} ", f"$footer-key-foreground bold{dim}"))
            parts.append((f"{key.label} ", f"$footer-description-foreground{dim}"))
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        """Presses the key that was clicked on."""
        ends = accumulate(key.width for key in self.shown)
        clicked = next((key for key, end in zip(self.shown, ends, strict=True) if event.x < end), None)
        if clicked is not None:
            self.app.simulate_key(clicked.key)
