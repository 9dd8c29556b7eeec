"""The compare screen: its arithmetic by hand, and its table, keys and charts with Textual's pilot."""

import asyncio
import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare_app import shown, view
from patience import shown as on_screen
from patience import until
from tested_runs import TASK, accuracies, add_result, finished_run, protocol_of, run_with_result
from textual.app import App
from textual.pilot import Pilot

from engine.runs import EventWriter, list_runs, processes, read_evaluations
from engine.runs.columns import History
from engine.runs.settling import episodes_needed, seeds_needed
from engine.statistics import mean_over_episodes
from tui.app import Workbench
from tui.compare.answer import answer
from tui.compare.asking import wanted_tests
from tui.compare.cells import label_cell
from tui.compare.curves import runs_of, step_series, validation_series
from tui.compare.export import ExportScreen, write_new
from tui.compare.histogram import Histogram, binned, histogram_lines, shares, shares_text
from tui.compare.keys import NOTES_KEYS
from tui.compare.notes import Notes
from tui.compare.remarks import (
    against_published,
    more_episodes,
    what_would_decide,
)
from tui.compare.result_table import ResultTable
from tui.compare.view import next_baseline
from tui.compare.words import why_no_difference
from tui.screens.bench import BenchScreen
from tui.screens.compare import CompareScreen
from tui.screens.help import HelpScreen, help_text
from tui.widgets.chart import CHART_KEYS, Chart

SIZES = ((80, 24), (120, 36), (200, 60))


def rows_of(app: Workbench) -> dict[str, list[str]]:
    """The table's lines, by the label behind the mark."""
    table = app.screen.query_one(ResultTable)
    lines = [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]
    return {line[0].split(" ", 1)[1]: line for line in lines}


def noted(app: App[int]) -> str:
    """What stands under the table, in one line."""
    return " ".join(" ".join(app.screen.query_one(Notes)._shown).split())


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """maml ahead of anil ahead of pretrain, boil untested."""
    folder = tmp_path / "runs"
    run_with_result(folder, "maml", 0.9)
    run_with_result(folder, "anil", 0.8, values_seed=1)
    run_with_result(folder, "pretrain", 0.7, values_seed=2)
    finished_run(folder, "boil")
    return folder


# Arithmetic


def test_the_episodes_that_would_decide_are_those_at_which_the_interval_ends_at_zero():
    """Against an independent search: the first n at which 1.96 · sd / √n is no more than |mean|."""
    for number in range(20):
        values = np.random.default_rng(number).normal(0.3, 8, 600)
        found = mean_over_episodes(values)
        difference = {"mean": found.mean, "ci95": found.ci95, "over": "episodes"}
        deviation = float(np.sqrt(((values - values.mean()) ** 2).sum() / 599))
        candidates = np.arange(1, 2_000_000)
        decided = 1.96 * deviation / np.sqrt(candidates) <= abs(values.mean())
        expected = int(candidates[decided.argmax()]) if decided.any() else None
        said = episodes_needed(difference, 600)
        if expected is not None and expected < 999_000:
            assert said is not None and abs(said - expected) <= 1


def test_no_number_of_episodes_is_promised_where_none_is_known():
    assert episodes_needed({"mean": 0.0, "ci95": 1.0, "over": "episodes"}, 600) is None
    assert episodes_needed({"mean": 1e-9, "ci95": 1.0, "over": "episodes"}, 600) is None
    assert episodes_needed({"mean": 0.1, "ci95": 1.0, "over": "seeds"}, 600) is None


def test_seeds_that_would_decide():
    """Three seeds, deviation 1, mean 0.8: t for n - 1 degrees of freedom over √n falls below 0.8 at n = 9."""
    difference = {"mean": 0.8, "ci95": 4.303 / 3**0.5, "over": "seeds"}
    assert seeds_needed(difference, 3) == 9
    assert seeds_needed({"mean": 1.0, "ci95": 2.0, "over": "episodes"}, 3) is None


@pytest.mark.parametrize(
    ("mean", "said"), [(98.0, "below"), (98.3, "within"), (99.1, "within"), (99.3, "above")]
)
def test_beside_the_published_figure_both_intervals_count(mean, said):
    row = {"after": {"mean": mean, "ci95": 0.3}, "published": {"value": 98.7, "ci95": 0.4}}
    assert against_published(row) == said


def test_shares_of_episodes():
    differences = np.array([2.0, 1.0, 0.0, 1e-13, -1.0, np.nan])
    assert shares(differences, True) == pytest.approx((40, 40, 20))
    assert shares(differences, False) == pytest.approx((20, 40, 40))
    assert shares_text("maml", differences, True) == "maml better in 40 %, equal in 40 %, worse in 20 %"
    assert shares(np.array([]), True) == (0, 0, 0)


@pytest.mark.parametrize(
    "differences",
    [
        np.zeros(50),
        np.array([3.0]),
        np.array([np.nan, np.nan]),
        np.array([]),
        np.random.default_rng(0).normal(5, 1, 600),
        np.round(np.random.default_rng(0).normal(0, 5, 600) * 0.75) / 0.75,
        np.array([1e300, -1e300, 0.0]),
        np.array([1e-300, 0.0]),
    ],
)
@pytest.mark.parametrize("width", [12, 40, 120])
def test_every_episode_is_in_a_bin_and_bars_fit(differences, width):
    counts, low, high = binned(differences, width)
    assert counts.sum() == np.isfinite(differences).sum() and counts.size <= width and low < 0 < high
    lines = histogram_lines(differences, width, 5, "points")
    assert len(lines) == 6 and all(len(line) <= width for line in lines)


def test_equal_episodes_have_the_bin_round_zero():
    counts, low, high = binned(np.array([0.0] * 30 + [4.0] * 10 + [-4.0] * 10), 41)
    edges = np.linspace(low, high, counts.size + 1)
    middle = int(np.searchsorted(edges, 0.0)) - 1
    assert counts[middle] == 30 and edges[middle] == pytest.approx(-edges[middle + 1])


# Views and curves


def test_the_curve_against_steps_has_a_mean_and_an_interval_for_each(runs):
    series, label = step_series(view(runs))
    maml = next(one for one in series if one.name == "maml")
    values = np.array(accuracies(0.9))
    assert label == "steps" and list(maml.x) == [0, 1, 2, 3, 4, 5]
    assert maml.y == pytest.approx(values.mean(axis=0))
    half_width = 1.96 * values.std(axis=0, ddof=1) / 60**0.5
    assert maml.low is not None and maml.y - maml.low == pytest.approx(half_width)


def test_many_steps_are_drawn_on_a_log_axis(tmp_path):
    run = finished_run(tmp_path, "maml")
    add_result(run, accuracies(0.9, steps=30))
    series, label = step_series(view(tmp_path))
    assert "log" in label and series[0].x[-1] == pytest.approx(np.log10(31))


def test_two_rows_of_one_algorithm_are_told_apart(tmp_path):
    run_with_result(tmp_path, "maml", 0.9)
    run_with_result(tmp_path, "maml", 0.8, settings=["adaptation.learning_rate=0.1"])
    run_with_result(tmp_path, "maml", 0.7, settings=["adaptation.learning_rate=0.2"])
    made = view(tmp_path)
    series, _ = step_series(made)
    assert len({(one.colour, one.shape) for one in series}) == 3
    cells = [label_cell(row, made.marks[row["label"]]) for row in made.rows]
    assert [one.shape for one in series] == [cell.plain[0] for cell in cells]


def test_validation_against_time_and_tasks(runs):
    made = view(runs)
    run_id = made.row("maml")["runs"][0]
    history = History(
        train_step=np.array([50.0, 100, 200]),
        train_time=np.array([100.0, 160, 220]),
        validation_step=np.array([100.0, 200]),
        validation_time=np.array([160.0, 220]),
        validation_steps=(0, 5),
        validation=np.array([[0.2, 0.7], [0.2, 0.8]]),
        validation_ci95=np.array([0.01, 0.01]),
    )
    (timed,) = validation_series(made, {run_id: history}, "time")
    assert list(timed.x) == [1.0, 2.0] and list(timed.y) == [0.7, 0.8]
    (by_tasks,) = validation_series(made, {run_id: history}, "tasks")
    assert by_tasks.x == pytest.approx(np.array([100, 200]) * made.standing.tasks_each["maml"] / 1000)
    assert validation_series(made, {run_id: History()}, "time") == []


def test_curves_of_several_seeds_are_their_mean_with_its_interval_over_seeds(tmp_path):
    """Against a hand calculation: t for two degrees of freedom is 4.303, and only shared iterations count."""
    ends = {0: (0.6, 0.7), 1: (0.7, 0.8), 2: (0.5, 0.9)}
    made_runs = {seed: run_with_result(tmp_path, "maml", 0.9, seed=seed) for seed in ends}
    made = view(tmp_path)
    histories = {
        made_runs[seed].id: History(
            train_step=np.array([50.0, 100, 200]),
            train_time=np.array([0.0, 60, 120]) * (1 + seed),
            validation_step=np.array([100.0, 200, 300][: 2 + (seed == 2)]),
            validation_time=np.array([60.0, 120, 120][: 2 + (seed == 2)]) * (1 + seed),
            validation_steps=(0, 5),
            validation=np.array([[0.2, end] for end in (*ends[seed], *([0.95] * (seed == 2)))]),
            validation_ci95=np.full(2 + (seed == 2), 0.01),
        )
        for seed in ends
    }
    assert runs_of(made) == [run.id for run in made_runs.values()]
    (curve,) = validation_series(made, histories, "tasks")
    assert curve.x == pytest.approx(np.array([100, 200]) * made.standing.tasks_each["maml"] / 1000)
    assert curve.y == pytest.approx([0.6, 0.8])
    assert curve.low is not None and curve.high is not None
    assert curve.y - curve.low == pytest.approx([4.303 * 0.1 / 3**0.5] * 2)
    assert curve.high - curve.y == pytest.approx([4.303 * 0.1 / 3**0.5] * 2)
    (timed,) = validation_series(made, histories, "time")
    assert timed.x == pytest.approx([2.0, 4.0])
    del histories[made_runs[1].id]
    (two,) = validation_series(made, histories, "tasks")
    assert two.y == pytest.approx([0.55, 0.8]), "a seed without a history is left out"


def test_one_sentence_says_whether_the_row_beats_the_baseline(tmp_path):
    for algorithm, after, number in (
        ("maml", 0.9, 0),
        ("anil", 0.7, 1),
        ("pretrain", 0.7, 2),
        ("boil", 0.4, 3),
    ):
        run_with_result(tmp_path, algorithm, after, values_seed=number)
    finished_run(tmp_path, "fomaml")
    made = view(tmp_path)
    mine, theirs = np.array(accuracies(0.9))[:, -1], np.array(accuracies(0.7, seed=2))[:, -1]
    gain = 100 * (mine - theirs)
    half_width = 1.96 * gain.std(ddof=1) / 60**0.5
    assert answer(made, made.row("maml")) == (
        f"maml beats pretrain: its accuracy is higher by {gain.mean():.1f} ± {half_width:.1f} points "
        "(95 % interval over 60 test episodes, paired one by one; one training of each)."
    )
    assert answer(made, made.row("boil")).startswith("boil does not beat pretrain: its accuracy is lower by ")
    assert answer(made, made.row("anil")).startswith("Undecided whether anil beats pretrain: ")
    assert answer(made, made.row("fomaml")) == "Whether fomaml beats pretrain is not known: not tested yet."
    others = "Against pretrain: maml better; boil worse; anil undecided; fomaml not known."
    assert answer(made, made.row("pretrain")) == others
    without = view(tmp_path, "none")
    assert answer(without, without.row("maml")).startswith("No baseline is chosen")


def test_without_a_shared_seed_that_is_the_reason(tmp_path):
    run_with_result(tmp_path, "maml", 0.9)
    run_with_result(tmp_path, "pretrain", 0.7, seed=3)
    made = view(tmp_path)
    row = made.row("maml")
    said = "Whether maml beats pretrain is not known: they have no training seed in common."
    assert answer(made, row) == said
    assert "have no training seed in common" in why_no_difference(made, row)


def test_the_sentence_names_seeds_and_a_lower_error_is_better(tmp_path):
    for seed in (0, 1, 2):
        for algorithm, error in (("maml", 0.2), ("pretrain", 1.0)):
            run = finished_run(tmp_path, algorithm, task="sine-10shot", seed=seed)
            add_result(run, [[3.0, error + seed / 100 * (algorithm == "maml")] for _ in range(40)])
    made = view(tmp_path)
    half_width = 4.303 * 0.01 / 3**0.5
    assert answer(made, made.row("maml")) == (
        f"maml beats pretrain: its error is lower by 0.790 ± {half_width:.3f} "
        "(95 % interval over 3 training seeds, 40 test episodes paired one by one in each)."
    )


def test_baselines_come_round_again(runs):
    made, seen = view(runs), []
    for _ in range(4):
        seen.append(made.baseline)
        made = view(runs, next_baseline(made))
    assert seen[0] == "pretrain" and set(seen) == {"pretrain", "maml", "anil", None}
    assert made.baseline == "pretrain"


def test_more_episodes_are_what_would_decide_else_twice_as_many(tmp_path):
    run_with_result(tmp_path, "maml", 0.703, episodes=200)
    run_with_result(tmp_path, "pretrain", 0.70, episodes=200, values_seed=1)
    made = view(tmp_path)
    row = made.row("maml")
    needed = episodes_needed(row["vs_baseline"], 200)
    asked = more_episodes(made, row)
    assert asked is not None and needed is not None and asked >= min(needed, 20_000)
    assert more_episodes(made, made.row("pretrain")) == 400
    # Of 200 episodes with twice the half-width four times as many would decide; with 30 times, 180,000.
    for half_width, said in ((1.0, "; about 800 would [e]"), (15.0, "; about 180,000 would ([e] asks for")):
        undecided = {**row, "vs_baseline": {"mean": 0.5, "ci95": half_width, "over": "episodes"}}
        assert what_would_decide(made, undecided).startswith(said)


# The screen


@pytest.mark.parametrize("size", SIZES)
def test_the_table_says_what_is_better_and_what_is_not_tested(runs, size):
    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        lines = rows_of(app)
        assert list(lines) == ["maml", "anil", "boil", "pretrain"]
        expected = app.screen.view.row("maml")["after"]["mean"]
        assert lines["maml"][2].startswith(f"{expected:.1f} ± ") and lines["maml"][2].endswith("(5)")
        assert "better" in lines["maml"][3] and lines["pretrain"][3] == "baseline"
        assert lines["boil"][2] == "not tested yet"
        text = on_screen(app)
        assert TASK in text and "maml" in text and "Accuracy against inner steps" in text
        notes = app.screen.query_one(Notes)
        notes.focus()
        await pilot.pause()
        await pilot.pause()
        assert "Protocol: split standard" in on_screen(app)
        assert f"{60} test episodes" in " ".join(text.split())

    shown(runs, look, size)


def test_a_small_terminal_scrolls_to_every_column_and_panel(runs):
    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        assert "tasks seen" not in on_screen(app)
        await pilot.press("end")
        await until(pilot, lambda: "seeds" in on_screen(app) and "maml" in on_screen(app))
        await pilot.press("tab", "tab")
        await until(pilot, lambda: "better in" in on_screen(app))

    shown(runs, look, (80, 24))


def test_the_histogram_follows_the_cursor(runs):
    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        assert "maml better in" in on_screen(app)
        await pilot.press("down")
        await pilot.pause()
        assert "anil better in" in on_screen(app)
        await pilot.press("down")
        await pilot.pause()
        assert "boil and pretrain have no" in on_screen(app)

    shown(runs, look)


def test_another_baseline_and_another_table(runs):
    other = finished_run(runs, "maml", task="sine-10shot")
    add_result(other, [[3.0, 0.1 + number / 100] for number in range(30)])

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        first = screen.view.table["task"]
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: screen.view.table["task"] != first)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: screen.view.table["task"] == first)
        if first != TASK:
            await pilot.press("right_square_bracket")
            await until(pilot, lambda: screen.view.table["task"] == TASK)
        before = screen.view.baseline
        await pilot.press("b")
        await until(pilot, lambda: screen.view.baseline != before)
        assert "mean squared error" not in on_screen(app)

    shown(runs, look)


def test_curves_by_time_ask_for_the_histories_and_by_steps_do_not(runs, monkeypatch):
    asked: list[list[str]] = []

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        monkeypatch.setattr(app.reader, "watch", lambda wanted: asked.append(list(wanted)))
        await pilot.press("i")
        assert not asked
        await pilot.press("t")
        await pilot.pause()
        maml = app.screen.view.row("maml")["runs"][0]
        assert maml in asked[-1]
        assert "by training time" in app.screen.query_one(Chart).title
        await pilot.press("n")
        await pilot.pause()
        assert "by tasks seen" in app.screen.query_one(Chart).title

    shown(runs, look)


def test_only_the_screen_that_is_shown_says_which_histories_are_read(runs, monkeypatch):
    """A view that comes while Bench is shown must not take Bench's histories away, and the reverse."""
    asked: list[list[str]] = []

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        monkeypatch.setattr(app.reader, "watch", lambda wanted: asked.append(list(wanted)))
        compare = app.screen
        await pilot.press("t", "1")
        await until(pilot, lambda: isinstance(app.screen, BenchScreen))
        bench = app.screen
        await until(pilot, lambda: bool(asked) and asked[-1] == list(bench.runs_to_watch) != [])
        before = len(asked)
        compare._draw_view()
        assert len(asked) == before
        await pilot.press("3")
        await until(pilot, lambda: app.screen is compare and asked[-1] == runs_of(compare.view))
        before = len(asked)
        bench.refresh_picture()
        assert len(asked) == before

    shown(runs, look)


def test_beside_curves_by_time_stand_the_rows_at_equal_seconds(runs):
    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        row = app.screen.view.row("maml")
        with EventWriter(runs / row["runs"][0] / "events.jsonl") as events:
            events.append("validation", step=100, metric=[0.2, 0.625], ci95=[0.1, 0.02])
            events.append("checkpoint", step=100, seconds=42.0)
        assert "At equal seconds" not in noted(app)
        await pilot.press("t")
        await until(pilot, lambda: "within 42 s, the shortest training" in noted(app))
        assert "62.5 ± 2.0" in noted(app)
        await pilot.press("i")
        await pilot.pause()
        assert "At equal seconds" not in noted(app)

    shown(runs, look)


def test_enter_opens_the_episode_of_the_selected_run(runs):
    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        expected = app.screen.view.row("maml")["runs"][0]
        await pilot.press("enter")
        await pilot.pause()
        assert app.current_mode == "episode" and app.run_in_focus == expected

    shown(runs, look)


def test_the_run_in_focus_chooses_the_table(runs):
    other = run_with_result(runs, "maml", 0.9, task="omniglot-5way-1shot")
    run_with_result(runs, "fomaml", 0.9)

    async def go() -> None:
        app = Workbench(runs, runs.parent)
        async with app.run_test(size=(120, 36)) as pilot:
            app.run_in_focus = other.id
            await pilot.press("3")
            await until(pilot, lambda: getattr(app.screen, "view", None) is not None)
            assert app.screen.view.table["task"] == "omniglot-5way-1shot"
            app.run_in_focus = next(each.id for each in list_runs(runs) if each.algorithm == "anil")
            await pilot.press("1", "3")
            await until(pilot, lambda: app.screen.view.table["task"] == TASK)

    asyncio.run(go())


def test_exports_are_what_the_command_line_prints(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        table = app.screen.view.table
        for key, kind in (("m", "md"), ("v", "csv"), ("J", "json")):
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, ExportScreen) and app.screen.kind == kind
            text = app.screen.text
            await pilot.press("y")
            await pilot.pause()
            assert app.clipboard == text
            if kind == "json":
                assert json.loads(text)["rows"][0]["label"] == table["rows"][0]["label"]
            elif kind == "csv":
                read = list(csv.DictReader(io.StringIO(text)))
                assert float(read[0]["after"]) == pytest.approx(table["rows"][0]["after"]["mean"])
            await pilot.press("w", "enter")
            written = tmp_path / f"{TASK}.{kind}"
            await until(pilot, lambda: isinstance(app.screen, CompareScreen))
            assert written.read_text() == text + "\n"
        # What is there already is not written over: the name stays to be changed.
        await pilot.press("m", "w", "enter")
        await until(pilot, lambda: any("is there already" in each.message for each in app._notifications))
        assert isinstance(app.screen, ExportScreen)
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert isinstance(app.screen, CompareScreen)

    shown(runs, look)


def test_a_file_that_is_there_is_never_overwritten(tmp_path):
    from engine.errors import RequestError

    path = tmp_path / "table.md"
    path.write_text("mine")
    with pytest.raises(RequestError, match="is there already"):
        write_new(path, "other")
    assert path.read_text() == "mine"
    with pytest.raises(RequestError, match="cannot write"):
        write_new(tmp_path / "none" / "table.md", "x")


def test_y_copies_the_table_as_markdown(runs):
    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        await pilot.press("y")
        await pilot.pause()
        assert app.clipboard.startswith(f"**{TASK}")

    shown(runs, look)


def test_new_results_come_by_themselves(runs):
    boil = next(each.run for each in list_runs(runs) if each.algorithm == "boil")

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        assert app.screen.view.row("boil")["after"] is None
        await pilot.press("down", "down")
        add_result(boil, accuracies(0.95))
        await until(pilot, lambda: app.screen.view.row("boil")["after"] is not None)
        await pilot.pause()
        assert app.screen.query_one(ResultTable).cursor_row == 0
        assert app.screen.selected_row["label"] == "boil" and "boil better in" in on_screen(app)

    shown(runs, look)


def by_standin(monkeypatch, dies: str = ""):
    """Workers are those of tests: quick, and dying for the algorithm `dies`."""
    monkeypatch.setenv("STANDIN_DIES", dies)
    worker = Path(__file__).with_name("standin_worker.py")
    monkeypatch.setattr(
        processes, "worker_command", lambda *given: [sys.executable, "-P", str(worker), *given]
    )


async def fails(pilot: Pilot[int]) -> None:
    """Tests boil, in vain."""
    await pilot.press("e")
    await until(pilot, lambda: "boil: its test failed: " in noted(pilot.app))


def test_e_tests_what_is_not_tested_then_asks_for_more_episodes(runs, monkeypatch):
    """With the stand-in worker, whose protocol has fewer keys than a real one's: the results are its own."""
    by_standin(monkeypatch)

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        screen: Any = app.screen
        assert screen.check_action("stop_tests", ()) is None
        await pilot.press("e")
        await pilot.pause()
        assert screen.check_action("test", ()) is None
        boil = next(each.run for each in list_runs(runs) if each.algorithm == "boil")
        await until(pilot, lambda: any(boil.results.glob("*.json")) and not screen._tests.under_way)
        assert screen.check_action("test", ()) is True
        assert all(len(list(each.run.results.glob("*.json"))) == 1 for each in list_runs(runs))

    shown(runs, look)


def test_what_can_never_be_tested_says_why_and_is_left_alone(runs, monkeypatch):
    """boil has no checkpoint: `e` asks for more episodes of the others and never for boil again."""
    boil = next(each.run for each in list_runs(runs) if each.algorithm == "boil")
    for path in boil.checkpoints.iterdir():
        path.unlink()
    by_standin(monkeypatch)

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        screen: Any = app.screen
        lines = rows_of(app)
        assert lines["boil"][2] == "cannot be tested"
        assert "boil: cannot be tested: it has no checkpoint" in noted(app)
        asked: list[Any] = []
        monkeypatch.setattr(screen._tests, "begin", asked.append)
        await pilot.press("e")
        assert asked[0].episodes == 120 and set(asked[0].left_alone) == {boil.id}
        tests, refused = wanted_tests(screen.view.standing, 120, app.data_dir, asked[0].left_alone)
        assert {test.label for test in tests} == {"maml", "anil", "pretrain"} and not refused

    shown(runs, look)


def test_a_test_that_failed_is_asked_for_again_and_then_the_others_on_more_episodes(runs, monkeypatch):
    by_standin(monkeypatch, "boil")

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        screen: Any = app.screen
        await fails(pilot)
        assert not screen._tests.under_way and not screen._tests.display
        assert rows_of(app)["boil"][2] == "its test failed"
        asked: list[Any] = []
        monkeypatch.setattr(screen._tests, "begin", asked.append)
        await pilot.press("e", "e", "e")
        # Again; then all but boil on more episodes; then boil again.
        rounds = [(each.episodes, len(each.left_alone)) for each in asked]
        assert rounds == [(None, 0), (120, 1), (None, 0)]

    shown(runs, look)


def test_a_failed_test_may_go_well_the_next_time(runs, monkeypatch):
    by_standin(monkeypatch, "boil")

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        await fails(pilot)
        monkeypatch.delenv("STANDIN_DIES")
        await pilot.press("e")
        await until(pilot, lambda: "its test failed" not in noted(app))
        boil = next(each.run for each in list_runs(runs) if each.algorithm == "boil")
        assert len(read_evaluations(boil)) == 1

    shown(runs, look)


def test_a_table_that_cannot_be_made_is_told_once_and_looked_at_again(runs, monkeypatch):
    told: list[str] = []

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        screen: Any = app.screen
        monkeypatch.setattr(app, "complain", told.append)
        looks: list[int] = []

        def fail(*asked: Any) -> None:
            looks.append(1)
            raise ZeroDivisionError("by a file")

        with monkeypatch.context() as patch:
            patch.setattr(screen._views, "view", fail)
            for _ in range(3):
                screen._ask_for_view()
                await until(pilot, lambda: not screen._looking)
            assert len(looks) >= 3 and told == ["ZeroDivisionError: by a file"]
        await pilot.press("b")
        await until(pilot, lambda: screen.view.baseline != "pretrain")

    shown(runs, look)


@pytest.mark.parametrize("panel", [Chart, Histogram])
def test_the_help_has_the_chart_s_keys_and_says_how_to_reach_them(runs, panel):
    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        screen = app.screen
        screen.query_one(panel).focus()
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        told = help_text("compare", screen).plain
        assert all(f"{key.label}: {key.help}" in told for key in CHART_KEYS)
        title = "Chart" if panel is Chart else "Chart, when it has the focus (tab)"
        assert title in told.splitlines()

    shown(runs, look)


def test_the_help_has_the_table_s_keys(runs):
    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        lines = help_text("compare", app.screen).plain.splitlines()
        assert "Notes, when it has the focus (tab)" in lines
        assert any(f"{key.label}: {key.help}" in line for key in NOTES_KEYS for line in lines)
        told = lines[lines.index("Result table") :]
        pressed = {name for line in told for name in line.split("  ")[0].split()}
        assert {"↑", "k", "↓", "j", "←", "h", "→", "l", "page", "home", "end"} <= pressed
        table = app.screen.query_one(ResultTable)
        before = table.scroll_x
        await pilot.press("right", "down")
        assert table.cursor_row == 1 and table.scroll_target_x > before

    shown(runs, look, (80, 24))


def test_an_empty_folder_says_what_to_do(tmp_path):
    async def go() -> None:
        app = Workbench(tmp_path / "none", tmp_path)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("3")
            await until(pilot, lambda: "nothing to compare yet" in on_screen(app))
            await pilot.press("b", "e", "m", "v", "J", "x", "enter", "t", "n", "i", "right_square_bracket")
            await pilot.pause()
            assert isinstance(app.screen, CompareScreen)
            assert "Log scale" not in help_text("compare", app.screen).plain, "no chart is shown"

    asyncio.run(go())


@pytest.mark.parametrize("size", (SIZES[0], SIZES[-1]))
def test_hostile_names_and_numbers_break_nothing(tmp_path, size):
    run = finished_run(tmp_path, "maml")
    add_result(run, accuracies(0.9))
    add_result(run, accuracies(0.9), "b" * 16, algorithm="[red]evil[/] \x1b[31m\n\u202e" + "x" * 300)
    add_result(run, [[None, 1e308, 0.1]] * 60, "c" * 16, algorithm="[@click=app.quit()]q[/]")
    pretrain = run_with_result(tmp_path, "pretrain", 0.7)
    add_result(pretrain, [[None] * 3] * 60, "d" * 16, algorithm="nothing finite")
    add_result(pretrain, accuracies(0.7), "e" * 16, protocol={"ways": ["x"]} | {"[b]": "[red]"})
    status = json.loads(run.status_path.read_text())
    run.status_path.write_text(json.dumps(status | {"seconds": "soon"}))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "status.json").write_text('{"state": "fin')

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        text = on_screen(app)
        assert "\x1b" not in text and "\u202e" not in text and "[red]evil" in text
        for keys in (["down"] * 4, ["b"] * 3, ["right_square_bracket"] * 2, ["t", "n", "i"]):
            await pilot.press(*keys)
            await pilot.pause()
        await pilot.press("m")
        await pilot.pause()
        assert isinstance(app.screen, ExportScreen)
        await pilot.press("escape")

    shown(tmp_path, look, size)


def test_what_is_undecided_says_how_many_episodes_would_decide(tmp_path):
    shape = protocol_of("accuracy", 300)
    for algorithm, number in (("maml", 0), ("pretrain", 5)):
        run = finished_run(tmp_path, algorithm)
        add_result(run, accuracies(0.8, 300, seed=number), protocol=shape)
    made = view(tmp_path)
    row = made.row("maml")
    assert row["vs_baseline"]["ci95"] >= abs(row["vs_baseline"]["mean"])

    async def look(app: Workbench, pilot: Pilot[int]) -> None:
        for words in ("undecided ¹", "¹ 300 episodes cannot tell these apart; about "):
            await until(pilot, lambda words=words: words in " ".join(on_screen(app).split()))

    shown(tmp_path, look)
