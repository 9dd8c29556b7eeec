"""Keys one after the other: a key typed while the one before it is still at work waits for it.

Textual hands each key at once to what has the focus then; what the key before it does (moves the focus, opens
a screen) comes some messages later. So of keys typed faster than the app answers, and of those typed before
the first frame, some would go to the wrong place or nowhere.
"""

import time
from collections import deque
from typing import ClassVar, Generic

from textual import events
from textual.app import App, ReturnType, ScreenStackError
from textual.message import Message
from textual.message_pump import MessagePump

ROUNDS = 2
"""A key's action runs at the end of its way up; what it posted then has to come up once more."""
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 3.0


class OrderedKeys(App[ReturnType], Generic[ReturnType]):
    """An app whose keys wait for the one before, and for a screen that says `takes_keys = False`."""

    AT_ONCE: ClassVar[frozenset[str]] = frozenset()
    """Keys that never wait."""
    ANY_TIME: ClassVar[frozenset[str]] = frozenset()
    """Keys that do not wait for the screen."""

    class Passed(Message, bubble=True):
        """Sent up behind a key: when it arrives at the app, so has the key."""

        def __init__(self, target: MessagePump, rounds: int) -> None:
            super().__init__()
            self.target, self.rounds = target, rounds

    def __init__(self, ansi_color: bool = False) -> None:
        super().__init__(ansi_color=ansi_color)
        self._typed: deque[events.Key | events.Paste] = deque()
        self._at_work_since: float | None = None
        self._looking = False

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        if isinstance(event, events.Key) and event.key == "ctrl+j":
            # Enter as a terminal sends it that is not in raw mode yet.
            event = events.Key("enter", "\r")
        if isinstance(event, events.Key) and event.key in self.AT_ONCE:
            await super().on_event(event)
        elif self._typed or not self._can_take(event):
            self._typed.append(event)
            self._look_soon()
        else:
            await self._hand_on(event)

    def _can_take(self, event: events.Key | events.Paste) -> bool:
        if self._at_work_since is not None:
            return False
        try:
            screen = self.screen
        except ScreenStackError:
            return False
        if not screen.is_mounted:
            return False
        any_time = isinstance(event, events.Key) and event.key in self.ANY_TIME
        return any_time or getattr(screen, "takes_keys", True)

    async def _hand_on(self, event: events.Key | events.Paste) -> None:
        target = self.focused or self.screen
        typed = isinstance(event, events.Key) and target.check_consume_key(event.key, event.character)
        await super().on_event(event)
        if not typed:  # A letter in a line of text moves nothing.
            self._at_work_since = time.monotonic()
            self._follow(target, ROUNDS)

    def _follow(self, target: MessagePump, rounds: int) -> None:
        if not target.post_message(self.Passed(target, rounds)):
            self._at_work_since = None

    async def on_ordered_keys_passed(self, message: Passed) -> None:
        """The key has been at work; once more for what it posted, then for a screen that it opened."""
        message.stop()
        if message.rounds > 1:
            self._follow(message.target, message.rounds - 1)
        elif message.rounds == 1 and self.screen_stack and message.target is not self.screen:
            self._follow(self.screen, 0)
        else:
            self._at_work_since = None
            await self._next()

    async def _next(self) -> None:
        """Hands on what waits, as far as it can be taken now."""
        while self._typed and self._can_take(self._typed[0]):
            await self._hand_on(self._typed.popleft())

    def _look_soon(self) -> None:
        if not self._looking:
            self._looking = True
            self.set_timer(LOOK_SECONDS, self._look)

    async def _look(self) -> None:
        """A screen may take keys now; a key that is at work for long is not waited for any more."""
        self._looking = False
        since = self._at_work_since
        if since is not None and time.monotonic() - since > PATIENCE_SECONDS:
            self._at_work_since = None
        await self._next()
        if self._typed:
            self._look_soon()
