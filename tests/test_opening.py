"""Opening and leaving the workbench: what the first frame waits for, keys typed before it, busy threads."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from patience import PATIENCE, shown, until
from textual import events
from textual.widgets import Input
from textual.worker import Worker

from tui import app as app_module
from tui.app import Workbench
from tui.bench.choosing import GroupedList, TaskList
from tui.bench.live import Inner
from tui.screens.bench import BenchScreen
from tui.screens.runs import RunsScreen
from tui.screens.settings import SettingsScreen
from tui.screens.welcome import Welcome
from tui.widgets.key_line import KeyLine

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "numpy", "pydantic", "yaml", "PIL", "typer"}
AT_FIRST_FRAME = """
import asyncio, sys
from pathlib import Path
from tui.app import Workbench
from tui.screens.bench import BenchScreen
BenchScreen._read_on = lambda self: None
class Opening(Workbench):
    CSS_PATH = Workbench.CSS_PATH
    def _begin_looking(self):
        print(*sys.modules, file=sys.__stdout__)
        self.exit(0)
async def main():
    app = Opening(Path(sys.argv[1]), Path(sys.argv[1]))
    await app.run_async(headless=True, size=(120, 36))
asyncio.run(main())
"""


class Opened(Workbench):
    """The workbench with these keys typed before anything is mounted."""

    CSS_PATH = str(Path(app_module.__file__).with_name("theme.tcss"))

    def __init__(self, folder: Path, *early: str) -> None:
        super().__init__(folder / "runs", folder / "data")
        self._early = early

    def on_load(self) -> None:
        super().on_load()
        for key in self._early:
            self.post_message(events.Key(key, key if len(key) == 1 else None))


class Begun(Opened):
    """Only notes what it was asked to start."""

    CSS_PATH = Opened.CSS_PATH
    begun: tuple[str, ...] = ()

    def begin(self, what, options):  # type: ignore[no-untyped-def]
        self.begun = tuple(what)


@pytest.fixture(autouse=True)
def unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, folders answer before the first frame and keys wait for one another."""
    if "never_answer" not in request.node.name:
        monkeypatch.setattr("tui.bench.opening.PATIENCE", PATIENCE)
    monkeypatch.setattr("tui.typed_ahead.PATIENCE_SECONDS", PATIENCE)
    monkeypatch.setattr("tui.screens.bench.KEYS_WAIT", PATIENCE)


def opened(app: Opened, act, size: tuple[int, int] = (120, 36)) -> None:
    async def main() -> None:
        async with app.run_test(size=size) as pilot:
            await act(pilot)

    asyncio.run(main())


@pytest.mark.parametrize("runs", [(), ("1121-maml-7f3a",)], ids=["none", "some"])
def test_the_first_frame_waits_for_nothing_heavy(tmp_path: Path, runs: tuple[str, ...]) -> None:
    for run in runs:
        (tmp_path / run).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", AT_FIRST_FRAME, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    imported = set(done.stdout.split())
    assert done.returncode == 0 and "tui.bench.choose" in imported, done.stderr
    assert not imported & {*HEAVY, "engine.runs", "engine.presets", "engine.data"}


def test_a_bare_kshot_builds_no_command_tree(tmp_path: Path) -> None:
    script = (
        "import sys, tui.app, tui.cli; tui.cli.can_show = lambda: True; "
        "tui.app.run_workbench = lambda runs, data: 7; code = tui.cli.run([]); "
        "print(*sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    assert not set(done.stdout.split()) & HEAVY


def test_the_first_frame_has_the_names_the_welcome_and_the_keys(tmp_path: Path) -> None:
    app = Opened(tmp_path)
    frames: list[str] = []
    app._begin_looking = lambda: frames.append(shown(app))  # type: ignore[method-assign]

    async def act(pilot) -> None:
        await until(app, lambda: bool(frames))
        for words in ("1 Bench", "◆ maml", "✔ sine-10shot", "? Help"):
            assert words in frames[0]
        # The start line is drawn once the choices are settled: with the first frame or the next.
        await until(app, lambda: "g starts maml, pretrain" in shown(app))
        await until(app, lambda: "starts sine waves" in " ".join(shown(app).replace("│", " ").split()))

    opened(app, act)


def test_folders_that_never_answer_hold_up_no_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    monkeypatch.setattr("tui.screens.bench.holds_runs", lambda folder: let_go.wait(PATIENCE))
    monkeypatch.setattr("tui.bench.choose.names_alone", lambda: let_go.wait(PATIENCE))
    app = Opened(tmp_path)
    frames: list[str] = []
    app._begin_looking = lambda: frames.append(shown(app))  # type: ignore[method-assign]

    async def act(pilot) -> None:
        await until(app, lambda: bool(frames))
        assert not let_go.is_set() and "1 Bench" in frames[0] and "? Help" in frames[0]
        tasks = app.screen.query_one(TaskList)
        await until(app, lambda: bool(tasks.option_count))
        assert tasks.name_in_focus == app.screen.selection.task == "sine-10shot"

    opened(app, act)
    let_go.set()


def test_keys_typed_before_the_first_frame_arrive_in_order(tmp_path: Path) -> None:
    (tmp_path / "runs" / "1121-maml-7f3a").mkdir(parents=True)
    app = Opened(tmp_path, "tab", "down", "s")

    async def act(pilot) -> None:
        await until(app, lambda: isinstance(app.screen, SettingsScreen) and bool(app.screen.fields))
        bench = app.screen_stack[0]
        tasks = bench.query_one(TaskList)
        assert bench.focused is tasks and isinstance(bench, BenchScreen)
        await until(app, lambda: bench.is_whole and bool(bench.choose.catalog.tasks[0].summary))
        # The list is in another order by now; the row that was gone to is not.
        assert tasks.name_in_focus == "sine-20shot"

    opened(app, act)


def test_enter_typed_ahead_as_a_line_end_starts_the_first_comparison(tmp_path: Path) -> None:
    app = Begun(tmp_path, "ctrl+j")

    async def act(pilot) -> None:
        await until(app, lambda: bool(app.begun))
        assert app.begun == ("sine-10shot", "maml", "pretrain")

    opened(app, act)


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
def test_enter_typed_ahead_waits_for_a_folder_that_answers_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Whether there are runs decides what has the focus; until that is known the key stays."""
    let_go = threading.Event()
    monkeypatch.setattr("tui.bench.opening.PATIENCE", 0.05)
    monkeypatch.setattr("tui.screens.bench.holds_runs", lambda folder: not let_go.wait(PATIENCE))
    # Nothing else says it either.
    monkeypatch.setattr(Opened, "_begin_looking", lambda self: None)
    app = Begun(tmp_path, "enter")

    async def act(pilot) -> None:
        await until(app, lambda: app.screen.is_whole and app.screen.selection.complete)
        chosen = app.screen.selection.algorithms
        assert not app.begun
        let_go.set()
        await until(app, lambda: bool(app.begun))
        assert app.begun == ("sine-10shot", "maml", "pretrain") and app.screen.selection.algorithms == chosen

    opened(app, act, size)


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
def test_enter_while_the_curves_come_starts_the_first_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """What has the focus keeps it while columns are put beside it: else the key would go to a list."""
    app, had_focus = Begun(tmp_path), []

    async def press(self: Inner) -> None:
        had_focus.append(type(app.focused))
        app.post_message(events.Key("enter", "\r"))
        await asyncio.sleep(0.1)

    monkeypatch.setattr(Inner, "on_mount", press, raising=False)

    async def act(pilot) -> None:
        await until(app, lambda: bool(had_focus))
        assert had_focus == [Welcome]
        await until(app, lambda: bool(app.begun))
        assert app.begun == ("sine-10shot", "maml", "pretrain")

    opened(app, act, size)


def test_another_screen_is_gone_to_before_the_bench_is_whole(tmp_path: Path) -> None:
    app = Opened(tmp_path, "2", "slash", "x", "2")

    async def act(pilot) -> None:
        await until(app, lambda: isinstance(app.screen, RunsScreen) and isinstance(app.focused, Input))
        line = app.focused
        assert isinstance(line, Input)
        await until(app, lambda: line.value == "x2")

    opened(app, act)


def test_leaving_does_not_wait_for_a_thread_that_is_busy(tmp_path: Path) -> None:
    let_go, ended = threading.Event(), threading.Event()

    def busy() -> None:
        let_go.wait(PATIENCE)
        ended.set()

    app = Opened(tmp_path)

    async def act(pilot) -> None:
        worker: Worker[None] = app.run_worker(busy, thread=True)
        await until(app, lambda: worker.is_running)

    opened(app, act)
    was_left = not ended.is_set()
    let_go.set()
    assert was_left and ended.wait(PATIENCE)


def test_keys_right_after_enter_wait_for_the_answer(tmp_path: Path) -> None:
    """A value is entered and the next one gone to and changed in one go."""
    app = Opened(tmp_path)

    async def act(pilot) -> None:
        app.post_message(events.Key("s", "s"))
        await until(app, lambda: isinstance(app.screen, SettingsScreen) and bool(app.screen.fields))
        screen = app.screen
        assert isinstance(screen, SettingsScreen)
        screen.query_one(GroupedList).highlight("seeds")
        for key in ("enter", "backspace", "3", "enter", "down", "enter", "backspace", "5", "enter"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(app, lambda: screen.selection.seed is not None)
        assert (screen.selection.seeds, screen.selection.seed) == (3, 5)

    opened(app, act)


def test_keys_that_do_not_fit_are_left_out_but_for_help_and_leaving(tmp_path: Path) -> None:
    app = Opened(tmp_path)

    async def act(pilot) -> None:
        await until(app, lambda: app.focused is not None)
        line = app.screen.query_one(KeyLine)
        wide = [key.label for key in line.shown]
        await pilot.resize_terminal(30, 20)
        await pilot.pause()
        few = [key.label for key in line.shown]
        assert {"Help", "Leave"} <= set(few) and len(few) < len(wide) and set(few) < set(wide)
        assert sum(key.width for key in line.shown) <= 30
        before = len("".join(f" {key.name}  {key.label}" for key in line.shown[: few.index("Help")]))
        await pilot.click(KeyLine, offset=(before + 1, 0))
        await until(app, lambda: type(app.screen).__name__ == "HelpScreen")

    opened(app, act)
