"""The episode screen: what it draws of an answer, its keys, and a real question from key press to picture."""

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import make_run, wait_until
from patience import PATIENCE
from rich.style import Style
from runs_app import StillReader, shown, snapshot_of, until
from test_episode_job import end_attendance
from textual.pilot import Pilot

from engine.data import data_folder
from engine.presets import resolve
from engine.runs import Run, create_run, episodes, read_status, start_worker
from tui import app as app_module
from tui.app import Workbench
from tui.episode.answers import CurveEpisode, ImageEpisode, read_answer
from tui.episode.choosing import next_algorithm, pair
from tui.episode.texts import confusion, filmstrip, from_mean, layers, query_lines
from tui.keys import PLACES
from tui.screens.episode import EpisodeScreen
from tui.snapshot import Snapshot
from tui.widgets.images import Group, Picture, Pictures, cells, dots, scaled

SIZES = [(80, 24), (120, 36), (200, 60)]
WAYS, QUERIES = 3, 4


def image_answer(number: int = 0, algorithm: str = "maml", wrong_at_end: int = 1) -> dict[str, Any]:
    """Two recorded steps; before adaptation all queries are taken for the first class."""
    labels = [label for label in range(WAYS) for _ in range(QUERIES)]
    before = np.tile([0.8, 0.1, 0.1], (len(labels), 1))
    after = 0.1 + 0.7 * np.eye(WAYS)[labels]
    for query in range(wrong_at_end):
        after[QUERIES + query] = [0.1, 0.2, 0.7]

    def packed(count: int) -> dict[str, Any]:
        pixels = np.zeros((count, 28, 28, 1), np.uint8)
        pixels[:, 4:24, 10:14] = 255
        return {"shape": list(pixels.shape), "data": base64.b64encode(pixels.tobytes()).decode()}

    return {
        "kind": "episode",
        "shows": "images",
        "algorithm": algorithm,
        "task": "sine-10shot",
        "episode": number,
        "after_step": 1,
        "steps": [0, 1],
        "metric": [1 / WAYS, 1 - wrong_at_end / len(labels)],
        "moved": {"conv1": [0.0, 0.02], "head": [None, None]},
        "classes": ["Latin/a[b]", "Greek/\x1bb", "Runes/c"],
        "support": packed(WAYS),
        "support_labels": list(range(WAYS)),
        "query": packed(len(labels)),
        "query_labels": labels,
        "probabilities": [before.tolist(), after.tolist()],
    }


def curve_answer(number: int = 0, algorithm: str = "maml", scale: float = 1.0) -> dict[str, Any]:
    x = np.linspace(-5, 5, 101)
    return {
        "kind": "episode",
        "shows": "curves",
        "algorithm": algorithm,
        "task": "sine-10shot",
        "episode": number,
        "after_step": 2,
        "steps": [0, 1, 2],
        "metric": [3.0, 1.25, 0.5 * scale],
        "moved": {"linear1": [0.0, 0.1, 0.2]},
        "family": {"amplitude": [0.1, 5.0], "phase": [0.0, np.pi], "frequency": [1.0, 1.0], "shift": "minus"},
        "x": x.tolist(),
        "truth": np.sin(x).tolist(),
        "support_x": [1.0, -2.0],
        "support_y": [float(np.sin(1.0)), float(np.sin(-2.0))],
        "predictions": [(share * np.sin(x)).tolist() for share in (0.0, 0.5, 0.9)],
    }


class FakeAsking:
    """Answers the second time it is looked at, as a worker would from its own process."""

    answers: Callable[[int, str], dict[str, Any]] = image_answer

    def __init__(self, question: episodes.Question, data_dir: Path) -> None:
        self.question, self.looks = question, 0

    def look(self) -> episodes.Seen:
        self.looks += 1
        if self.looks == 1:
            return episodes.Seen(phase="loading data")
        if "broken" in self.question.run.id:
            return episodes.Seen(error="the images are gone")
        algorithm = "pretrain" if "pretrain" in self.question.run.id else "maml"
        return episodes.Seen(type(self).answers(self.question.number, algorithm))

    def withdraw(self) -> None:
        return None


def fake_question(run: Run, number: int, data_dir: Path) -> episodes.Question:
    return episodes.Question(run, f"episode-{number}", number, {}, (7, 2, 5), 9)


class EpisodeApp(Workbench):
    DEFAULT_MODE = "episode"
    CSS_PATH = str(Path(app_module.__file__).with_name("theme.tcss"))

    def __init__(self, runs_dir: Path) -> None:
        super().__init__(runs_dir, data_folder())
        self.reader = StillReader(runs_dir, lambda picture: None)
        self.snapshot = snapshot_of(runs_dir)

    @property
    def episode(self) -> EpisodeScreen:
        assert isinstance(self.screen, EpisodeScreen)
        return self.screen


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "runs"
    make_run(folder, name="pretrain", state="finished", summary=about("pretrain"))
    make_run(folder, name="maml", state="finished", summary=about("maml"))
    yield folder


def about(algorithm: str, task: str = "sine-10shot") -> dict[str, Any]:
    return {"task": task, "algorithm": algorithm, "kind": "train", "key": algorithm, "metric": "accuracy"}


def with_app(
    runs: Path,
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    answers: Callable[[int, str], dict[str, Any]],
    steps: Callable[[EpisodeApp, Pilot[int]], Any],
    focus: str = "maml",
) -> None:
    monkeypatch.setattr(episodes, "question", fake_question)
    monkeypatch.setattr(episodes, "Asking", FakeAsking)
    monkeypatch.setattr(FakeAsking, "answers", staticmethod(answers))

    async def run() -> None:
        app = EpisodeApp(runs)
        app.run_in_focus = next((each.id for each in app.snapshot.runs if focus in each.id), None)
        async with app.run_test(size=size) as pilot:
            if focus == "maml" and app.episode.pair:
                await until(pilot, lambda: len(app.episode.body.shown) == 2)
                await pilot.pause(0.1)
            await steps(app, pilot)

    asyncio.run(run())


@pytest.mark.parametrize("size", SIZES)
def test_images_stand_with_figures_wrong_ones_and_the_baseline(
    runs: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(app: EpisodeApp, pilot: Pilot[int]) -> None:
        screen = shown(app)
        assert "Test episode 1 of 9" in screen and "91.7 % after 1 step" in screen
        assert "◆ maml" in screen and "┄ pretrain" in screen
        assert "Query 1 of 12, truly α" in screen and "80 %✓" in screen
        await pilot.press("left")
        await until(pilot, lambda: "▸0" in shown(app))
        assert app.episode.step == 0
        await pilot.press("right", *["down"] * QUERIES)
        await until(pilot, lambda: "truly β" in shown(app) and "✗γ" in shown(app))
        assert "70 %✗" in shown(app)

    with_app(runs, size, monkeypatch, image_answer, steps)


@pytest.mark.parametrize("size", SIZES)
def test_curves_have_a_chart_each_where_there_is_room(
    runs: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(app: EpisodeApp, pilot: Pilot[int]) -> None:
        assert "0.500 error after 2 steps" in shown(app)
        baseline = app.episode.query_one("#episode-chart-baseline")
        assert baseline.display == (size[0] >= 110)
        assert "linear1" in shown(app)
        line = next(line for line in shown(app).splitlines() if "─ true" in line)
        narrow = ("◆ step 2", "┄ pretrain step 2", "● support")
        wanted = {80: narrow, 120: ("◆ 2", "┄ 2"), 200: ("● support",)}[size[0]]
        # Where there are few colours an earlier step has its number, not a line.
        assert "  ─ step 0" in line or "  1 step 0" in line, line
        assert all(f"  {words}" in line for words in wanted) and "…" not in line, line
        await pilot.press("left")
        assert app.episode.step == 1

    with_app(runs, size, monkeypatch, curve_answer, steps)


def test_keys_go_through_episodes_and_play_the_steps(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(app: EpisodeApp, pilot: Pilot[int]) -> None:
        screen = app.episode

        async def at(number: int) -> None:
            await until(pilot, lambda: [each.number for each in screen.body.shown] == [number, number])

        await pilot.press("n")
        await at(1)
        await pilot.press("p", "p")
        await at(8)
        await pilot.press("h")
        await at(7)
        await pilot.press("h")
        await at(2)
        await pilot.press("g", "6", "enter")
        await at(5)
        assert screen.focused is None
        await pilot.press("g", "escape", "r")
        await until(pilot, lambda: screen.number == screen.body.shown[0].number)
        assert screen.step == 1
        await pilot.press("space")
        assert screen.step == 0
        await until(pilot, lambda: screen.step == 1)
        assert "Test episode" in screen.text_to_copy()

    with_app(runs, (120, 36), monkeypatch, image_answer, steps)


def test_runs_that_end_meanwhile_do_not_take_the_place_of_what_is_looked_at(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(app: EpisodeApp, pilot: Pilot[int]) -> None:
        screen = app.episode
        assert screen.pair is not None and screen.pair.focus.algorithm == "maml"
        before = screen.pair.ids
        newer = make_run(runs, name="newer", state="finished", summary=about("anil"))
        base = make_run(runs, name="base", state="finished", summary=about("pretrain"))
        made = {run.id: run for run in snapshot_of(runs).runs}
        app.snapshot = Snapshot(1.0, (made[base.id], made[newer.id], *app.snapshot.runs))
        screen.refresh_picture()
        assert screen.pair.ids == before
        found = pair(app.snapshot, None)
        assert found is not None and found.ids == (newer.id, base.id), "as without something before"
        app.run_in_focus = newer.id
        screen.refresh_picture()
        assert screen.pair.ids == (newer.id, base.id)
        app.snapshot = Snapshot(2.0, tuple(run for run in app.snapshot.runs if run.id != base.id))
        screen.refresh_picture()
        assert screen.pair.ids == (newer.id, before[1]), "another baseline where that one has gone"

    with_app(runs, (80, 24), monkeypatch, image_answer, steps, focus="nothing")


def test_the_line_for_a_number_says_its_keys(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(app: EpisodeApp, pilot: Pilot[int]) -> None:
        await pilot.press("g")
        await until(pilot, lambda: "episode 1 to 9" in shown(app))
        screen = shown(app)
        assert "enter goes there" in screen and "esc puts the line away" in screen
        await pilot.press("escape")
        await until(pilot, lambda: "enter goes there" not in shown(app))

    with_app(runs, (80, 24), monkeypatch, curve_answer, steps)


def test_another_algorithm_of_the_task_and_an_error_in_a_sentence(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(runs, name="broken", state="finished", summary=about("anil"))

    async def steps(app: EpisodeApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "anil, episode 1: the images are gone" in shown(app))
        assert not app.episode.body.shown
        await pilot.press("a")
        await until(
            pilot, lambda: [each.algorithm for each in app.episode.body.shown] == ["maml", "pretrain"]
        )

    with_app(runs, (120, 36), monkeypatch, image_answer, steps, focus="broken")


def test_without_a_finished_run_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, state="stopped")

    async def steps(app: EpisodeApp, pilot: Pilot[int]) -> None:
        assert "no finished run yet" in shown(app)
        await pilot.press("n", "h", "a", "down", "left", "space")
        assert app.episode.pair is None

    with_app(tmp_path, (80, 24), monkeypatch, image_answer, steps)


def test_every_key_is_in_the_table_with_words() -> None:
    keys = PLACES["episode"]
    assert {key.keys for key in keys} >= {"left", "right", "n", "p", "h", "r", "g", "a", "space"}
    assert all(key.help and key.label for key in keys)


def test_the_run_in_focus_comes_first_then_the_newest_finished_one(tmp_path: Path) -> None:
    base = make_run(tmp_path, name="a", state="finished", summary=about("pretrain"))
    maml = make_run(tmp_path, name="b", state="finished", summary=about("maml"))
    other = make_run(tmp_path, name="c", state="finished", summary=about("maml", "sine-5shot"))
    make_run(tmp_path, name="d", state="stopped", summary=about("maml"))
    ids = {run.id: run for run in snapshot_of(tmp_path).runs}
    order = tuple(ids[run.id] for run in (other, maml, base))
    picture = Snapshot(runs=order)
    found = pair(picture, maml.id)
    assert found is not None and found.ids == (maml.id, base.id)
    newest = pair(picture, "not there")
    assert newest is not None and newest.ids == (other.id,)
    ended_with_baseline = pair(Snapshot(runs=(ids[base.id], ids[maml.id])), None)
    assert ended_with_baseline is not None and ended_with_baseline.ids == (maml.id, base.id)
    assert next_algorithm(picture, ids[maml.id]) == base.id
    assert next_algorithm(picture, ids[other.id]) is None
    assert pair(Snapshot(), None) is None


def test_the_baseline_beside_it_is_of_the_same_seed_where_there_is_one(tmp_path: Path) -> None:
    made = {
        (algorithm, seed): make_run(
            tmp_path, seed=seed, state="finished", summary=about(algorithm) | {"seed": seed}
        )
        for seed in (0, 1)
        for algorithm in ("maml", "pretrain")
    }
    picture = snapshot_of(tmp_path)
    for seed in (0, 1):
        found = pair(picture, made["maml", seed].id)
        assert found is not None and found.ids == (made["maml", seed].id, made["pretrain", seed].id)
        assert next_algorithm(picture, found.focus) == made["pretrain", seed].id


def images_of(answer: dict[str, Any]) -> ImageEpisode:
    found = read_answer(answer)
    assert isinstance(found, ImageEpisode)
    return found


def test_texts_say_what_the_numbers_say() -> None:
    episode = images_of(image_answer(wrong_at_end=2))
    assert confusion(episode, 1).plain.endswith("β→γ 2")
    assert confusion(episode, 0).plain.endswith("β→α 4, γ→α 4")
    strip = filmstrip([episode], 1, 80).plain.splitlines()
    assert strip[0].split() == ["step", "0", "▸1"] and strip[1].split() == ["◆", "maml", "33.3", "83.3"]
    lines = query_lines([episode], 4, 1, 60).plain.splitlines()
    assert "truly β" in lines[0] and "20 %" in lines[3] and "70 %✗" in lines[4]
    assert all(len(line) <= 60 for line in lines)
    moved = layers([episode], 1, 60).plain
    assert "conv1" in moved and "2.0 %" in moved and "–" in moved
    many = filmstrip([read_answer(curve_answer())], 2, 20).plain.splitlines()
    assert all(len(line) <= 21 for line in many) and "…" in many[0]


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [0]},
        {"probabilities": [[[1.0]]]},
        {"query_labels": [5] * 12},
        {"query": {"shape": [1, 2], "data": "x"}},
        {"moved": 3},
        {"shows": None},
        {"metric": ["a", "b"]},
    ],
)
def test_an_answer_that_is_not_whole_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        read_answer(image_answer() | change)


def test_a_curve_answer_is_read() -> None:
    found = read_answer(curve_answer())
    assert isinstance(found, CurveEpisode) and found.predictions.shape == (3, 101) and found.at(1) == 1
    assert found.mean is not None and found.mean[50] == pytest.approx(-2.55 * 2 / np.pi)
    # Of -1.62 cos x from zero; the mean of cos² over [-5, 5] is 1/2 + sin(10)/20.
    whole = 2.55 * 2 / np.pi * (0.5 + np.sin(10) / 20) ** 0.5
    assert found.from_mean == pytest.approx(whole, rel=0.01)
    told = read_answer({**curve_answer(), "family": None})
    assert isinstance(told, CurveEpisode) and told.mean is None and from_mean([told]).plain == ""
    assert from_mean([found]).plain == "RMS from family's mean at step 0 over [-5, 5]  ◆ maml 1.11"


def test_images_as_cells() -> None:
    pixels = np.zeros((4, 3, 1), np.uint8)
    pixels[0] = 255
    pixels[3, 2] = 255
    lines = cells(pixels, colours=True)
    assert ["".join(segment.text for segment in line) for line in lines] == ["▀▀▀", "▀▀▀"]
    first = lines[0][0].style
    assert first is not None and first.color is not None and first.bgcolor is not None
    assert first.color.triplet == (255, 255, 255) and first.bgcolor.triplet == (0, 0, 0)
    shades = cells(pixels, colours=False)
    assert ["".join(segment.text for segment in line) for line in shades] == ["▒▒▒", "  ▒"]
    assert dots(pixels)[0][0].text == "⠉⢁"[:1] + chr(0x2800 + 0x01 + 0x40)
    assert scaled(np.full((28, 28, 3), 9, np.uint8), 10).shape == (10, 10, 3)
    halves = scaled(np.repeat(np.array([[[0, 0, 0], [200, 200, 200]]], np.uint8), 2, 0), 1)
    assert halves.tolist() == [[[100, 100, 100]]]


def test_pictures_wrap_to_the_width() -> None:
    pixels = np.zeros((84, 84, 3), np.uint8)
    many = [Picture(pixels.copy(), str(at), Style()) for at in range(30)]
    pictures = Pictures()

    class Little(Workbench):
        CSS_PATH = str(Path(app_module.__file__).with_name("theme.tcss"))

    app = Little(Path(), Path())
    from textual._context import active_app

    active_app.set(app)
    pictures.groups = [Group("Support", many[:5], large=True), Group("Query", many)]
    narrow = pictures.get_content_height(app.size, app.size, 78)
    wide = pictures.get_content_height(app.size, app.size, 300)
    assert narrow > wide > 5


TINY = [
    "training.iterations=2",
    "training.validation.episodes=5",
    "model.filters=4",
    "training.tasks_per_batch=2",
    "training.queries=1",
]


def test_from_a_trained_run_to_its_picture(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path, resolve("glyphs-5way-1shot", "maml", overrides=TINY).spec)
    start_worker(run, lock, data_folder())
    wait_until(lambda: not read_status(run).alive, 120)
    assert read_status(run).state == "finished", run.log_path.read_text()
    phases: list[str] = []

    async def look() -> None:
        app = EpisodeApp(tmp_path)
        async with app.run_test(size=(120, 36)) as pilot:
            said = app.episode.query_one("#episode-wait")
            end = time.monotonic() + PATIENCE
            while not app.episode.body.shown and time.monotonic() < end:
                phases.append(str(said.render()))
                await pilot.pause(0.05)
            await until(pilot, lambda: "Test episode 1 of" in shown(app), phases[-1])
            assert "How far each layer moved" in shown(app)
            await pilot.press("n")
            await until(pilot, lambda: app.episode.body.shown[0].number == 1)

    asyncio.run(look())
    assert any("starting a worker" in phase for phase in phases)
    end_attendance(tmp_path)
