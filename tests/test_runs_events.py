"""Events: append only, readable while they grow, torn by nothing worse than an unfinished last line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runs import EventWriter, events, last_seq, latest, read_events


def test_events_come_back_in_order_and_from_an_offset(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as writer:
        writer.append("phase", name="training")
        first, offset = read_events(path)
        writer.append(
            "train", step=1, outer_loss=float("nan"), support_loss=(1.0, float("inf")), rates=np.ones(2)
        )
    second, end = read_events(path, offset)
    assert [(event["seq"], event["kind"]) for event in first + second] == [(1, "phase"), (2, "train")]
    assert second[0]["outer_loss"] is None and second[0]["support_loss"] == [1.0, None]
    assert second[0]["rates"] == [1.0, 1.0]
    assert end == path.stat().st_size and read_events(path, end) == ([], end)


def test_an_event_cut_anywhere_is_ignored_then_truncated(tmp_path: Path) -> None:
    """A kill may leave any prefix of the last line; the reader waits, the resuming writer cuts it off."""
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as writer:
        for step in range(3):
            writer.append("train", step=step, note="ü" * 5)
    whole = path.read_bytes()
    line_ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        complete = sum(end <= cut for end in line_ends)
        found, offset = read_events(path)
        assert [event["step"] for event in found] == list(range(complete))
        assert offset == ([0, *line_ends])[complete]
        EventWriter.resume(path, step=complete).close()
        resumed, _ = read_events(path)
        assert [event["kind"] for event in resumed] == ["train"] * complete + ["resumed"]
        assert resumed[-1]["seq"] == complete + 1
        assert path.read_bytes().startswith(whole[:offset])


def test_lines_that_are_no_event_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LONGEST_LINE", 1000)
    path = tmp_path / "events.jsonl"
    event = b'{"seq": 4, "kind": "train", "step": 1, "outer_loss": NaN}'
    lines = [b"", b"garbage", b"\xff\xfe", b"[1]", b'{"kind": 3, "seq": 1}', b'{"kind": "train"}', b"[" * 900]
    lines += [b"x" * 5000, event, b"x" * 1000]
    path.write_bytes(b"\n".join(lines) + b"\n")
    found, offset = read_events(path)
    assert found == [{"seq": 4, "kind": "train", "step": 1, "outer_loss": None}]
    assert offset == path.stat().st_size


def test_what_is_no_file_has_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "none") == ([], 0)
    assert read_events(tmp_path) == ([], 0)
    os.mkfifo(tmp_path / "pipe")
    assert read_events(tmp_path / "pipe") == ([], 0)


def test_a_line_that_does_not_fit_on_the_disk_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    writer.append("train", step=1)
    real = os.write
    calls = []

    def half(descriptor: int, data: bytes) -> int:
        calls.append(1)
        if len(calls) == 1:
            return real(descriptor, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(events.os, "write", half)
    with pytest.raises(OSError, match="No space"):
        writer.append("train", step=2)
    monkeypatch.setattr(events.os, "write", real)
    writer.append("train", step=3)
    writer.close()
    assert [(event["seq"], event["step"]) for event in read_events(path)[0]] == [(1, 1), (2, 3)]


def test_seq_goes_on_after_the_highest(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"seq": 7, "kind": "note"}\n{"seq": 3, "kind": "note"}\n{"seq": 9, "kind')
    assert last_seq(path) == 7
    with EventWriter(path) as writer:
        assert writer.append("note") == 8
    assert EventWriter(path, after_seq=20).append("note") == 21


def test_of_the_same_kind_and_step_the_highest_seq_counts() -> None:
    written = [
        {"seq": 1, "kind": "train", "step": 1},
        {"seq": 2, "kind": "train", "step": 2, "old": True},
        {"seq": 3, "kind": "validation", "step": 2},
        {"seq": 4, "kind": "note"},
        {"seq": 5, "kind": "train", "step": 2},
        {"seq": 6, "kind": "note"},
    ]
    assert [event["seq"] for event in latest(written)] == [1, 3, 4, 5, 6]
    assert [event["seq"] for event in latest(reversed(written))] == [1, 3, 4, 5, 6]


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@settings(deadline=None)  # a busy machine may hold any of them up
@given(
    st.recursive(
        values,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner),
        max_leaves=8,
    )
)
def test_any_value_is_one_line_of_strict_json(value: object) -> None:
    from engine.runs.files import to_json

    line = to_json({"value": value})
    assert b"\n" not in line

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(line, parse_constant=refuse)
