"""Measures how soon `kshot` shows something: python tests/first_paint.py [--times N] [--runs-dir DIR].

The program is started on a pseudo-terminal of 120 by 36 cells; what it writes is read as a terminal reads it.
Printed are seconds from `exec`, minimum and median: until Textual's `App.run()` is entered, until the first
whole frame of the bench, from the one to the other, and until its lists say what the presets' files say: with
no runs (the welcome), with some, and with the smallest Textual app. Bytecode is cached, as it is from the
second start on, unless `--no-bytecode` is given.
"""

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, LINES = 120, 36
LONGEST, QUIET = 20.0, 2.5
# The moment at which the app starts to run, told by the child: the clock is the machine's.
MARKED = """
import asyncio, os, time
begin = asyncio.run
def run(*given, **named):
    os.write({pipe}, str(time.monotonic()).encode())
    return begin(*given, **named)
asyncio.run = run
"""
KSHOT = "from tui.cli import main; main()"
SMALLEST = """
from textual.app import App
from textual.widgets import Static
class Smallest(App):
    def compose(self):
        yield Static("1 Bench" + 35 * "\\n" + "Help Gradient-based")
Smallest().run()
"""
Chunks = list[tuple[float, bytes]]
Lines = list[str]


def started(code: str, environment: dict[str, str]) -> tuple[float, Chunks]:
    """Runs the code on a terminal until it is quiet; returns the seconds from `exec` to `App.run()`, and what
    it wrote with seconds from `exec`."""
    above, below = pty.openpty()
    fcntl.ioctl(below, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    reading, writing = os.pipe()
    begun = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-c", MARKED.format(pipe=writing) + code],
        stdin=below,
        stdout=below,
        stderr=below,
        pass_fds=[writing],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )
    os.close(below)
    os.close(writing)
    chunks: Chunks = []
    try:
        while time.monotonic() - begun < LONGEST and (
            select.select([above], [], [], QUIET)[0] or not chunks
        ):
            chunks.append((time.monotonic() - begun, os.read(above, 65536)))
    except OSError:
        pass  # it has ended
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        os.close(above)
    marked = os.read(reading, 64)
    os.close(reading)
    return float(marked or "nan") - begun, chunks


def moments(chunks: Chunks, *shown: Callable[[Lines], bool]) -> list[float]:
    """When each of these was first true of the screen."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    found: dict[int, float] = {}
    for at, chunk in chunks:
        stream.feed(chunk)
        for number, true in enumerate(shown):
            if number not in found and true(screen.display):
                found[number] = at
    if len(found) < len(shown):
        sys.exit("\n".join([*screen.display, "this is no bench"]))
    return [found[number] for number in range(len(shown))]


def whole_frame(lines: Lines) -> bool:
    """The places at the top, the keys at the bottom."""
    return "1 Bench" in lines[0] and "Help" in lines[-1]


def full_lists(lines: Lines) -> bool:
    """The families stand in the presets' files."""
    return any("Gradient-based" in line for line in lines)


def measure(title: str, code: str, environment: dict[str, str], times: int) -> None:
    """Prints one line of minimum and median."""
    started(code, environment)
    rows = []
    for _ in range(times):
        run, chunks = started(code, environment)
        frame, lists = moments(chunks, whole_frame, full_lists)
        rows.append((run, frame, frame - run, lists))
    words = ("App.run()", "first frame", "between them", "lists filled")
    parts = [
        f"{word} {min(column):.2f}/{statistics.median(column):.2f}"
        for word, column in zip(words, zip(*rows, strict=True), strict=True)
    ]
    print(f"{title}: {', '.join(parts)}", flush=True)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Seconds from exec to the workbench's first frame.")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--runs-dir", type=Path, help="the runs folder of the last line, else three runs")
    parser.add_argument("--no-bytecode", action="store_true", help="compile every module at each start")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "runtime").mkdir(mode=0o700)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "KSHOT"))},
            "TERM": "xterm-256color",
            "XDG_RUNTIME_DIR": str(folder / "runtime"),
            "KSHOT_CACHE": str(folder / "cache"),
            "KSHOT_RUNS": str(folder / "none"),
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            **({"PYTHONDONTWRITEBYTECODE": "1"} if given.no_bytecode else {}),
        }
        print(f"seconds from exec, minimum/median of {given.times}")
        measure("smallest Textual app", SMALLEST, environment, given.times)
        measure("kshot, no runs", KSHOT, environment, given.times)
        runs = given.runs_dir or some_runs(folder / "runs")
        measure("kshot, some runs", KSHOT, {**environment, "KSHOT_RUNS": str(runs)}, given.times)


def some_runs(runs_dir: Path) -> Path:
    """A folder with three runs that have ended."""
    from fake_runs import make_run

    runs_dir.mkdir()
    for seed in range(3):
        make_run(runs_dir, seed=seed, state="finished", steps=40, step=40)
    return runs_dir


if __name__ == "__main__":
    main()
