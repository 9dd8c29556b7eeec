"""A key that does nothing here and now says why, in the words that the help has for it."""

import time
from typing import Generic

from textual.app import App, ReturnType
from textual.dom import DOMNode

from tui.keys import PLACES, Key

SECONDS = 4.0
"""How long it stays; pressed again meanwhile, the key does not say it twice."""


class GreyedKeys(App[ReturnType], Generic[ReturnType]):
    """An app whose greyed keys are told in a notice when they are pressed, and nothing else takes them."""

    _said: tuple[str, float] = "", 0.0

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        if await super()._check_bindings(key, priority):
            return True
        if not priority:
            self._say_why_not(key)
        return False

    def _say_why_not(self, key: str) -> None:
        found = self.screen.active_bindings.get(key)
        if found is None or found.enabled:
            return
        known = next((each for each in keys_of(found.node) if each.action == found.binding.action), None)
        reason = (known.why_not if known is not None else "") or "not now"
        text, now = f"{found.binding.description}: {reason}", time.monotonic()
        if text != self._said[0] or now - self._said[1] > SECONDS:
            self._said = text, now
            self.notify(text, timeout=SECONDS, markup=False)


def keys_of(node: DOMNode) -> tuple[Key, ...]:
    """The node's part of the table of keys; the app's where it has none of its own."""
    return tuple(PLACES.get(getattr(node, "PLACE", "everywhere"), ()))
