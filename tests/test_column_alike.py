"""Train events of one shape, read by their numbers alone: the same as parsing each, or not at all."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runs.column_alike import Shape, apart
from engine.runs.column_events import Gathered
from engine.runs.column_numbers import PADDING, numbers_at
from engine.runs.files import to_json

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e6, 1e6),
    st.integers(-(2**53), 2**53),
    st.sampled_from([0.1, -0.0, 1e-5, 1e300, 5e-324, 1795265620.9784613, 0.84442185152504812345]),
)


def lines_of(*events: object) -> bytes:
    return b"".join(to_json(event) + b"\n" for event in events)


def event(seq: int, **changes: object) -> dict[str, object]:
    return {
        "seq": seq,
        "time": 1e9 + seq,
        "kind": "train",
        "outer_loss": 1 / seq,
        "query_loss": [1.5, -2.5e-7],
        "accuracy": [0.25, 0.5],
        "meta_gradient_norms": [seq],
        "step": seq,
        "gradient_norm": 3,
        "rates": {"outer": 1e-3},
        **changes,
    }


def read(texts: list[bytes]) -> list[float]:
    lengths = np.array([len(text) for text in texts])
    codes = np.frombuffer(b" ".join(texts) + b"7" * PADDING, np.uint8)
    return list(numbers_at(codes, np.cumsum(lengths + 1) - lengths - 1, lengths))


SPELLED = [b"%.30f" % (1 / 3), b"1E5", b"00.5", b"5.", b"-.5", b"1234567.25", b"12345678", b"12345678."]
SPELLED += [b"-1234567890123456.5", b"1234567890.123456789", b"0.0000123456789"]
SPELLED += [b"%d" % (10**digits - 1) for digits in range(1, 28)]


@given(st.lists(numbers, min_size=1, max_size=30))
def test_floats_are_those_that_python_reads(values: list[float]) -> None:
    texts = [json.dumps(value).encode() for value in values] + list(SPELLED)
    found = read(texts)
    for text, value in zip(texts, found, strict=True):
        assert math.isclose(float(text), value, rel_tol=1e-14, abs_tol=1e-14), text


@pytest.mark.parametrize(
    "text",
    [
        b"1.2.3",
        b"-",
        b".",
        b"1-2",
        b"--1",
        b"e",
        b"1e",
        b"",
        b"-.e",
        b"+-1",
        b"12345678-",
        b"12345678.5.",
        b"1.5e",
    ],
)
def test_what_is_no_number_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="convert"):
        read([b"1.5", text, b"2"])


RATES = {"outer": 1e-3, "conv1.weight": [0.1, -0.2], "conv2.weight": [0.3, 4e-7], "norm10.shift": [0.5]}
MOVED = {"conv1": 0.25, "conv2": 1e-6, "head": 3}


@pytest.mark.parametrize("more", [{}, {"rates": RATES, "moved": MOVED}], ids=["plain", "named"])
def test_events_of_one_shape_are_read_without_a_parse(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, object]
) -> None:
    events = [event(seq, **more) for seq in range(1, 30)]
    data = lines_of(*events, {"seq": 30, "kind": "note", "text": "e"})
    parsed, together = Gathered(), Gathered()
    parsed._add_values([json.loads(line) for line in data.splitlines()])
    assert [len(part) for part in apart(data)] == [29, 0, 1]
    monkeypatch.setattr(together, "_add_train", lambda _: pytest.fail("parsed"))
    together.add(data)
    for name, column in parsed.train.columns().items():
        np.testing.assert_allclose(together.train.columns()[name], column, rtol=1e-14, err_msg=name)
        assert together.train.columns()[name].dtype == column.dtype
    assert list(together.train.columns()) == list(parsed.train.columns())
    assert len(together.train.group("moved")) == len(more.get("moved", ()))  # type: ignore[arg-type]
    assert together.events == parsed.events == 30


@pytest.mark.parametrize(
    "odd",
    [
        {"outer_loss": None},
        {"accuracy": [0.5]},
        {"accuracy": [0.5, 0.5, 0.5]},
        {"accuracy": "0.5"},
        {"step": 2.5},
        {"step": -3},
        {"seq": 10**30},
        {"step": 10**400},
        {"outer_loss": [1.0]},
        {"rates": {"outer": 0.1, "inner": 0.2}},
        {"rates": {"outer": 1e-3, "conv1": [0.5], "conv2": [0.25]}},
        {"rates": {"outer": 1e-3, "conv1": [0.5, None]}},
        {"moved": {"conv1": None, "conv2": 0.5}},
        {"kind": "train", "more": {"kind": "train"}},
        {"note": 'a "kind": "train" of its own'},
    ],
    ids=str,
)
@pytest.mark.parametrize("place", [0, 11, 19])
def test_one_of_another_shape_is_read_all_the_same(odd: dict[str, object], place: int) -> None:
    events = [event(seq) for seq in range(1, 21)]
    events[place] |= odd
    data = lines_of(*events)
    parsed, together = Gathered(), Gathered()
    parsed._add_values([json.loads(line) for line in data.splitlines()])
    together.add(data)
    assert parsed.train.count in (19, 20)
    for name, column in parsed.train.columns().items():
        np.testing.assert_allclose(together.train.columns()[name], column, rtol=1e-14, err_msg=name)


def test_names_that_differ_in_digits_alone_are_kept_apart() -> None:
    def named(seq: int, *names: str) -> dict[str, object]:
        rates = {name: [float(at)] for at, name in enumerate(names)}
        return event(seq, rates=rates, moved={names[0]: 0.5, names[1]: 1.0})

    ways = [("conv1", "conv2"), ("conv2", "conv1"), ("conv1", "conv10"), ("conv1", "conv20")]
    for other in ways[1:]:
        data = lines_of(*(named(seq, *(ways[0] if seq < 15 else other)) for seq in range(1, 30)))
        parsed, together = Gathered(), Gathered()
        parsed._add_values([json.loads(line) for line in data.splitlines()])
        together.add(data)
        assert list(together.train.columns()) == list(parsed.train.columns())
        for name, column in parsed.train.columns().items():
            np.testing.assert_array_equal(together.train.columns()[name], column, err_msg=name)


def test_lines_that_are_no_json_are_not_taken_for_numbers() -> None:
    lines = lines_of(*(event(seq) for seq in range(1, 21))).splitlines()
    for broken in (b"0.25-1", b"1.2.3", b"", b"-", b"e"):
        changed = [*lines[:5], lines[5].replace(b"0.25", broken), *lines[6:]]
        gathered = Gathered()
        gathered.add(b"\n".join(changed) + b"\n")
        assert gathered.train.count == 19, broken


@pytest.mark.parametrize(
    "line",
    [
        b"3",
        b'{"kind": "train"',
        b'{"kind": "train", "seq": 1, "step": true}',
        b'{"kind": "train", "seq": 1, "step": 2, "step": 3}',
        b'{"seq": 1, "step": 2, "kind": "note"}',
    ],
)
def test_lines_without_a_shape(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Shape(line)


@pytest.mark.parametrize("last", [7.5e8, None, -1, "7", True], ids=str)
def test_the_last_memory_that_is_one_counts(last: object) -> None:
    speeds = [
        {"seq": 30 + at, "time": 1.5, "kind": "speed", "step": 9, "memory_bytes": 5e8 + at} for at in range(3)
    ]
    odd = {"seq": 40, "time": 1.5, "kind": "speed", "step": 9, "memory_bytes": last}
    data = lines_of(*(event(seq) for seq in range(1, 30)), *speeds, odd)
    assert [len(part) for part in apart(data)] == [29, 4, 0]
    parsed, together = Gathered(), Gathered()
    parsed._add_values([json.loads(line) for line in data.splitlines()])
    together.add(data)
    assert together.memory_bytes == parsed.memory_bytes == (7.5e8 if last == 7.5e8 else 5e8 + 2)
    assert together.events == parsed.events == 33
