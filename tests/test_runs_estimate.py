"""What earlier runs tell of the speed of new ones, and that a long run tells it as soon as a short one."""

import os
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run, make_spec

from engine import presets
from engine.runs import EventWriter, StatusWriter, create_run, estimate
from engine.runs import events as events_module


def test_the_last_speed_is_read_from_the_status_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path, state="finished", iterations_per_second=80.0, memory_bytes=5e8)

    def refuse(*asked: Any) -> None:
        raise AssertionError("the events were read")

    monkeypatch.setattr(estimate, "read_events", refuse)
    (measured,) = estimate.measured_runs(tmp_path)
    assert (measured.iterations_per_second, measured.memory_bytes) == (80.0, 5e8)
    assert estimate.estimate(make_spec(iterations=40), [measured]).seconds == 0.5


def test_without_it_the_end_of_the_events_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, state="finished")
    with EventWriter(run.events_path) as events:
        for step in range(1, 5001):
            events.append("train", step=step, outer_loss=1 / step)
            if step in (10, 4990):
                events.append("speed", step=step, iterations_per_second=float(step), memory_bytes=5e8)
    read: list[int] = []
    parse = events_module._event

    def count(line: bytes) -> dict[str, Any] | None:
        read.append(len(line))
        return parse(line)

    monkeypatch.setattr(events_module, "_event", count)
    (measured,) = estimate.measured_runs(tmp_path)
    assert measured.iterations_per_second == 4990
    assert sum(read) <= estimate.LAST_BYTES < run.events_path.stat().st_size


def test_runs_that_say_nothing_are_passed_over(tmp_path: Path) -> None:
    make_run(tmp_path, seed=1, state="finished")
    (tmp_path / "20261121-empty").mkdir()
    assert estimate.measured_runs(tmp_path) == []


def test_one_spec_is_read_for_each_training_and_device_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3 runs of one training on the CPU the newest tells; another device and another training tell too."""
    speeds = {(0, "cpu"): 10.0, (1, "cpu"): 20.0, (2, "cpu"): 30.0, (3, "cuda:0"): 40.0}
    for (seed, device), speed in speeds.items():
        make_run(tmp_path, seed=seed, state="finished", device=device, iterations_per_second=speed)
    other, lock = create_run(tmp_path, make_spec(iterations=80, rate=0.5))
    StatusWriter(other, state="finished", iterations_per_second=50.0).close()
    os.close(lock)
    read: list[Path] = []
    load = presets.load_spec
    monkeypatch.setattr(presets, "load_spec", lambda path: (read.append(path), load(path))[1])
    for _ in range(2):
        measured = estimate.measured_runs(tmp_path)
        assert sorted(each.iterations_per_second for each in measured) == [30.0, 40.0, 50.0]
    assert len(read) == 3
