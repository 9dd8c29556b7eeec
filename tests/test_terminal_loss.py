"""What is left when the terminal, the app or the line is lost: trainings go on, nothing spins, and the next
start shows the run where it is."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_runs import kill, wait_until
from terminals import SHOW, Terminal, processes_with, pseudo_terminals

from engine.runs import list_runs, read_status
from tui.app import LOST_TERMINAL, TERMINAL_LOOK_SECONDS
from tui.runs.away import read_closed

pytestmark = pseudo_terminals

STANDIN = [sys.executable, "-P", str(Path(__file__).with_name("standin_workbench.py"))]
STEP_SECONDS = 0.05
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Trainings:
    """A runs folder whose trainings are looked at from outside."""

    def __init__(self, folder: Path) -> None:
        self.runs_dir = folder / "runs"
        (folder / "runtime").mkdir(mode=0o700)
        self.environment = {
            "KSHOT_RUNS": str(self.runs_dir),
            "XDG_RUNTIME_DIR": str(folder / "runtime"),
            "STANDIN_SECONDS": str(STEP_SECONDS),
        }

    def open(self, *command: str, hang_ups: str = "obeyed", size: tuple[int, int] = (80, 24)) -> Terminal:
        """The workbench on this folder, or that command."""
        return Terminal(command or STANDIN, environment=self.environment, hang_ups=hang_ups, size=size)

    def processes(self) -> dict[int, str]:
        """Everything that was started on this folder and lives."""
        return processes_with("KSHOT_RUNS", str(self.runs_dir))

    def workers(self) -> dict[int, str]:
        """The trainings among them."""
        return {pid: command for pid, command in self.processes().items() if " train " in command}

    def step(self) -> int:
        """The iteration that MAML is at."""
        found = [run for run in list_runs(self.runs_dir) if run.algorithm == "maml"]
        return read_status(found[0].run).step if found else 0

    def go_on(self) -> None:
        """Waits until the training has gone ten iterations further, all others but trainings having ended."""
        reached = self.step() + 10
        wait_until(lambda: self.step() > reached and self.processes() == self.workers() != {}, 20)

    def end(self) -> None:
        """Ends what was started."""
        for pid in self.processes():
            kill(pid)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    """The first comparison, begun in a workbench whose terminal was then closed."""
    begun = Trainings(tmp_path_factory.mktemp("loss"))
    try:
        with begun.open() as terminal:
            terminal.wait_for("starts sine waves")
            terminal.press("enter")
            terminal.wait_for("2 running", "iterations")
            terminal.hang_up()
            assert terminal.ended() == -signal.SIGHUP
        begun.go_on()
        yield begun
    finally:
        begun.end()


def shows_the_run(trainings: Trainings, terminal: Terminal, further: int = 5) -> None:
    """What was opened shows the run where it is, and follows it for so many iterations."""
    terminal.wait_for("2 running", "maml")
    reached = trainings.step()
    terminal.press("2", "end")
    for least in (reached, reached + further):
        terminal.wait_until(lambda least=least: _shown_step(terminal) >= least, "the run")  # type: ignore[misc]
        assert _shown_step(terminal) <= trainings.step()


def _shown_step(terminal: Terminal) -> int:
    """The iteration in `training at 1,234 of 8,000`; -1 while there is none."""
    found = re.search(r"training at ([0-9,]+) of.*trains     maml", terminal.text(), re.DOTALL)
    return int(found[1].replace(",", "")) if found else -1


BLOCKED = pytest.param("blocked", marks=pytest.mark.long)


@pytest.mark.parametrize("hang_ups", ["obeyed", "ignored", BLOCKED])
def test_a_lost_terminal_ends_the_app_and_not_the_training(trainings: Trainings, hang_ups: str) -> None:
    with trainings.open(hang_ups=hang_ups) as terminal:
        shows_the_run(trainings, terminal)
        terminal.hang_up()
        assert terminal.ended() == -signal.SIGHUP
    trainings.go_on()


def test_a_terminal_that_tells_nobody_of_its_end(trainings: Trainings) -> None:
    """The app looks for its terminal: it stays while that is there, and does not spin when it is gone."""
    with trainings.open(hang_ups="absent") as terminal:
        shows_the_run(trainings, terminal, further=int(1.5 * TERMINAL_LOOK_SECONDS / STEP_SECONDS))
        terminal.hang_up()
        # The look at the terminal finds it gone, or the reading of keys does.
        assert terminal.ended() in (LOST_TERMINAL, 1)
    trainings.go_on()


def test_a_lost_line_leaves_the_time_at_which_one_was_away(trainings: Trainings) -> None:
    opened = time.time()
    with trainings.open() as terminal:
        terminal.wait_for("2 running", "maml")
        terminal.wait_until(lambda: (read_closed(trainings.runs_dir) or 0) > opened, "the time")
        terminal.hang_up()
        assert terminal.ended() == -signal.SIGHUP
    closed = read_closed(trainings.runs_dir)
    assert closed is not None and opened < closed <= time.time()


def test_kill_9_of_the_app(trainings: Trainings) -> None:
    with trainings.open() as terminal:
        shows_the_run(trainings, terminal)
        terminal.kill()
    trainings.go_on()


def test_leaving_says_what_goes_on(trainings: Trainings) -> None:
    with trainings.open() as terminal:
        terminal.wait_for("2 running")
        terminal.press("q")
        assert terminal.ended() == 0
        terminal.wait_for("2 trainings go on")
    trainings.go_on()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_tmux_detached_attached_at_another_size_and_killed(trainings: Trainings, tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("set -g status off\nset -g default-terminal screen\n")
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", str(tmp_path / "conf")]
    with trainings.open(*tmux, "new-session", shlex.join(STANDIN)) as terminal:
        shows_the_run(trainings, terminal)
        terminal.press("ctrl+b", "d")
        assert terminal.ended() == 0
    with trainings.open(*tmux, "attach", size=(100, 30)) as terminal:
        terminal.wait_until(lambda: terminal.text().split("\n")[-1].startswith(" ⏎ Open"), "all thirty rows")
        shows_the_run(trainings, terminal)
        subprocess.run([*tmux, "kill-server"], check=True)
        terminal.ended()
    trainings.go_on()


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[list[str]]:
    """The command that reaches this machine through a server of its own on the loopback address."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("sshd or ssh is not installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "user.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
    }
    (tmp_path / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(tmp_path / "sshd_config")], stderr=log)
    options = [
        "StrictHostKeyChecking=no",
        f"UserKnownHostsFile={tmp_path / 'known'}",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "BatchMode=yes",
        "ConnectionAttempts=20",
    ]
    given = [word for option in options for word in ("-o", option)]
    command = ["ssh", "-F", "none", "-p", str(port), "-i", str(tmp_path / "user"), *given, "127.0.0.1"]
    try:
        reached = subprocess.run([*command, "true"], capture_output=True, timeout=30)
        if reached.returncode:
            pytest.skip(f"this account cannot be reached over ssh: {(tmp_path / 'log').read_text()[-400:]}")
        yield command
    finally:
        server.terminate()
        server.wait(10)


def test_a_cut_ssh_line(trainings: Trainings, remote: list[str]) -> None:
    words = [f"{name}={value}" for name, value in trainings.environment.items()]
    start = shlex.join(["env", *words, *STANDIN])
    with trainings.open(remote[0], "-tt", *remote[1:], f"exec {start}") as terminal:
        shows_the_run(trainings, terminal)
        terminal.kill()
    trainings.go_on()


def test_a_real_training_streams_while_the_size_changes(tmp_path: Path) -> None:
    """The first key of a first start, with nothing stood in for."""
    begun = Trainings(tmp_path)
    try:
        with begun.open(*SHOW) as terminal:
            terminal.wait_for("starts sine waves")
            terminal.press("enter")
            terminal.wait_for("1 running, 1 queued", "Validation error", "iterations", seconds=60)
            for size in ((120, 36), (60, 20), (200, 60), (80, 24)):
                reached = begun.step()
                terminal.resize(*size)
                last = f" {size[0]}×{size[1]}"
                terminal.wait_until(lambda size=size: _is_filled(terminal, size[1]), last)  # type: ignore[misc]
                wait_until(lambda reached=reached: begun.step() > reached, 20)  # type: ignore[misc]
            terminal.wait_for("Validation error", "Waves")
        wait_until(lambda: begun.processes() == begun.workers() != {}, 10)
    finally:
        begun.end()


def _is_filled(terminal: Terminal, rows: int) -> bool:
    """The first line names the program, the last one shows keys."""
    lines = terminal.text().split("\n")
    return len(lines) == rows and lines[0].startswith(" kshot") and "Help" in lines[-1]
