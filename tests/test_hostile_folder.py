"""The workbench over runs folders that were spoilt: every screen opens, nothing is taken for markup."""

import asyncio
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_runs import make_run
from hostile_runs import MARKUP, spoil
from runs_app import shown, until
from tested_runs import run_with_result
from textual.screen import Screen

from engine.runs import EventWriter, processes
from tui.app import Workbench
from tui.screens.bench import BenchScreen
from tui.screens.compare import CompareScreen
from tui.screens.episode import EpisodeScreen
from tui.screens.log import LogScreen
from tui.screens.runs import RunsScreen

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

USUAL, ALL, EACH = 20, 800, 5
"""Seeds of the usual run, of the long one, and of one folder."""
LONG = [pytest.param(first, marks=pytest.mark.long) for first in range(USUAL, ALL, EACH)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as kshot writes it: two tested runs, one that failed, one that crashed."""
    folder = tmp_path_factory.mktemp("sound") / "runs"
    for algorithm, after in (("maml", 0.9), ("pretrain", 0.7)):
        run = run_with_result(folder, algorithm, after)
        with EventWriter(run.events_path) as events:
            for step in range(1, 60):
                losses = {"support_loss": [2.0, 1.0], "query_loss": [2.0, 1.0], "accuracy": [0.2, 0.6]}
                events.append("train", step=step, outer_loss=1.0 / step, meta_gradient_norms=[1.0], **losses)
            events.append("validation", step=50, metric=[0.2, 0.8], ci95=[0.1, 0.1], best=True)
            events.append("speed", step=50, iterations_per_second=100.0, memory_bytes=5e8)
        run.log_path.write_text("a word\n")
    make_run(folder, seed=1, state="failed", step=3, steps=40, error=f"the loss {MARKUP} is not finite")
    make_run(folder, seed=2, name="crash", state="running", step=20, steps=40)
    return folder


def look_round(runs: Path, *, size: tuple[int, int] = (110, 40)) -> list[str]:
    """Opens the folder and every screen on it; returns what each showed."""
    seen = []

    async def visit(app: Workbench, place: type[Screen[None]], *keys: str) -> None:
        for key in keys:
            app.simulate_key(key)
        end = time.monotonic() + 10
        while not (isinstance(app.screen, place) and shown(app).strip()):
            assert time.monotonic() < end, f"{place.__name__} does not open"
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.15)
        seen.append(shown(app))

    async def go() -> None:
        app = Workbench(runs, runs.parent / "data")
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: bool(app.snapshot.taken))
            await visit(app, BenchScreen, "escape")
            await visit(app, LogScreen, "2", "end", "L")
            await visit(app, BenchScreen, "escape", "home", "down", "enter")
            await visit(app, CompareScreen, "3")
            await visit(app, EpisodeScreen, "4")
            await visit(app, RunsScreen, "2")

    asyncio.run(go())
    return seen


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question about an episode starts a process that ends at once."""
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
    assert all("kshot" in text for text in look_round(runs))


def test_texts_from_files_are_shown_as_they_are(sound: Path, tmp_path: Path, no_workers: None) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(sound, runs)
    make_run(runs, seed=3, name=MARKUP, state="finished", step=40, steps=40)
    assert MARKUP in look_round(runs)[-1]


@pytest.mark.long
def test_a_million_events(sound: Path, tmp_path: Path, no_workers: None) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(sound, runs)
    with next(runs.glob("*maml-glyphs*")).joinpath("events.jsonl").open("a") as events:
        for step in range(60, 1_000_060):
            event = {"seq": step + 100, "time": 1.0, "kind": "train", "step": step, "outer_loss": 1 / step}
            events.write(json.dumps(event) + "\n")
    assert all("kshot" in text for text in look_round(runs))
