"""What watching costs: python tests/watching.py [--seconds S] [--only line,four,long,keys].

The real program on a pseudo-terminal of 120 by 36 cells, runs written on beside it as the engine writes them.
Printed: bytes over the line a frame and share of a core while one run and four are watched, seconds until a
run of a million events is shown, milliseconds from key to changed screen; with the machine's load.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
from watched_runs import long_run

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, LINES = 120, 36
FRAME_GAP = 0.06
"""Bytes that come closer together than this belong to one frame."""
RATE = 25.0
Place = tuple[slice, slice]
"""Rows and columns of the screen."""


class Terminal:
    """The program on a pseudo-terminal, with what stands on its screen."""

    def __init__(self, runs_dir: Path, own: Path) -> None:
        above, below = pty.openpty()
        fcntl.ioctl(below, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        runtime = own / "runtime"
        runtime.mkdir(mode=0o700, exist_ok=True)
        self.child = subprocess.Popen(
            [sys.executable, "-c", "from tui.cli import main; main()"],
            stdin=below,
            stdout=below,
            stderr=below,
            cwd=ROOT,
            env={
                **os.environ,
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "KSHOT_RUNS": str(runs_dir),
                "KSHOT_CACHE": str(own / "cache"),
                "XDG_RUNTIME_DIR": str(runtime),
            },
            start_new_session=True,
            # A program without a controlling terminal takes it to be gone.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(below)
        self.above = above
        self.begun = time.monotonic()
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self.written = 0
        self.frames = 0
        self.frame_bytes: list[int] = []
        self._last = 0.0

    def read(self, seconds: float) -> bool:
        """Takes what comes within that time, once; False for nothing."""
        if not select.select([self.above], [], [], max(0.0, seconds))[0]:
            return False
        try:
            data = os.read(self.above, 1 << 16)
        except OSError:
            raise RuntimeError(f"the program ended:\n{self.text()}") from None
        now = time.monotonic()
        if now - self._last > FRAME_GAP:
            self.frame_bytes.append(0)
        self._last = now
        self.frame_bytes[-1] += len(data)
        self.written += len(data)
        if b"\x1b[?2026$p" in data:
            # As a terminal answers that can show a frame at once.
            os.write(self.above, b"\x1b[?2026;2$y")
        self._stream.feed(data)
        return True

    def run_for(self, seconds: float) -> None:
        """Takes whatever comes for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.read(left)

    def until(self, true: Callable[[str], bool], patience: float) -> float:
        """Seconds until something is so of the screen's text; ends the program's run with an error."""
        begun = time.monotonic()
        while not true(self.text()):
            if time.monotonic() - begun > patience:
                raise TimeoutError(f"not within {patience} s:\n{self.text()}")
            self.read(0.5)
        return self._last - begun if self._last > begun else 0.0

    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(self.screen.display)

    def cells(self, place: Place) -> list[object]:
        """Characters and colours there."""
        rows, columns = place
        return [
            tuple(self.screen.buffer[row][column])
            for row in range(*rows.indices(LINES))
            for column in range(*columns.indices(COLUMNS))
        ]

    def press(self, key: bytes, place: Place, patience: float = 3.0) -> float:
        """Seconds from a key to bytes that change that part of the screen; NaN where none came."""
        before = self.cells(place)
        begun = time.monotonic()
        os.write(self.above, key)
        while (left := begun + patience - time.monotonic()) > 0:
            if self.read(left) and self.cells(place) != before:
                return self._last - begun
        return float("nan")

    def cpu(self) -> float:
        """Seconds of processor time so far, children included."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Kills the program."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        os.close(self.above)


@contextmanager
def writing(runs_dir: Path, count: int) -> Iterator[None]:
    """Runs that are written on by a process of their own."""
    runs_dir.mkdir(parents=True)
    script = Path(__file__).with_name("watched_runs.py")
    writer = subprocess.Popen(
        [sys.executable, str(script), str(runs_dir), str(count), str(RATE)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    try:
        yield
    finally:
        writer.kill()
        writer.wait()


@contextmanager
def program(runs_dir: Path, own: Path) -> Iterator[Terminal]:
    """The program on those runs, ended at last."""
    terminal = Terminal(runs_dir, own)
    try:
        yield terminal
    finally:
        terminal.end()


def tell(what: str, value: str, wanted: str) -> None:
    """One line of the table."""
    print(f"{what:<58} {value:>24}   {wanted:<12} load {os.getloadavg()[0]:.1f}", flush=True)


def watched(terminal: Terminal, seconds: float, what: str) -> None:
    """Bytes a frame and share of a core over so long."""
    terminal.run_for(1.0)
    bytes_before, frames_before, cpu_before = terminal.written, len(terminal.frame_bytes), terminal.cpu()
    begun = time.monotonic()
    terminal.run_for(seconds)
    took = time.monotonic() - begun
    sizes = terminal.frame_bytes[frames_before:]
    frames, sent = len(sizes), terminal.written - bytes_before
    core = 100 * (terminal.cpu() - cpu_before) / took
    largest = max(sizes, default=0)
    tell(f"{what}: bytes a frame", f"{sent / max(frames, 1):,.0f} (largest {largest:,})", "<= 1,024")
    tell(f"{what}: frames a second; share of a core", f"{frames / took:.1f}; {core:.1f} %", "<= 5 %")


def watch(own: Path, count: int, seconds: float) -> None:
    """A line while so many runs go on; then with the lower chart zoomed and following."""
    runs_dir = own / f"watching-{count}"
    with writing(runs_dir, count), program(runs_dir, own) as terminal:
        terminal.until(lambda text: "Meta-gain" in text, 30)
        terminal.run_for(5.0)
        runs = f"{count} run{'s' if count > 1 else ''}"
        watched(terminal, seconds, runs)
        if count == 1:
            focus_loss(terminal)
            os.write(terminal.above, b"z")
            terminal.run_for(2.0)
            watched(terminal, seconds / 2, f"{runs}, zoomed and following")


def focus_loss(terminal: Terminal) -> None:
    """Goes to the chart of the outer loss from the right: the lists on the left would show a preview in its
    place once nothing trains."""
    for _ in range(8):
        os.write(terminal.above, b"\x1b[Z")
        terminal.run_for(1.0)
        if "Outer loss" in terminal.text() and is_focused(terminal, "Outer loss"):
            return
    raise RuntimeError(f"no outer loss:\n{terminal.text()}")


def heading_of(terminal: Terminal, title: str) -> tuple[int, int]:
    """Row and column where a chart's heading begins."""
    for row, line in enumerate(terminal.screen.display):
        if (column := line.find(title)) >= 0:
            return row, column
    raise RuntimeError(f"no {title}:\n{terminal.text()}")


def is_focused(terminal: Terminal, title: str) -> bool:
    """Whether that chart has the focus: its title is reversed."""
    row, column = heading_of(terminal, title)
    return bool(terminal.screen.buffer[row][column].reverse)


def long_opening(own: Path, events: int) -> None:
    """A long run first read, then opened from its columns, then zoomed into."""
    runs_dir = own / "long"
    runs_dir.mkdir()
    run = long_run(runs_dir, events)
    for what, limit in (("first time", "<= 8 s"), ("from its columns", "<= 1 s")):
        with program(runs_dir, own) as terminal:
            terminal.until(lambda text: "1 Bench" in text, 30)
            shown = terminal.begun
            from_frame = time.monotonic()
            terminal.until(is_read, 120)
            at = terminal._last
            cpu = terminal.cpu()
            value = f"{at - from_frame:.1f} s ({at - shown:.1f} from exec)"
            tell(f"{events:,} events, {what} (CPU {cpu:.1f} s)", value, limit)
            if what != "first time":
                terminal.run_for(2.0)
                focus_loss(terminal)
                keys(terminal, "scrolling and zooming it", chart_keys(terminal, 20))
        if what == "first time":
            assert (run.path / "cache" / "columns").exists()


def is_read(text: str) -> bool:
    """Whether a finished run's history is there, and whole."""
    return "trained for" in text and "reading its events" not in text


def chart_keys(terminal: Terminal, times: int) -> list[tuple[str, bytes, Place]]:
    """Zooming and panning the focused chart of the outer loss, with the part of the screen each must change:
    the heading tells the zoom, the x axis where one is."""
    row, column = heading_of(terminal, "Outer loss")
    width = slice(column, column + 40)
    heading = (slice(row, row + 1), slice(column, COLUMNS))
    foot = axis_row(terminal, row)
    axis = (slice(foot, foot + 1), width)
    once = [
        ("zoom", b"z", heading),
        ("closer", b"+", heading),
        ("earlier", b"\x1b[D", axis),
        ("earlier", b"\x1b[D", axis),
        ("later", b"\x1b[C", axis),
        ("farther", b"-", heading),
        ("everything", b"0", heading),
        ("log", b"l", heading),
        ("linear", b"l", heading),
    ]
    return once * (-(-times // len(once)))


def axis_row(terminal: Terminal, heading: int) -> int:
    """The row of the x axis of the chart whose heading stands there."""
    for row in range(heading + 1, LINES):
        if "└" in terminal.screen.display[row]:
            return row
    raise RuntimeError(f"no axis:\n{terminal.text()}")


def keys(terminal: Terminal, what: str, presses: list[tuple[str, bytes, Place]]) -> None:
    """The time from key to changed screen, 95th percentile; keys come at odd moments."""
    took: list[tuple[float, str]] = []
    for number, (name, key, place) in enumerate(presses):
        terminal.run_for(0.15 + 0.037 * (number % 7))
        took.append((1000 * terminal.press(key, place), name))
    values = sorted(ms for ms, _ in took if ms == ms)
    missing = len(took) - len(values)
    at_95 = values[min(len(values) - 1, round(0.95 * len(values)))]
    worst = ", ".join(f"{name} {ms:.0f}" for ms, name in sorted(took, reverse=True)[:4])
    value = f"{at_95:.0f} ms (half {statistics.median(values):.0f})"
    tell(f"{what}: {len(values)} keys, 95 in 100 within", value, "<= 50 ms")
    print(f"    slowest: {worst}{f'; {missing} changed nothing' if missing else ''}", flush=True)


def key_times(own: Path) -> None:
    """Keys of many kinds while four runs go on."""
    runs_dir = own / "keys"
    left: Place = (slice(1, LINES - 1), slice(0, 30))
    top: Place = (slice(0, 1), slice(0, 60))
    with writing(runs_dir, 4), program(runs_dir, own) as terminal:
        terminal.until(lambda text: "Meta-gain" in text, 30)
        terminal.run_for(3.0)
        moves = [("down", b"\x1b[B", left)] * 10 + [("up", b"\x1b[A", left)] * 9
        keys(terminal, "four runs, moving in the list", moves)
        everywhere: Place = (slice(0, LINES), slice(0, COLUMNS))
        tabs = [("tab", b"\t", everywhere), ("shift+tab", b"\x1b[Z", everywhere)] * 10
        keys(terminal, "four runs, tab", tabs)
        focus_loss(terminal)
        keys(terminal, "four runs, zoom, pan, log", chart_keys(terminal, 60))
        screens = [(str(place), b"%d" % place, top) for place in (2, 3, 4, 1)]
        keys(terminal, "four runs, a screen never shown before", screens[:3])
        keys(terminal, "four runs, another screen", screens[3:] + screens * 10)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="What watching costs.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--only", default="line,four,long,keys")
    given = parser.parse_args()
    wanted = given.only.split(",")
    with tempfile.TemporaryDirectory() as name:
        own = Path(name)
        if "line" in wanted:
            watch(own, 1, given.seconds)
        if "four" in wanted:
            watch(own, 4, given.seconds)
        if "keys" in wanted:
            key_times(own)
        if "long" in wanted:
            long_opening(own, given.events)


if __name__ == "__main__":
    main()
