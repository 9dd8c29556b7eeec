"""An app on a folder that hangs waits for it once, however often it would note that it is open."""

import asyncio
import threading
from pathlib import Path

from tui.presence import Presence


class Hanging(Presence[None]):
    def __init__(self) -> None:
        super().__init__()
        self.runs_dir = Path()
        self.noting, self.free = 0, threading.Event()

    def note_presence(self) -> None:
        self.noting += 1
        self.free.wait(10)


def test_one_thread_waits_for_a_folder_that_hangs() -> None:
    async def go() -> None:
        app = Hanging()
        async with app.run_test() as pilot:
            for _ in range(5):
                app._be_present()
                await pilot.pause()
            assert app.noting == 1
            app.free.set()
            while app._is_noting:
                await pilot.pause(0.01)
            app._be_present()
            while app._is_noting:
                await pilot.pause(0.01)
            assert app.noting == 2

    asyncio.run(go())
