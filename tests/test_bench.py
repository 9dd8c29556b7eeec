"""The bench: loop and paths compute the same, and its rows have the fields that others read."""

import json
from collections.abc import Callable

import pytest
import torch

import engine.portions
from engine import bench
from engine.bench.plain import plain_meta_gradient
from engine.errors import RequestError
from engine.fused.library import why_not
from engine.models.conv4 import Conv4


def test_rows_of_a_workload(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHOT_KERNELS", "0")
    assert bench.main(["--workload", "sine", "--seconds", "0.1", "--device", "cpu"]) == 0
    *rows, note = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["path"] for row in rows] == ["loop", "generic"]
    assert {row["workload"] for row in rows} == {"sine-10shot-1step"}
    assert rows[0]["ratio_to_loop"] == 1
    ratio = rows[0]["seconds_per_iteration"] / rows[1]["seconds_per_iteration"]
    assert rows[1]["ratio_to_loop"] == pytest.approx(ratio)
    assert list(note) == ["note"] and "no row for the fused path: " in note["note"]


@pytest.mark.skipif(why_not() is not None, reason=f"no kernels: {why_not()}")
def test_several_seeds_in_one_process_stand_beside_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.2, 0.5, 0.3, 0.4])
    monkeypatch.setattr("engine.bench.seeds.median_seconds", lambda work, device, least: next(times))
    assert bench.main(["--workload", "5seeds", "--device", "cpu"]) == 0
    one, five = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (one["path"], five["path"]) == ("one by one", "together")
    seconds = [each["seconds_per_iteration"] for each in (one, five)]
    assert seconds == pytest.approx([5 * 0.2 / 320, 0.4 / 320])
    assert (one["ratio_to_loop"], five["ratio_to_loop"]) == (1, pytest.approx(2.5))
    assert one["workload"] == five["workload"] == "sine-10shot-5seeds"


def test_loop_and_path_agree_on_images_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    small = bench.Workload("small", 3, 2, 2, 5, filters=4, pooling="max")
    monkeypatch.setattr(engine.portions, "WIDEST_LAYER", 2 * 4 * 28 * 28 * 3 * (2 + 2))
    monkeypatch.setenv("KSHOT_KERNELS", "0")
    loop, generic, note = bench.measure(small, torch.device("cpu"), 0.01)
    assert (loop["path"], generic["path"]) == ("loop", "generic")
    assert note == {"note": "small: no row for the fused path: KSHOT_KERNELS is 0"}


@pytest.mark.skipif(why_not() is not None, reason=f"no kernels: {why_not()}")
def test_the_fused_path_has_a_row_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, by_kernels = [], Conv4._by_kernels
    monkeypatch.setattr(Conv4, "_by_kernels", lambda *given: calls.append(1) or by_kernels(*given))
    used: list[bool] = []

    def time_once(work: Callable[[], object], device: torch.device, least: float) -> float:
        calls.clear()
        work()
        used.append(bool(calls))
        return [0.3, 0.2, 0.1][len(used) % 3 - 1]

    monkeypatch.setattr("engine.bench.measuring.median_seconds", time_once)
    small = bench.Workload("small", 3, 1, 1, 2, filters=16, pooling="max")
    rows = bench.measure(small, torch.device("cpu"), 0.01)
    assert used == [False, False, True] * 2  # no kernel answers for the loop or the generic path
    assert [row["path"] for row in rows] == ["loop", "generic", "fused"]
    assert [row["ratio_to_loop"] for row in rows] == pytest.approx([1, 1.5, 3])
    assert [sorted(row) for row in rows] == [sorted(rows[0])] * 3


@pytest.mark.skipif(why_not() is not None, reason=f"no kernels: {why_not()}")
@pytest.mark.parametrize("times", [1.1, float("nan")])
def test_a_fused_path_that_computes_something_else_is_not_timed(
    times: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Conv4._by_kernels
    monkeypatch.setattr(Conv4, "_by_kernels", lambda *given: times * right(*given))
    small = bench.Workload("small", 3, 1, 1, 2, filters=16, pooling="max")
    with pytest.raises(RuntimeError, match="fused and the plain loop disagree"):
        bench.measure(small, torch.device("cpu"), 0.01)


def test_a_path_that_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = plain_meta_gradient
    monkeypatch.setattr(
        "engine.bench.ways.plain_meta_gradient",
        lambda *arguments: {n: 2 * g + 1 for n, g in right(*arguments).items()},
    )
    with pytest.raises(RuntimeError, match="disagree"):
        bench.main(["--workload", "sine", "--seconds", "0.1", "--device", "cpu"])


@pytest.mark.parametrize("kernels", ["0", "1"])
def test_evaluation_agrees_with_one_episode_after_the_other(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSHOT_KERNELS", kernels)
    monkeypatch.setattr("engine.bench.ways.CHECKED_TASKS", 7)
    small = bench.Workload("small", 3, 2, 5, 7, filters=16, what="evaluation")
    made = bench.prepare(small, torch.device("cpu"))
    assert list(made.ways) == ["loop", "generic", *(["fused"] if made.not_fused is None else [])]
    assert all(len(work()["accuracy"]) == 7 for work in made.ways.values())


def test_an_evaluation_that_finds_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.bench.ways.scores", lambda *given: torch.full((4, 1), 0.3))
    small = bench.Workload("small", 3, 2, 5, 7, filters=4, what="evaluation")
    with pytest.raises(RuntimeError, match="disagree on accuracy"):
        bench.measure(small, torch.device("cpu"), 0.01)


def test_steps_made_anew_have_rows_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHOT_KERNELS", "0")
    small = bench.Workload("small", 3, 3, 1, 2, filters=4, recomputed=True)
    rows = bench.measure(small, torch.device("cpu"), 0.01)
    assert [row["path"] for row in rows[:-1]] == ["loop", "generic", "generic, steps made anew"]


def test_an_unknown_workload_is_refused() -> None:
    with pytest.raises(RequestError, match="no workload"):
        bench.main(["--workload", "mnist"])
