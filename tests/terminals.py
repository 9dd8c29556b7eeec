"""The program in a pseudo-terminal behind a terminal emulator: bytes go in, a screen of cells comes out.

What stands on the emulator's screen is what a person would see; what was sent for it is kept as it came.
"""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte
import pytest
from patience import PATIENCE

pseudo_terminals = pytest.mark.skipif(
    not (Path("/dev/ptmx").exists() and Path("/proc/self/environ").exists()),
    reason="needs pseudo-terminals and /proc",
)
"""Marks what cannot be tested here otherwise."""
SHOW = [sys.executable, "-P", "-m", "tui.cli"]
"""The command that opens the workbench."""
KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "space": " ",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pagedown": "\x1b[6~",
    "pageup": "\x1b[5~",
    "ctrl+b": "\x02",
    "ctrl+q": "\x11",
}
"""What a terminal sends for keys that are no character."""
PASTE_BEGINS, PASTE_ENDS = "\x1b[200~", "\x1b[201~"
SENT_AT_ONCE = 1024
"""A terminal's line takes no more than a page; what does not fit blocks until the program has read."""
# Asked for by the program, unknown to the emulator, which would show a part of them as text.
UNKNOWN = re.compile(rb"\x1b\[[<>=][0-9;]*[A-Za-z]")


class Terminal:
    """One program on one pseudo-terminal of `size` (columns, rows), as TERM `term`.

    `colour` is COLORTERM, which is absent where it is None; `environment` is laid over the test's own.
    `hang_ups`: the program starts with them `obeyed`, `ignored` as by `nohup`, `blocked`, or `absent`: on a
    terminal that is not its session's own, as by `su -c`, so that none comes.
    """

    def __init__(
        self,
        command: Sequence[str] = (),
        *,
        size: tuple[int, int] = (80, 24),
        term: str = "xterm-256color",
        colour: str | None = None,
        environment: Mapping[str, str] | None = None,
        hang_ups: str = "obeyed",
        folder: Path | None = None,
    ) -> None:
        columns, rows = size
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = os.openpty()
        self._set_size(columns, rows)
        self._changed = threading.Condition()
        self.sent = bytearray()
        """Everything that the program has sent."""
        self._unfed = b""
        self.process = subprocess.Popen(
            list(command) or SHOW,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=_environment(term, colour, environment or {}),
            cwd=folder or Path(__file__).parent.parent,
            start_new_session=True,
            preexec_fn=lambda: _take_terminal(hang_ups),
        )
        os.close(slave)
        self._wake, self._waker = os.pipe()
        self._open = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    # What it shows

    def text(self) -> str:
        """The screen's lines, without what is blank at their ends."""
        with self._changed:
            return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, *texts: str, seconds: float = PATIENCE) -> str:
        """Waits until all texts stand on the screen; returns the screen. Fails after `seconds`."""
        said = " and ".join(texts)
        return self.wait_until(lambda: all(text in self.text() for text in texts), said, seconds)

    def wait_until(self, true: Callable[[], bool], what: str = "", seconds: float = PATIENCE) -> str:
        """Waits until something is so, looking whenever the program has sent something and every 0.1 s."""
        end = time.monotonic() + seconds
        while not true():
            left = end - time.monotonic()
            assert left > 0, f"waited in vain for {what}:\n{self.text()}"
            with self._changed:
                self._changed.wait(min(left, 0.1))
        return self.text()

    def settled(self, quiet: float = 0.4, seconds: float = 10.0) -> str:
        """The screen, once nothing was sent for `quiet` seconds."""
        end = time.monotonic() + seconds
        with self._changed:
            while time.monotonic() < end:
                before = len(self.sent)
                self._changed.wait_for(lambda before=before: len(self.sent) != before, quiet)  # type: ignore[misc]
                if len(self.sent) == before:
                    break
        return self.text()

    # What a person does

    def write(self, data: str | bytes) -> None:
        """Sends these bytes as they are, all of them at once as far as the line takes them."""
        left = data.encode() if isinstance(data, str) else data
        while left:
            left = left[os.write(self._master, left[:SENT_AT_ONCE]) :]

    def press(self, *keys: str) -> None:
        """Presses keys by name (`enter`, `up`) or by their character, without waiting in between."""
        self.write("".join(key if len(key) == 1 else KEYS[key] for key in keys))

    def paste(self, text: str) -> None:
        """Pastes as terminals do that mark what is pasted."""
        self.write(PASTE_BEGINS + text + PASTE_ENDS)

    def resize(self, columns: int, rows: int) -> None:
        """Another size; the kernel signals it to the program."""
        with self._changed:
            self.screen.resize(rows, columns)
            self._set_size(columns, rows)

    def hang_up(self) -> None:
        """The terminal is lost: its window closed, its line cut."""
        if self._open:
            self._open = False
            # Reading would keep the line open: it ends first.
            os.write(self._waker, b".")
            self._reader.join()
            for descriptor in (self._master, self._wake, self._waker):
                os.close(descriptor)

    def kill(self) -> None:
        """kill -9 of the program."""
        self.process.kill()
        self.process.wait()

    def ended(self, seconds: float = PATIENCE) -> int:
        """Waits for the program to end; its exit code, negative for a signal."""
        return self.process.wait(seconds)

    def close(self) -> None:
        """Ends everything."""
        if self.process.poll() is None:
            self.kill()
        self.hang_up()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # How it is done

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        """Feeds the emulator with what comes, until the line is closed on either side."""
        while True:
            ready, _, _ = select.select([self._master, self._wake], [], [])
            if self._wake in ready:
                return
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            with self._changed:
                self.sent += data
                self._feed(data)
                self._changed.notify_all()

    def _feed(self, data: bytes) -> None:
        """A sequence that is cut at the end of what came is fed with what comes next."""
        whole = self._unfed + data
        cut = whole.rfind(b"\x1b")
        self._unfed = b""
        if cut >= 0 and re.fullmatch(rb"\x1b(\[[?<>=]?[0-9;]*)?", whole[cut:]):
            whole, self._unfed = whole[:cut], whole[cut:]
        self._stream.feed(UNKNOWN.sub(b"", whole))


def _environment(term: str, colour: str | None, more: Mapping[str, str]) -> dict[str, str]:
    """The test's environment on that terminal, with no word of the one that the test runs in."""
    ours = ("COLORTERM", "NO_COLOR", "TERM_PROGRAM", "COLUMNS", "LINES", "TMUX", "FORCE_COLOR")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {"TERM": term, **({"COLORTERM": colour} if colour else {})}
    return environment | more


def _take_terminal(hang_ups: str) -> None:
    """In the child: the terminal is its own, and signals are as a shell hands them on."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if hang_ups == "ignored":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGHUP] if hang_ups == "blocked" else [])
    if hang_ups != "absent":
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def processes_with(name: str, value: str) -> dict[int, str]:
    """Command lines by pid of this user's processes that were started with that environment variable."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{name}={value}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if command and state != "Z":
                    found[int(folder.name)] = command.strip()
    return found
