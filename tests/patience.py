"""How long tests wait for what must come: one bound, which costs nothing where it comes."""

import asyncio
import time
from collections.abc import Callable

from textual.app import App
from textual.pilot import Pilot

PATIENCE = 60.0
"""Seconds. Ten suffice; a machine at a quarter of its speed, with others beside it, needs more."""


def shown(app: App[int]) -> str:
    """What stands on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


async def until(over: Pilot[int] | App[int], true: Callable[[], bool], wanted: str = "") -> None:
    """Lets the app work until something is so. By a pilot it is given time to draw at each look; by the app
    alone nothing is waited for, also not what is being mounted."""
    app = over.app if isinstance(over, Pilot) else over
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"waited in vain {wanted and f'for {wanted}'}:\n{shown(app)}"
        await (over.pause(0.02) if isinstance(over, Pilot) else asyncio.sleep(0.02))
