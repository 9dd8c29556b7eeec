"""The bench: loop and generic path compute the same, and its rows have the fields that others read."""

import json

import pytest
import torch

import engine.portions
from engine import bench
from engine.errors import RequestError


def test_rows_of_a_workload(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--workload", "sine", "--seconds", "0.1", "--device", "cpu"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["path"] for row in rows] == ["loop", "generic"]
    assert {row["workload"] for row in rows} == {"sine-10shot-1step"}
    assert rows[0]["ratio_to_loop"] == 1
    ratio = rows[0]["seconds_per_iteration"] / rows[1]["seconds_per_iteration"]
    assert rows[1]["ratio_to_loop"] == pytest.approx(ratio)


def test_loop_and_path_agree_on_images_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    small = bench.Workload("small", 3, 2, 2, 5, filters=4, pooling="max")
    monkeypatch.setattr(engine.portions, "WIDEST_LAYER", 2 * 4 * 28 * 28 * 3 * (2 + 2))
    loop, generic = bench.measure(small, torch.device("cpu"), 0.01)
    assert (loop["path"], generic["path"]) == ("loop", "generic")


def test_a_path_that_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = bench.plain_loop
    monkeypatch.setattr(
        bench, "plain_loop", lambda *arguments: {n: 2 * g + 1 for n, g in right(*arguments).items()}
    )
    with pytest.raises(RuntimeError, match="disagree"):
        bench.main(["--workload", "sine", "--seconds", "0.1", "--device", "cpu"])


def test_an_unknown_workload_is_refused() -> None:
    with pytest.raises(RequestError, match="no workload"):
        bench.main(["--workload", "mnist"])
