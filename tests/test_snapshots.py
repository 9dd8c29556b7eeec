"""What the four screens show of one made-up folder, at three sizes, cell by cell.

`KSHOT_SNAPSHOTS=write pytest tests/test_snapshots.py` writes what is shown now as what is right from now on.
"""

import asyncio
import json
import os
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import test_episode_screen
from fake_runs import make_run
from patience import shown, until
from tested_runs import run_with_result
from textual.screen import Screen

import engine.presets
from engine.runs import EventWriter, Run, episodes
from tui.app import Workbench
from tui.bench import catalog
from tui.bench.estimates import Estimator, Outlook
from tui.runs import detail
from tui.screens.bench import BenchScreen
from tui.screens.compare import CompareScreen
from tui.screens.episode import EpisodeScreen
from tui.screens.runs import RunsScreen

SNAPSHOTS = Path(__file__).with_name("snapshots")
NOW = 1_800_000_000.0
SIZES = [(80, 24), (120, 36), (200, 60)]
PLACES: tuple[tuple[str, str, type[Screen[None]], str], ...] = (
    ("2", "runs", RunsScreen, "result  "),
    ("1", "bench", BenchScreen, "iterations"),
    ("3", "compare", CompareScreen, "Difference to pretrain"),
    ("4", "episode", EpisodeScreen, "Test episode 1 of 9"),
)
"""Key, name, screen, and what stands on it once everything has been read."""
CHOICES = {"maml", "anil", "pretrain", "sine-10shot", "glyphs-5way-1shot"}
"""The presets listed: others come and go."""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tested runs and a failed one, of fixed names and times."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(time, "localtime", time.gmtime)
    monkeypatch.setattr(os, "urandom", lambda count: bytes(count))
    monkeypatch.chdir(tmp_path)
    folder = Path("runs")
    for algorithm, after, rate in (("maml", 0.9, 300), ("pretrain", 0.7, 800)):
        run = run_with_result(folder, algorithm, after)
        _trained(run, rate)
        _renamed(run, f"20270115-080000-{algorithm}-glyphs-5way-1shot-s0-0a1b")
    _renamed(make_run(folder, state="failed", step=3, steps=40), "20270114-070000-maml-sine-10shot-s0-2c3d")
    return folder


def _trained(run: Run, rate: int) -> None:
    with EventWriter(run.events_path) as events:
        for step in range(10, 501, 10):
            known = 1 - float(np.exp(-step / rate))
            support, accuracy = [1.6, 1.6 - known], [0.2, 0.2 + 0.7 * known]
            events.append(
                "train", step=step, outer_loss=1.6 - known, support_loss=support, query_loss=support,
                accuracy=accuracy, meta_gradient_norms=[0.5],
            )  # fmt: skip
            if step % 100 == 0:
                events.append("validation", step=step, metric=accuracy, ci95=[0.01, 0.02], best=True)
        events.append("speed", step=500, iterations_per_second=100.0, memory_bytes=5e8)


def _renamed(run: Run, name: str) -> None:
    status = json.loads(run.status_path.read_text())
    status |= {"host": "host", "created": NOW - 7200, "started": NOW - 7200, "updated": NOW - 600}
    run.status_path.write_text(json.dumps(status))
    run.path.rename(run.path.with_name(name))


@pytest.fixture
def few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists and specs that stay as they are, and answers about episodes from no process."""
    names, presets = catalog.preset_names, engine.presets.list_presets
    monkeypatch.setattr(catalog, "preset_names", lambda kind: [n for n in names(kind) if n in CHOICES])
    monkeypatch.setattr(
        engine.presets, "list_presets", lambda kind: [each for each in presets(kind) if each.name in CHOICES]
    )
    lines = tuple((section, f"{section}'s values") for section in detail.SPEC_LINES)
    monkeypatch.setattr(detail, "_spec_lines", lambda spec: lines)
    guess = Outlook("about 59 s for 2 trainings")
    monkeypatch.setattr(Estimator, "outlook", lambda self, selection: guess)
    monkeypatch.setattr(episodes, "question", test_episode_screen.fake_question)
    monkeypatch.setattr(episodes, "Asking", test_episode_screen.FakeAsking)


@pytest.mark.parametrize("size", SIZES, ids=[f"{columns}x{rows}" for columns, rows in SIZES])
def test_screens_show_what_they_showed(runs: Path, few_choices: None, size: tuple[int, int]) -> None:
    seen = asyncio.run(_look_round(runs, size))
    for name, (text, picture) in seen.items():
        _is_a_picture(picture, size)
        path = SNAPSHOTS / f"{name}-{size[0]}x{size[1]}.txt"
        if os.environ.get("KSHOT_SNAPSHOTS") == "write":
            SNAPSHOTS.mkdir(exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        assert text.splitlines() == path.read_text(encoding="utf-8").splitlines(), name


async def _look_round(runs: Path, size: tuple[int, int]) -> dict[str, tuple[str, str]]:
    """By screen: its cells as text, and its picture as SVG."""
    seen = {}
    app = Workbench(runs, runs.parent / "data")
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: len(app.snapshot.runs) == 3)
        for key, name, place, last in PLACES:
            app.simulate_key(key)
            await until(pilot, lambda place=place: isinstance(app.screen, place))  # type: ignore[misc]
            await until(pilot, lambda last=last: last in shown(app))  # type: ignore[misc]
            await _unchanged(app)
            seen[name] = shown(app), app.export_screenshot(title=name)
            if name == "runs":
                app.simulate_key("down")
                app.simulate_key("enter")
    return seen


async def _unchanged(app: Workbench) -> None:
    """Waits until what is shown stays as it is."""
    before, since = "", time.monotonic()
    while time.monotonic() - since < 0.35:
        await asyncio.sleep(0.05)
        if shown(app) != before:
            before, since = shown(app), time.monotonic()


def _is_a_picture(picture: str, size: tuple[int, int]) -> None:
    """A whole SVG with a line of text for every row that is not empty."""
    root = ElementTree.fromstring(picture)
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{*}text")) >= size[1] // 2 and "kshot" in picture
