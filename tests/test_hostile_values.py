"""Values that no program of ours writes, where files and keys come in: each is refused or told."""

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_runs import NUMBERS, OTHERS, TEXTS
from runs_app import RunsApp, in_app, until
from test_episode_screen import curve_answer, image_answer
from tested_runs import finished_run, run_with_result
from textual import work
from textual.pilot import Pilot

from engine.errors import RequestError
from engine.presets import resolve
from engine.runs import EventWriter, episodes, estimate, processes, testing
from engine.runs.status import from_content
from tui import numbers
from tui.bench.form import with_value
from tui.bench.selection import Selection
from tui.bench.waves import fit_curves
from tui.episode.answers import read_answer

DIGITS = "9" * 5000
"""More than Python reads as a number."""
VALUES = (*TEXTS, *NUMBERS, *OTHERS, 5e-324, -(10**400))


@pytest.mark.parametrize(
    "told",
    [
        numbers.duration,
        numbers.count,
        numbers.size,
        numbers.speed,
        numbers.age,
        lambda value: numbers.metric_value(value, "mse"),
        lambda value: numbers.metric_value(value, "accuracy"),
        lambda value: numbers.interval({"mean": 0.5, "ci95": value}, "mse", signed=True),
    ],
)
def test_any_value_is_told_in_few_words(told: Callable[[Any], str]) -> None:
    assert all(len(told(value)) < 40 for value in VALUES)


def test_what_is_not_finite_is_missing_and_what_is_large_keeps_its_size() -> None:
    for value in (float("nan"), float("inf"), 10**400):
        assert {f(value) for f in (numbers.duration, numbers.count, numbers.size)} == {numbers.MISSING}
        assert numbers.speed(value) == ""
    assert numbers.metric_value(2.5e300, "mse") == "2.5e+300"
    assert numbers.speed(1e-320) == ""


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in the tree, down to the second item of a list."""
    if path:
        yield path
    inside = content.items() if isinstance(content, dict) else []
    inside = enumerate(content[:2]) if isinstance(content, list) else inside
    for key, value in inside:
        yield from places(value, (*path, key))


@pytest.mark.parametrize("answer", [image_answer(), curve_answer()])
def test_an_answer_is_whole_or_refused(answer: dict[str, Any]) -> None:
    read = 0
    for *above, last in places(answer):
        for value in VALUES:
            spoilt = copy.deepcopy(answer)
            at = spoilt
            for key in above:
                at = at[key]
            at[last] = value
            try:
                episode = read_answer(spoilt)
            except ValueError:
                continue
            read += 1
            assert len(episode.metric) == len(episode.steps) and episode.number < 1e15
    assert read > 100


def test_a_fit_is_drawn_or_not() -> None:
    fit = {
        "x": [0.0, 1.0],
        "truth": [0.0, 1.0],
        "support_x": [0.5],
        "support_y": [0.5],
        "steps": [0, 1],
        "predictions": [[0.0, 1.0], [0.0, 0.5]],
    }
    for *above, last in places(fit):
        for value in VALUES:
            spoilt = copy.deepcopy(fit)
            at: Any = spoilt
            for key in above:
                at = at[key]
            at[last] = value
            curves = fit_curves(spoilt, "", "")
            assert all(curve.x.shape == curve.y.shape and curve.x.ndim == 1 for curve in curves)


def test_a_status_has_figures_that_can_be_counted_with_or_none() -> None:
    for value in VALUES:
        status = from_content(
            {
                "state": "finished",
                "steps": value,
                "best": {"step": value, "value": value, "file": value, "files": [value], "ours": 1},
                "iterations_per_second": value,
                "seconds": value,
                "memory_bytes": value,
            }
        )
        best = status.best or {}
        assert best["ours"] == 1 and status.steps < 1e15
        assert all(abs(figure) < 1e15 for figure in status.more.values())
        assert abs(best.get("value") or 0) < 1e15 and "/" not in best.get("file", "")


def test_the_tested_checkpoint_has_a_name_that_checkpoints_have(tmp_path: Path) -> None:
    run = finished_run(tmp_path, "maml")
    (run.checkpoints / "1a-ff.pt").write_bytes(b"")
    written = next(run.checkpoints.glob("500-*.pt")).name
    for best in (None, {}, {"file": 5}, {"file": "../../spec.yaml"}, {"file": "1a-ff.pt"}):
        assert testing.tested_checkpoint(run, from_content({"state": "finished", "best": best})) == written


def test_a_result_that_says_nothing_of_what_was_chosen_is_asked_about(tmp_path: Path) -> None:
    run = run_with_result(tmp_path, "maml", 0.9)
    spec = resolve("glyphs-5way-1shot", "maml").spec
    for chosen in ({}, None, {"learning_rate": [1], "head": 5, "parameters": [[]]}):
        result = {"protocol": {}, "chosen": chosen} if chosen != {} else {"protocol": {}}
        assert episodes._as_tested(spec, result).evaluation.adaptation == spec.evaluation.adaptation
    tuned = {"protocol": {"evaluation_seed": 7}, "chosen": {"learning_rate": 0.25, "parameters": ["head.*"]}}
    tested = episodes._as_tested(spec, tuned).evaluation
    told = tested.seed, tested.adaptation.learning_rate, tested.adaptation.parameters
    assert told == (7, 0.25, ("head.*",))
    path = run.results / f"{'a' * 16}.json"
    result = json.loads(path.read_text())
    del result["chosen"]
    result["checkpoint"] = testing.digest_in(next(run.checkpoints.iterdir()).name)
    path.write_text(json.dumps(result))
    assert len(episodes.question(run, 0, tmp_path).hardest) == 60


def test_a_pipe_in_the_place_of_an_answer_s_fault_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episodes, "start_attending", lambda *asked: False)
    run = run_with_result(tmp_path, "maml", 0.9)
    asking = episodes.Asking(episodes.question(run, 0, tmp_path), tmp_path)
    assert asking.look().phase
    os.mkfifo(episodes._beside(run, asking.question.id, "error"))
    assert asking.look().phase and asking.look().error is None
    asking.withdraw()


def test_a_pipe_in_the_place_of_a_log_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.txt")
    with pytest.raises(OSError, match=r"log\.txt is no regular file"):
        processes.spawn(["attend"], tmp_path / "log.txt")


def test_a_speed_that_is_none_measured_nothing(tmp_path: Path) -> None:
    run = finished_run(tmp_path, "maml")
    spec = resolve("glyphs-5way-1shot", "maml", overrides=["training.iterations=500"]).spec
    for speed in ("fast", 1e-320, [], True, 10**400, 100.0):
        with EventWriter(run.events_path) as events:
            events.append("speed", step=1, iterations_per_second=speed, memory_bytes="much")
        measured = estimate.measured_runs(tmp_path)
        assert (estimate.estimate(spec, measured).seconds == 5.0) == (speed == 100.0)
        assert [each.memory_bytes for each in measured] == [None] * len(measured)


def test_a_spec_beyond_any_machine_has_an_estimate() -> None:
    spec = resolve("sine-10shot", "maml").spec
    training = spec.training.model_copy(update={"iterations": 10**400})
    spec = spec.model_copy(update={"training": training})
    assert numbers.duration(estimate.estimate(spec, []).seconds) == numbers.MISSING


@pytest.mark.parametrize("path", ["seed", "seeds"])
def test_thousands_of_digits_are_refused_in_a_short_sentence(path: str) -> None:
    with pytest.raises(RequestError, match="digits") as refused:
        with_value(Selection(), path, DIGITS, None)
    assert len(str(refused.value)) < 200


class Faulty(RunsApp):
    """Has a thread that nobody has made safe."""

    @work(thread=True)
    def fail(self) -> None:
        raise ZeroDivisionError("by a file")


def test_a_fault_in_a_thread_is_told_and_the_app_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs_app.RunsApp", Faulty)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        assert isinstance(app, Faulty)
        app.fail()
        await until(pilot, lambda: bool(app.told))
        assert app.told == ["ZeroDivisionError: by a file"]
        await pilot.press("1")
        assert app.is_running

    in_app(tmp_path, act)
