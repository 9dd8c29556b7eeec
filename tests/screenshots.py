"""Pictures of the workbench for README, made by the program itself.

`python tests/screenshots.py RUNS [DATA]`: RUNS is a runs folder in which `kshot compare sine-10shot maml
pretrain` and an image comparison have finished.
"""

import asyncio
import sys
from pathlib import Path

from textual.pilot import Pilot

from tui.app import Workbench

SIZE = (120, 36)
FOLDER = Path(__file__).with_name("screenshots")
PLACES = (("1", "bench"), ("3", "compare"), ("4", "episode"))


async def _take(runs_dir: Path, data_dir: Path) -> None:
    app = Workbench(runs_dir, data_dir)
    async with app.run_test(size=SIZE) as pilot:
        await _settled(pilot)
        await pilot.press("escape")
        for key, name in PLACES:
            await pilot.press(key)
            await _settled(pilot, 12.0 if name == "episode" else 3.0)
            (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title=f"kshot: {name}"))


async def _settled(pilot: Pilot[int], seconds: float = 3.0) -> None:
    """What is read off the loop arrives a moment later."""
    await pilot.pause(seconds)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    runs, data = Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else ".")
    asyncio.run(_take(runs.absolute(), data.absolute()))
