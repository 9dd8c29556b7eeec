"""What the screens show of one made-up folder, cell by cell, and in which styles: the four places at three
sizes, what is opened over them at the smallest.

`KSHOT_SNAPSHOTS=write pytest tests/test_snapshots.py` writes what is shown now as what is right from now on.
"""

import asyncio
import json
import os
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Awaitable, Callable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_episode_screen
from fake_runs import make_run
from patience import shown, until
from tested_runs import run_with_result
from textual.pilot import Pilot
from textual.screen import Screen

import engine.presets
from engine.runs import EventWriter, Run, episodes
from tui.app import Workbench
from tui.bench import catalog
from tui.bench.estimates import Estimator, Outlook
from tui.compare.export import ExportScreen
from tui.runs import detail
from tui.runs.away import AwayCard
from tui.screens.bench import BenchScreen
from tui.screens.compare import CompareScreen
from tui.screens.episode import EpisodeScreen
from tui.screens.help import HelpScreen
from tui.screens.log import LogScreen
from tui.screens.replay import ReplayScreen
from tui.screens.runs import RunsScreen
from tui.screens.settings import SettingsScreen

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
Through = Callable[[Workbench, Pilot[int], "Seen"], Awaitable[None]]
Seen = dict[str, tuple[str, str, str]]
"""By screen: its cells as text, their styles, and its picture as SVG."""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tested runs and a failed one, of fixed names and times."""
    for name, value in (("TERM", "xterm-256color"), ("COLORTERM", "truecolor")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
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
    recorded = [json.loads(line) for line in run.events_path.read_text().splitlines()]
    timed = [event | {"time": NOW - 3600 + event.get("step", 0)} for event in recorded]
    run.events_path.write_text("".join(json.dumps(event) + "\n" for event in timed))


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
    _compare(asyncio.run(_look_round(runs, size, _through_places)), size)


def test_what_is_opened_over_runs_shows_what_it_showed(runs: Path, few_choices: None) -> None:
    _compare(asyncio.run(_look_round(runs, SIZES[0], _over_runs)), SIZES[0])


def test_what_is_opened_over_other_places_shows_what_it_showed(runs: Path, few_choices: None) -> None:
    _compare(asyncio.run(_look_round(runs, SIZES[0], _over_others)), SIZES[0])


def _compare(seen: Seen, size: tuple[int, int]) -> None:
    for name, (text, styles, picture) in seen.items():
        _is_a_picture(picture, size)
        for kind, now in (("txt", text), ("styles", styles)):
            path = SNAPSHOTS / f"{name}-{size[0]}x{size[1]}.{kind}"
            if os.environ.get("KSHOT_SNAPSHOTS") == "write":
                SNAPSHOTS.mkdir(exist_ok=True)
                path.write_text(now + "\n", encoding="utf-8")
            assert f"{now}\n" == path.read_text(encoding="utf-8"), f"{name}, {kind}"


async def _look_round(runs: Path, size: tuple[int, int], through: Through) -> Seen:
    seen: Seen = {}
    app = Workbench(runs, runs.parent / "data")
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: len(app.snapshot.runs) == 3)
        await through(app, pilot, seen)
    return seen


async def _through_places(app: Workbench, pilot: Pilot[int], seen: Seen) -> None:
    for key, name, place, last in PLACES:
        await _open(app, pilot, key, place, last)
        await _see(app, name, seen)
        if name == "runs":
            app.simulate_key("down")
            app.simulate_key("enter")


async def _over_runs(app: Workbench, pilot: Pilot[int], seen: Seen) -> None:
    await _open(app, pilot, "2", RunsScreen, "result  ")
    app.simulate_key("down")
    await _open(app, pilot, "L", LogScreen, "best so far")
    await _see(app, "log", seen)
    app.simulate_key("escape")
    await _open(app, pilot, "R", ReplayScreen, "outer loss")
    app.simulate_key("end")
    await until(pilot, lambda: "iteration 500" in shown(app))
    await _see(app, "replay", seen)
    app.simulate_key("escape")
    await until(pilot, lambda: isinstance(app.screen, RunsScreen))
    await _open(app, pilot, "question_mark", HelpScreen, "Keys")
    await _see(app, "help", seen)


async def _over_others(app: Workbench, pilot: Pilot[int], seen: Seen) -> None:
    await _open(app, pilot, "1", BenchScreen, "g starts")
    await until(pilot, lambda: app.focused is not None)
    await _open(app, pilot, "s", SettingsScreen, "frequency")
    await _see(app, "settings", seen)
    app.simulate_key("escape")
    await until(pilot, lambda: isinstance(app.screen, BenchScreen))
    await _open(app, pilot, "3", CompareScreen, "Difference to pretrain")
    await _open(app, pilot, "m", ExportScreen, "| --")
    await _see(app, "export", seen)
    app.simulate_key("escape")
    await until(pilot, lambda: isinstance(app.screen, CompareScreen))
    lines = ("While you were away (9 h): 2 finished, 1 failed.", "Best: maml 76.8 ± 2.0 on glyphs.")
    await app.push_screen(AwayCard(lines))
    await _see(app, "away", seen)


async def _open(app: Workbench, pilot: Pilot[int], key: str, place: type[Screen[Any]], last: str) -> None:
    """Presses a key and waits for a screen, and for what stands on it once everything has been read."""
    app.simulate_key(key)
    await until(pilot, lambda: isinstance(app.screen, place))
    await until(pilot, lambda: last in shown(app))


async def _see(app: Workbench, name: str, seen: Seen) -> None:
    await _unchanged(app)
    seen[name] = shown(app), _styles(app), app.export_screenshot(title=name)


def _styles(app: Workbench) -> str:
    """The styles in use, numbered as they first appear, a line each; then for each row how many cells have
    which: `0*79 3*1`."""
    numbers: dict[str, int] = {}
    rows = []
    for strip in app.screen._compositor.render_strips():
        found = [(numbers.setdefault(str(each.style), len(numbers)), each.cell_length) for each in strip]
        merged = [(number, sum(cells for _, cells in same)) for number, same in groupby(found, itemgetter(0))]
        rows.append(" ".join(f"{number}*{cells}" for number, cells in merged))
    return "\n".join([*(f"{number} {style}" for style, number in numbers.items()), "", *rows])


async def _unchanged(app: Workbench) -> None:
    """Waits until what is shown stays as it is."""
    before, since = ("", ""), time.monotonic()
    while time.monotonic() - since < 0.35:
        await asyncio.sleep(0.05)
        now = shown(app), _styles(app)
        if now != before:
            before, since = now, time.monotonic()


def _is_a_picture(picture: str, size: tuple[int, int]) -> None:
    """A whole SVG with a line of text for every row that is not empty: half of them in a place."""
    root = ElementTree.fromstring(picture)
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{*}text")) >= (size[1] // 2 if "kshot" in picture else 3)
