"""The bench screen under Textual's pilot: choosing, settings, starting, watching, at three sizes."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import make_run
from patience import until
from rich.console import Console
from rich.text import Text
from runs_app import StillReader
from textual.pilot import Pilot
from textual.widgets import Input, Static

from engine.presets import list_presets, resolve
from engine.runs import Summary, list_runs
from engine.runs.columns import History
from engine.runs.rows import Options
from tui import app as app_module
from tui.app import Workbench
from tui.bench.catalog import load_catalog
from tui.bench.choose import Choose
from tui.bench.choosing import AlgorithmList, StartLine, TaskList, about_algorithm
from tui.bench.field_list import FieldList
from tui.bench.panel import Panel, fill
from tui.bench.progress_lines import verdict_lines
from tui.bench.run_facts import run_facts
from tui.bench.selection import Selection
from tui.bench.shown import looked_at, row_names, shown_runs
from tui.bench.waves import family, fit_curves
from tui.choices import choices_of
from tui.screens.bench import BenchScreen
from tui.screens.help import help_text
from tui.screens.settings import SettingsScreen
from tui.screens.welcome import Welcome
from tui.snapshot import SessionNow, Snapshot
from tui.snapshot import TestNow as TestingNow
from tui.widgets.chart import Chart

SIZES = [(80, 24), (120, 36), (200, 60)]
Action = Callable[[Pilot[int], "App"], Awaitable[None]]


class App(Workbench):
    """The workbench whose pictures and starts are the test's."""

    CSS_PATH = str(Path(app_module.__file__).with_name("theme.tcss"))

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "runs", folder / "data")
        self.reader = StillReader(folder / "runs", lambda picture: None)
        self.begun: list[tuple[list[str], Options]] = []
        self.complaints: list[str] = []

    def begin(self, what: Any, options: Options) -> None:  # type: ignore[override]
        self.begun.append((list(what), options))

    def complain(self, text: str) -> None:
        self.complaints.append(text)
        super().complain(text)

    async def picture(self, pilot: Pilot[int], picture: Snapshot) -> None:
        self.post_message(self.Pictured(picture))
        await pilot.pause()
        await pilot.pause()


def run_app(folder: Path, size: tuple[int, int], action: Action) -> None:
    async def go() -> None:
        app = App(folder)
        async with app.run_test(size=size) as pilot:
            await read(pilot, app)
            await action(pilot, app)

    asyncio.run(go())


async def read(pilot: Pilot[int], app: Workbench) -> None:
    """Waits until the preset files have been read and the curves are there."""
    screen = app.screen
    assert isinstance(screen, BenchScreen)
    choose = screen.choose
    await until(pilot, lambda: any(entry.summary or entry.problem for entry in choose.catalog.tasks))
    await until(pilot, lambda: screen.is_whole)
    await pilot.pause()


def screen_text(app: Workbench) -> str:
    """What stands on the screen."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def history(iterations: int = 5, steps: int = 1) -> History:
    """A run that learns: the support loss falls within a task, the metric rises over training."""
    at = np.arange(1.0, iterations + 1) * 20
    inner = np.linspace(1.5, 0.4, steps + 1)
    return History(
        train_step=at,
        train_time=at,
        outer_loss=np.linspace(1.6, 0.3, iterations),
        support_loss=np.tile(inner, (iterations, 1)),
        norms=np.tile(np.arange(1.0, steps + 1), (iterations, 1)),
        validation_step=at,
        validation_time=at,
        validation_steps=tuple(range(steps + 1)),
        validation=np.column_stack([np.full(iterations, 0.2), *[np.linspace(0.5, 0.9, iterations)] * steps]),
        validation_ci95=np.full((iterations, steps + 1), 0.01),
    )


def made(folder: Path, *states: str) -> tuple[Summary, ...]:
    """Runs of one task, one for each state, oldest first in the folder, newest first here; their states are
    as given: no process holds them."""
    from dataclasses import replace

    runs = folder / "runs"
    runs.mkdir(exist_ok=True)
    for seed, state in enumerate(states):
        make_run(runs, seed=seed, state=state, steps=100, step=20)
    found = list_runs(runs)
    return tuple(
        replace(
            summary, status=replace(summary.status, state=states[summary.seed or 0], phase="", error=None)
        )
        for summary in reversed(found)
    )


# Choosing


@pytest.mark.parametrize("size", SIZES)
def test_lists_show_families_marks_and_what_is_chosen(tmp_path: Path, size: tuple[int, int]) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        await pilot.press("left_square_bracket")
        text = screen_text(app)
        for words in (
            "Gradient-based",
            "◆ maml",
            "second order",
            "sine-10shot",
            "g starts maml, pretrain on",
        ):
            assert words in text

    run_app(tmp_path, size, action)


def test_space_chooses_several_and_enter_chooses_the_task(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        screen = app.screen
        assert isinstance(screen, BenchScreen)
        await pilot.press("left_square_bracket")
        screen.query_one(AlgorithmList).highlight("anil")
        await pilot.press("space")
        assert screen.selection.algorithms == ("maml", "pretrain", "anil")
        await pilot.press("space")
        assert screen.selection.algorithms == ("maml", "pretrain")
        screen.query_one(TaskList).focus()
        await pilot.pause()
        screen.query_one(TaskList).highlight("glyphs-5way-1shot")
        await pilot.press("enter")
        assert screen.selection.task == "glyphs-5way-1shot"
        await until(pilot, lambda: screen.choose.outlook is not None)
        assert screen.choose.outlook is not None and "for 2 trainings" in screen.choose.outlook.text

    run_app(tmp_path, (120, 36), action)


def test_the_algorithm_under_the_cursor_is_explained(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        app.screen.query_one(AlgorithmList).highlight("anil")
        await pilot.pause()
        about = str(app.screen.query_one("#about-text", Static).render())
        assert "inner loop moves the head alone" in about
        assert "tasks sine waves" in about and "inner gradient, head alone" in about
        assert "outer meta-gradient, second order" in about and "Raghu" in about

    run_app(tmp_path, (120, 36), action)


def test_missing_data_are_said_with_how_to_get_them(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        tasks = app.screen.query_one(TaskList)
        tasks.focus()
        await pilot.pause()
        tasks.highlight("omniglot-5way-1shot")
        await pilot.pause()
        about = str(app.screen.query_one("#about-text", Static).render())
        assert str(tmp_path / "data") in about.replace("\n", "") and "kshot data fetch" in about
        assert "⇣" in screen_text(app)
        await pilot.press("enter")
        screen = app.screen
        assert isinstance(screen, BenchScreen)
        await until(pilot, lambda: screen.choose.outlook is not None)
        assert screen.choose.outlook is not None and screen.choose.outlook.problem

    run_app(tmp_path, (120, 36), action)


def test_a_missing_presets_folder_is_said_and_nothing_falls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSHOT_PRESETS", str(tmp_path / "nowhere"))

    async def go() -> None:
        app = App(tmp_path)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: bool(app.complaints))
            assert "there is no such folder" in app.complaints[0]
            await pilot.press("tab", "space", "enter", "g", "right_square_bracket")
            assert app.is_running

    asyncio.run(go())


def test_hostile_presets_are_listed_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    algorithms = tmp_path / "own" / "algorithms"
    algorithms.mkdir(parents=True)
    (algorithms / "[bold]x[nope].yaml").write_text('summary: "[red]\\e[31mred"\nfamily: "[link=x]"\n')
    (algorithms / "broken.yaml").write_text("adaptation: {stops: 3}\n")
    monkeypatch.setenv("KSHOT_PRESETS", str(tmp_path / "own"))

    async def action(pilot: Pilot[int], app: App) -> None:
        algorithms = app.screen.query_one(AlgorithmList)
        algorithms.highlight("broken")
        await pilot.pause()
        assert "stops" in str(app.screen.query_one("#about-text", Static).render())
        algorithms.highlight("[bold]x[nope]")
        await pilot.pause()
        assert "[bold]x[nope]" in screen_text(app)
        assert "[red][31mred" in str(app.screen.query_one("#about-text", Static).render())

    run_app(tmp_path, (120, 36), action)


def test_the_lists_are_kept_to_what_has_the_words(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        screen = app.screen
        assert isinstance(screen, BenchScreen)
        algorithms, tasks = screen.query_one(AlgorithmList), screen.query_one(TaskList)
        whole = algorithms.option_count
        await pilot.press("slash", *"raghu")
        folder = Path(app_module.__file__).parent.parent / "presets" / "algorithms"
        named = {path.stem for path in folder.glob("*.yaml") if "Raghu" in path.read_text()}
        await until(pilot, lambda: {name for name in algorithms._names if name} == named)
        assert tasks.option_count == 0
        await pilot.press("enter")
        algorithms.highlight("anil")
        await pilot.press("space")
        await until(pilot, lambda: "anil" in screen.selection.algorithms)
        assert app.focused is algorithms
        await pilot.press("escape")
        await until(pilot, lambda: algorithms.option_count == whole and tasks.option_count > 0)
        assert algorithms.name_in_focus == "anil" and not screen.query("#find")

    run_app(tmp_path, (120, 36), action)


# Starting


@pytest.mark.parametrize("size", SIZES)
def test_the_first_start_needs_one_key(tmp_path: Path, size: tuple[int, int]) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        assert isinstance(app.focused, Welcome)
        await app.picture(pilot, Snapshot(taken=1.0))
        assert isinstance(app.focused, Welcome)
        assert "sine waves: MAML against pretraining" in str(app.focused.render())
        await pilot.press("enter")
        assert app.begun == [(["sine-10shot", "maml", "pretrain"], Options())]

    run_app(tmp_path, size, action)


def test_g_and_enter_on_the_start_line_start_what_is_chosen(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        await pilot.press("g")
        app.screen.query_one(StartLine).focus()
        await pilot.pause()
        await pilot.press("enter")
        assert [what for what, _ in app.begun] == [["sine-10shot", "maml", "pretrain"]] * 2

    run_app(tmp_path, (120, 36), action)


def test_the_help_says_where_space_and_enter_work(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        screen = app.screen
        seen = {}
        for panel in (AlgorithmList, TaskList, StartLine, Chart):
            screen.query(panel).first().focus()
            await pilot.pause()
            told = help_text("bench", screen).plain.splitlines()
            after = {line.split()[0]: told[at + 1] for at, line in enumerate(told[:-1]) if line.strip()}
            seen[panel] = ["" if "not now" not in after[key] else after[key] for key in ("space", "enter")]
        space, enter = (words.strip() for words in seen[Chart])
        assert space == "not now: works in the list of algorithms (tab)"
        assert enter == "not now: works in the lists and on the start line (tab)"
        assert seen[AlgorithmList] == ["", ""]
        for panel in (TaskList, StartLine):
            assert [bool(words) for words in seen[panel]] == [True, False]

    run_app(tmp_path, (120, 36), action)


def test_a_start_that_is_refused_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    class Real(App):
        CSS_PATH = App.CSS_PATH
        begin = Workbench.begin  # type: ignore[assignment]

    async def go() -> None:
        app = Real(tmp_path)
        async with app.run_test(size=(120, 36)) as pilot:
            await read(pilot, app)
            choose = app.screen.query_one(Choose)
            choose.take(Selection("omniglot-5way-1shot", ("maml",)))
            await pilot.press("g")
            await until(pilot, lambda: bool(app.complaints))
            await until(pilot, lambda: not choose.starting)
            assert "omniglot" in app.complaints[0]
            assert not list_runs(tmp_path / "runs")

    asyncio.run(go())


def test_nothing_chosen_cannot_be_started(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        screen = app.screen
        assert isinstance(screen, BenchScreen)
        screen.choose.take(Selection("sine-10shot"))
        await pilot.press("g")
        assert not app.begun and screen.check_action("start", ()) is None
        assert "choose an algorithm" in " ".join(screen_text(app).split())

    run_app(tmp_path, (120, 36), action)


def test_the_copied_command_does_the_same(tmp_path: Path) -> None:
    selection = Selection(
        "sine-10shot", ("maml",), ("adaptation.steps=2", "anil:outer.clip=1"), "paper", 3, 1
    )
    command = selection.command(["--runs-dir", "a b"])
    assert command == (
        "kshot compare sine-10shot maml --set adaptation.steps=2 --budget paper --seed 1 --seeds 3 "
        "--runs-dir 'a b'"
    )

    async def action(pilot: Pilot[int], app: App) -> None:
        await pilot.press("c")
        assert app.clipboard.startswith("kshot compare sine-10shot maml pretrain")
        assert str(tmp_path / "runs") in app.clipboard

    run_app(tmp_path, (120, 36), action)


# Settings


async def form(pilot: Pilot[int], app: App) -> SettingsScreen:
    await pilot.press("s")
    await until(pilot, lambda: isinstance(app.screen, SettingsScreen) and bool(app.screen.fields))
    assert isinstance(app.screen, SettingsScreen)
    return app.screen


async def enter_value(pilot: Pilot[int], screen: SettingsScreen, path: str, text: str) -> None:
    from tui.bench.choosing import GroupedList

    screen.query_one(GroupedList).highlight(path)
    await pilot.press("enter")
    screen.query_one(Input).value = text
    await pilot.press("enter")


@pytest.mark.parametrize("size", SIZES[:2])
def test_a_changed_value_is_marked_and_started(tmp_path: Path, size: tuple[int, int]) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        screen = await form(pilot, app)
        await enter_value(pilot, screen, "task.shots", "7")
        await until(pilot, lambda: screen.fields["task.shots"].value == "7")
        await pilot.pause()
        assert "replaces 10" in screen_text(app)
        await enter_value(pilot, screen, "seeds", "2")
        await until(pilot, lambda: screen.selection.seeds == 2)
        await pilot.press("escape")
        await pilot.press("g")
        assert app.begun[0][1] == Options(overrides=("task.shots=7",), seeds=2)

    run_app(tmp_path, size, action)


def test_keys_are_found_by_name_and_by_description(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        screen = await form(pilot, app)
        rows = screen.query_one(FieldList)
        whole = rows.option_count
        await pilot.press("slash", *"shots")
        assert [row for row in rows._names if row] == ["task.shots", "training.shots"]
        await pilot.press("enter", "enter")
        assert app.focused is screen.query_one("#value")
        await pilot.press("backspace", "backspace", "7", "enter")
        await until(pilot, lambda: screen.fields["task.shots"].value == "7")
        assert rows.option_count == 4
        await pilot.press("escape")
        assert rows.option_count == whole and app.screen is screen
        await pilot.press("slash", *"points lie", "enter")
        assert {row for row in rows._names if row} == {"task.support_x", "task.query_x"}
        await pilot.press("slash", "q", "z")
        assert rows.option_count == 0 and "no key has the words qz" in screen_text(app)
        await pilot.press("escape", "escape")
        assert not isinstance(app.screen, SettingsScreen)

    run_app(tmp_path, (80, 24), action)


def test_a_wrong_value_is_refused_in_the_schemas_words(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        screen = await form(pilot, app)
        said = screen.query_one("#said", Static)
        await enter_value(pilot, screen, "adaptation.steps", "-1")
        await until(pilot, lambda: "must be at least 0" in str(said.render()))
        assert screen.query_one(Input).display
        await pilot.press("escape")
        await enter_value(pilot, screen, "seeds", "none")
        await until(pilot, lambda: "--seeds must be a whole number" in str(said.render()))
        await pilot.press("escape", "escape")
        assert not isinstance(app.screen, SettingsScreen)
        assert app.screen.query_one(Choose).selection.changes == 0

    run_app(tmp_path, (80, 24), action)


def test_undo_and_scope(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        screen = await form(pilot, app)
        await pilot.press("a")
        await enter_value(pilot, screen, "adaptation.steps", "3")
        await until(pilot, lambda: screen.selection.overrides == ("maml:adaptation.steps=3",))
        await until(pilot, lambda: screen.fields["adaptation.steps"].was == "1")
        await pilot.press("u")
        await until(pilot, lambda: screen.selection.overrides == ())

    run_app(tmp_path, (120, 36), action)


def test_every_key_of_a_spec_stands_in_the_form() -> None:
    from engine.presets import spec_to_dict
    from tui.bench.form import form as fields_of_form

    fields, said = fields_of_form(Selection("glyphs-5way-1shot", ("maml",)), "maml")
    assert said == ""
    shown = {field.path for field in fields}
    spec = spec_to_dict(resolve("glyphs-5way-1shot", "maml").spec)
    wanted = {f"training.{key}" for key in spec["training"] if key != "validation"}
    assert wanted <= shown and "training.validation.every" in shown
    locked = {field.path: field.locked for field in fields if field.locked}
    assert locked["model.hidden"] == "needs model.name mlp"


def test_an_algorithm_s_three_choices_are_told_as_on_the_command_line(tmp_path: Path) -> None:
    catalog = load_catalog(tmp_path)
    task = catalog.task("sine-10shot")
    assert task is not None
    contents = {preset.name: preset.content for preset in list_presets("algorithms")}
    for name in ("maml", "pretrain", "random-init"):
        entry = catalog.algorithm(name)
        assert entry is not None
        for told in (about_algorithm(entry, None).plain, about_algorithm(entry, task).plain):
            assert all(words in told for words in choices_of(contents[name]).values()), told
        assert task.tasks in about_algorithm(entry, task).plain


# Watching


@pytest.mark.parametrize("size", SIZES)
def test_runs_are_laid_over_one_another_and_watched(tmp_path: Path, size: tuple[int, int]) -> None:
    runs = made(tmp_path, "running", "queued")
    histories = {runs[1].id: history()}

    async def action(pilot: Pilot[int], app: App) -> None:
        await app.picture(pilot, Snapshot(1.0, runs, histories=histories))
        assert isinstance(app.reader, StillReader) and app.reader.asked_for == (runs[1].id, runs[0].id)
        await app.picture(pilot, Snapshot(2.0, runs, histories=histories))
        screen = app.screen
        assert not screen.query_one(Welcome).display
        gain = screen.query_one("#gain", Panel).shown
        assert gain is not None and "0.200 → 0.900" in gain.plain
        assert "+0.700" in gain.plain
        norms = screen.query_one("#norms", Panel).shown
        assert norms is not None and norms.plain.count("\n") == 0
        facts = screen.query_one("#facts", Panel).shown
        assert facts is not None and "20 of 100 iterations" in facts.plain
        assert screen.query_one("#error", Chart).display is True
        assert screen.query_one("#accuracy", Chart).display is False
        await pilot.press("o")
        other = screen.query_one("#facts", Panel).shown
        assert other is not None and "queued behind 1" in other.plain

    run_app(tmp_path, size, action)


def test_rules_without_steps_have_no_fan_and_no_gain(tmp_path: Path) -> None:
    runs = made(tmp_path, "running")

    async def action(pilot: Pilot[int], app: App) -> None:
        await app.picture(pilot, Snapshot(1.0, runs, histories={runs[0].id: history(steps=0)}))
        assert app.screen.query_one("#gain", Panel).shown is None
        assert app.screen.query_one("#norms", Panel).shown is None
        assert app.screen.query_one("#fan", Chart).display is False

    run_app(tmp_path, (120, 36), action)


def test_tests_under_way_and_the_verdict_are_told(tmp_path: Path) -> None:
    runs = made(tmp_path, "finished")
    begun = {"maml": (runs[0].id,)}
    testing = SessionNow("sine-10shot", begun, (TestingNow("maml", "testing", 120, 600),), (), False)
    done = SessionNow("sine-10shot", begun, (), (sine_table(),), True)

    async def action(pilot: Pilot[int], app: App) -> None:
        await app.picture(pilot, Snapshot(1.0, runs, session=testing))
        said = app.screen.query_one("#session", Panel)
        assert said.shown is not None and said.shown.plain == "testing maml: testing 120 of 600"
        await app.picture(pilot, Snapshot(2.0, runs, session=done))
        assert said.shown.plain.endswith("better by 0.279 ± 0.058; 3 compares")
        many = tuple(TestingNow(f"maml {number}", "testing", 120, 600) for number in range(9))
        await app.picture(pilot, Snapshot(3.0, runs, session=replace(testing, tests=many)))
        box = app.screen.query_one("#said")
        box.focus()
        await pilot.press("end")
        await until(pilot, lambda: "maml 8: testing" in screen_text(app))
        await app.picture(pilot, Snapshot(4.0, runs, histories={}))
        assert not box.display

    run_app(tmp_path, (120, 36), action)


def test_what_the_start_line_says_can_be_read_to_its_end(tmp_path: Path) -> None:
    runs = made(tmp_path, "finished")

    async def action(pilot: Pilot[int], app: App) -> None:
        await app.picture(pilot, Snapshot(1.0, runs))
        choose, line = app.screen.query_one(Choose), app.screen.query_one(StartLine)
        choose.take(Selection("sine-10shot", tuple(entry.name for entry in choose.catalog.algorithms)))
        line.focus()
        # The line grows as its estimates come in.
        for _ in range(100):
            await pilot.press("end")
            if line.max_scroll_y == line.scroll_y > 0:
                break
        assert line.max_scroll_y == line.scroll_y > 0

    run_app(tmp_path, (120, 36), action)


def sine_table() -> dict[str, Any]:
    after = {"step": 10, "mean": 0.0935, "ci95": 0.01}
    row = {"label": "maml", "algorithm": "maml", "before": {}, "after": after, "error": None}
    other: dict[str, Any] = {
        "label": "pretrain",
        "algorithm": "pretrain",
        "before": {},
        "error": None,
        "vs_baseline": None,
    }
    return {
        "metric": "mse",
        "higher_is_better": False,
        "baseline": "pretrain",
        "rows": [
            {**row, "vs_baseline": {"mean": -0.279, "ci95": 0.058}},
            {**other, "after": {"step": 40, "mean": 0.372, "ci95": 0.05}},
        ],
    }


def test_the_verdict_in_one_line() -> None:
    (line,) = verdict_lines(sine_table())
    assert line.plain == ("◆ maml 0.0935 after 10 steps, pretrain 0.372: better by 0.279 ± 0.058; 3 compares")


def test_which_runs_are_shown(tmp_path: Path) -> None:
    runs = made(tmp_path, "finished", "running", "queued")
    newest = runs[0].id
    assert [run.seed for run in shown_runs(Snapshot(1.0, runs), None)] == [1, 2]
    assert [run.seed for run in shown_runs(Snapshot(1.0, runs), runs[2].id)] == [0]
    session = SessionNow("sine-10shot", {"maml": (newest, runs[2].id)}, (), (), False)
    shown = shown_runs(Snapshot(1.0, runs, session=session), None)
    assert [run.seed for run in shown] == [2, 0]
    removed = SessionNow("sine-10shot", {"maml": ("20250101-000000-maml-s0-0000",)}, (), (), True)
    assert shown_runs(Snapshot(1.0, runs, session=removed), None) == shown_runs(Snapshot(1.0, runs), None)
    one = looked_at(runs, None, None)
    assert one is not None and one.seed == 1
    assert sorted(row_names(runs).values()) == ["maml seed 0", "maml seed 1", "maml seed 2"]
    assert "running" in run_facts(Snapshot(1.0, runs), runs[1], None).plain


def test_with_nothing_under_way_the_last_comparison_is_shown(tmp_path: Path) -> None:
    """The newest run, and the newest of every other algorithm of its task, budget and seed."""
    from dataclasses import replace

    runs = made(tmp_path, "finished", "finished", "finished", "finished", "finished")
    newest, maml, older, elsewhere, seed = (replace(run, seed=0) for run in runs)
    newest, elsewhere = replace(newest, algorithm="pretrain"), replace(elsewhere, task="omniglot-5way-1shot")
    elsewhere, seed = replace(elsewhere, algorithm="anil"), replace(seed, algorithm="boil", seed=3)
    shown = shown_runs(Snapshot(1.0, (newest, maml, older, elsewhere, seed)), None)
    assert [run.id for run in shown] == [newest.id, maml.id]


def test_a_fit_is_drawn_only_where_it_is_whole() -> None:
    fit = {
        "x": [0.0, 1.0, 2.0],
        "truth": [0.0, 1.0, 0.0],
        "support_x": [1.5, 0.5],
        "support_y": [0.2, 0.1],
        "steps": [0, 1],
        "predictions": [[0.0, 0.0, None], [0.0, 0.9, 0.1]],
    }
    curves = fit_curves(fit, "#00afff", "◆")
    assert [curve.name for curve in curves] == ["true", "before", "after 1", "support"]
    assert curves[-1].x.tolist() == [0.5, 1.5]
    assert fit_curves({**fit, "predictions": [[0.0]]}, "#00afff", "◆") == []
    assert fit_curves({"x": 3}, "#00afff", "◆") == []


def test_the_family_of_waves_stays_within_its_ranges() -> None:
    cloud, *samples = family({"dataset": "sine", "amplitude": [2, 2], "support_x": [-1, 1]})
    assert len(samples) == 3 and cloud.low is not None and cloud.high is not None
    assert cloud.x[0] == -1 and cloud.x[-1] == 1
    assert all(np.abs(sample.y).max() <= 2 for sample in samples)
    assert (cloud.low <= cloud.high).all()


def test_a_task_under_the_cursor_is_previewed(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        runs = made(tmp_path, "finished")
        await app.picture(pilot, Snapshot(1.0, runs))
        screen = app.screen
        tasks = screen.query_one(TaskList)
        tasks.focus()
        await until(pilot, lambda: screen.query_one("#waves", Chart).display)
        tasks.highlight("glyphs-5way-1shot")
        preview = screen.query_one("#preview", Panel)
        await until(pilot, lambda: preview.shown is not None and "classes" in preview.shown.plain)
        assert not screen.query_one("#waves", Chart).display

    run_app(tmp_path, (120, 36), action)


# Moving about


def test_every_panel_is_reached_with_tab_at_80_columns(tmp_path: Path) -> None:
    runs = made(tmp_path, "running")

    async def action(pilot: Pilot[int], app: App) -> None:
        await app.picture(pilot, Snapshot(1.0, runs, histories={runs[0].id: history()}))
        screen = app.screen
        screen.query_one(AlgorithmList).focus()
        await pilot.pause()
        seen = []
        for _ in range(8):
            assert app.focused is not None
            assert screen.focused is not None and screen.focused.region.area > 0
            seen.append(app.focused.id)
            await pilot.press("tab")
            await pilot.pause()
        assert seen == ["algorithms", "tasks", "about", "start", "error", "loss", "inner", "fan"]
        assert app.focused is not None and app.focused.id == "algorithms"
        await pilot.press("shift+tab")
        await pilot.pause()
        assert app.focused is not None and app.focused.id == "fan"

    run_app(tmp_path, (80, 24), action)


def test_a_window_made_narrow_keeps_what_has_the_focus(tmp_path: Path) -> None:
    runs = made(tmp_path, "running")

    async def action(pilot: Pilot[int], app: App) -> None:
        await app.picture(pilot, Snapshot(1.0, runs))
        app.screen.query_one("#loss", Chart).focus()
        await pilot.pause()
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert app.focused is not None and app.focused.id == "loss"
        assert app.focused.region.area > 0

    run_app(tmp_path, (120, 36), action)


def test_columns_are_switched_with_brackets(tmp_path: Path) -> None:
    runs = made(tmp_path, "running")

    async def action(pilot: Pilot[int], app: App) -> None:
        await app.picture(pilot, Snapshot(1.0, runs))
        await pilot.press("right_square_bracket")
        await pilot.pause()
        assert app.screen.query_one("#curves").display and not app.screen.query_one("#choose").display
        await pilot.press("left_square_bracket")
        await pilot.pause()
        assert app.screen.query_one("#choose").display and not app.screen.query_one("#curves").display

    run_app(tmp_path, (80, 24), action)


def test_texts_that_are_told_alike_are_of_one_height() -> None:
    chance, console = random.Random(0), Console(width=30)
    seen: dict[str, int] = {}
    for _ in range(3000):
        lengths = [chance.choice((1, 4, 9)) for _ in range(chance.randint(1, 5))]
        words = ["".join(chance.choices("0ab", k=length)) for length in lengths]
        text = Text(" ".join(words) + chance.choice(("", "\nmore")))
        height = len(text.wrap(console, 18))
        alike = seen.setdefault(str(fill(text, 18)), height)
        assert alike == height, text.plain
    assert len(set(seen.values())) > 2
