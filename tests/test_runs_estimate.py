"""What earlier runs tell of the speed of new ones, and that a long run tells it as soon as a short one."""

from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run, make_spec

from engine.runs import EventWriter, estimate
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
