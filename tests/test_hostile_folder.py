"""The workbench over runs folders that were spoilt: every screen opens, nothing is taken for markup."""

import asyncio
import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fake_runs import make_run
from hostile_runs import MARKUP, spoil, spoil_in_known_ways
from patience import PATIENCE, shown, until
from sound_folder import make_sound
from textual.screen import Screen

from engine.runs import list_runs, processes
from tui import app as app_module
from tui.app import Workbench
from tui.compare.result_table import ResultTable
from tui.episode import asking
from tui.runs import panel
from tui.screens.bench import BenchScreen
from tui.screens.compare import CompareScreen
from tui.screens.episode import EpisodeScreen
from tui.screens.log import LogScreen
from tui.screens.runs import RunsScreen

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

USUAL, ALL, EACH = 10, 800, 5
"""Seeds of the usual run, of the long one, and of one folder."""
PYTHON = re.compile(r"[A-Z]\w*(Error|Exception|Exit|Interrupt)\b")
"""How a fault begins that nobody put into words."""
LONG = [pytest.param(first, marks=pytest.mark.long) for first in range(USUAL, ALL, EACH)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of which one failed with words that look like markup."""
    return make_sound(tmp_path_factory.mktemp("sound") / "runs", error=f"the loss {MARKUP} is not finite")


class StrictWorkbench(Workbench):
    """Collects what is told as a fault that nobody foresaw, which people would only be shown."""

    CSS_PATH = str(Path(app_module.__file__).with_name("theme.tcss"))

    def __init__(self, runs: Path) -> None:
        super().__init__(runs, runs.parent / "data")
        self.unforeseen: list[str] = []

    def complain(self, text: str) -> None:
        self.unforeseen += [text] if PYTHON.match(text) else []


async def settle(app: StrictWorkbench, true: Callable[[], bool], wanted: str) -> None:
    """Waits until something is so and no thread of the app works any more."""
    end = time.monotonic() + PATIENCE
    while not (true() and all(worker.is_finished for worker in app.workers)):
        working = [worker.group for worker in app.workers if not worker.is_finished]
        assert time.monotonic() < end, f"{wanted}; still working: {working}\n{shown(app)}"
        await asyncio.sleep(0.005)


async def visit(app: StrictWorkbench, place: type[Screen[None]], *keys: str) -> None:
    """Presses the keys and waits for the screen."""
    for key in keys:
        app.simulate_key(key)
    await settle(app, lambda: isinstance(app.screen, place) and bool(shown(app).strip()), place.__name__)


async def rows_of_runs(app: StrictWorkbench) -> None:
    """Every row of Runs, with what its panel says."""
    assert isinstance(app.screen, RunsScreen)
    table, about = app.screen.table, app.screen.panel
    for index in range(len(table.rows)):
        table.go_to(index)
        run = table.rows[index].id
        await settle(app, lambda run=run: run in about._filed, f"the panel of {run}")


async def tables_of_compare(app: StrictWorkbench) -> None:
    """Every table of Compare, every row of it, on all axes and baselines."""
    screen = app.screen
    assert isinstance(screen, CompareScreen)
    for number in range(screen.view.of if screen.view else 0):
        await settle(app, lambda at=number: screen.view.number == at, f"table {number}")
        table = screen.query_one(ResultTable)
        for key in ("t", "n", "i", *["down"] * table.row_count, "b"):
            app.simulate_key(key)
            await settle(app, lambda: True, key)
        baseline = screen.view.baseline
        app.simulate_key("right_square_bracket")
        await settle(app, lambda: True, f"baseline {baseline}")


async def episodes_of_runs(app: StrictWorkbench) -> None:
    """Two episodes of every finished run."""
    screen = app.screen
    assert isinstance(screen, EpisodeScreen)
    for run in [run for run in app.snapshot.runs if run.state == "finished"]:
        app.run_in_focus = run.id
        screen.refresh_picture()
        for key in ("n", "p"):
            number = screen.number + (1 if key == "n" else -1)
            app.simulate_key(key)
            await settle(app, lambda at=number: screen.number == at, f"{key} on {run.id}")


async def benches_of_runs(app: StrictWorkbench) -> None:
    """The curves, inner loop and figures of every run, and its log."""
    for run in app.snapshot.runs:
        app.open_run(run.id)
        await settle(app, lambda at=run.id: at in app.snapshot.histories, f"the curves of {run.id}")
        await asyncio.sleep(0)
        assert isinstance(app.screen, BenchScreen)
        app.screen.refresh_picture()


def look_round(runs: Path, *, size: tuple[int, int] = (110, 40)) -> tuple[list[str], list[str]]:
    """Opens the folder and every screen on it, looks at all that each has to show; returns what the screens
    showed at last, and the faults that nobody foresaw."""
    seen = []
    app = StrictWorkbench(runs)

    async def go() -> None:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: bool(app.snapshot.taken))
            await visit(app, BenchScreen, "escape")
            await visit(app, RunsScreen, "2")
            await rows_of_runs(app)
            seen.append(shown(app))
            await visit(app, LogScreen, "end", "L")
            seen.append(shown(app))
            await visit(app, CompareScreen, "escape", "3")
            await tables_of_compare(app)
            seen.append(shown(app))
            await visit(app, EpisodeScreen, "4")
            await episodes_of_runs(app)
            seen.append(shown(app))
            await visit(app, BenchScreen, "1")
            await benches_of_runs(app)
            seen.append(shown(app))
            await visit(app, RunsScreen, "2")
            seen.append(shown(app))

    asyncio.run(go())
    return seen, app.unforeseen


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question about an episode starts a process that ends at once; nothing waits for people."""
    monkeypatch.setattr(panel, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(asking, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(processes, "worker_command", lambda *asked: [shutil.which("true") or "true"])


def spoilt(sound: Path, folder: Path, seeds: Sequence[int]) -> Path:
    """One folder with a copy of the sound runs for each seed, spoilt by it."""
    runs = folder / "runs"
    runs.mkdir()
    for seed in seeds:
        part = folder / f"part{seed}"
        shutil.copytree(sound, part)
        spoil(part, seed)
        for path in part.iterdir():
            path.rename(runs / f"{path.name}{seed}")
    return runs


@pytest.mark.parametrize("first", [*range(0, USUAL, EACH), *LONG])
def test_every_screen_opens_on_a_spoilt_folder(
    sound: Path, tmp_path: Path, no_workers: None, first: int
) -> None:
    runs = spoilt(sound, tmp_path, range(first, first + EACH))
    _, unforeseen = look_round(runs)
    assert not unforeseen


def test_every_screen_opens_on_what_once_ended_the_app(sound: Path, tmp_path: Path, no_workers: None) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(sound, runs)
    spoil_in_known_ways(runs, next(sound.glob("*maml-glyphs*")))
    _, unforeseen = look_round(runs)
    assert not unforeseen


def test_texts_from_files_are_shown_as_they_are(sound: Path, tmp_path: Path, no_workers: None) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(sound, runs)
    make_run(runs, seed=3, name=MARKUP, state="finished", step=40, steps=40)
    assert MARKUP in look_round(runs)[0][-1]


@pytest.mark.long
def test_a_million_events(sound: Path, tmp_path: Path, no_workers: None) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(sound, runs)
    with next(runs.glob("*maml-glyphs*")).joinpath("events.jsonl").open("a") as events:
        for step in range(60, 1_000_060):
            event = {"seq": step + 100, "time": 1.0, "kind": "train", "step": step, "outer_loss": 1 / step}
            events.write(json.dumps(event) + "\n")
    _, unforeseen = look_round(runs)
    assert not unforeseen


@pytest.mark.parametrize("bomb", ["aliases", "brackets"])
def test_a_spec_that_would_unfold_without_end_holds_up_no_listing(tmp_path: Path, bomb: str) -> None:
    levels = [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(12)]
    unfolding = "\n".join(["a0: &a0 [x, x]", *levels, "origin: {task: *a12}"])
    text = unfolding if bomb == "aliases" else "[" * 50_000
    (tmp_path / "1121-maml-7f3a").mkdir()
    (tmp_path / "1121-maml-7f3a" / "spec.yaml").write_text(text)
    (summary,) = list_runs(tmp_path)
    assert (summary.task, summary.algorithm) == ("", "")
