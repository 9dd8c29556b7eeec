"""A run's events as columns: the same numbers however the file grows, whatever stands in it."""

import json
import os
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runs import EventWriter, Run, column_lines, column_rows, columns, latest, read_events
from engine.runs.columns import History, HistoryReader
from engine.runs.thinned import Thinned


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "a-run").mkdir()
    return Run(tmp_path / "a-run")


def train(step: int, k: int = 2, **changes: Any) -> dict[str, Any]:
    """The values of a `train` event of k inner steps."""
    return {
        "step": step,
        "outer_loss": 1 / step,
        "support_loss": [1.0] * (k + 1),
        "query_loss": [float(step)] * (k + 1),
        "accuracy": [0.2 + 0.1 * inner for inner in range(k + 1)],
        "meta_gradient_norms": [0.5] * k,
        "gradient_norm": 2.0 * step,
        "rates": {"outer": 0.001},
    } | changes


def write(run: Run, *events: tuple[str, dict[str, Any]]) -> None:
    with EventWriter(run.events_path) as writer:
        for kind, values in events:
            writer.append(kind, **values)


def whole(run: Run) -> History:
    """All of a run's history, by a reader of its own."""
    return to_the_end(HistoryReader(run))


def to_the_end(reader: HistoryReader) -> History:
    for _ in range(10_000):
        history = reader.read(0.01)
        if history.progress == 1:
            return history
    raise AssertionError("never read to its end")


def same(one: History, other: History) -> bool:
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
        elif name in ("rates", "moved"):
            assert list(value) == list(getattr(other, name))
            for each, column in value.items():
                np.testing.assert_array_equal(column, getattr(other, name)[each], err_msg=each)
        else:
            assert value == getattr(other, name), name
    return True


def plain_clock(records: list[tuple[float, bool, float]]) -> list[float]:
    """Seconds of training at each (step, whether a validation, time), written down as a loop."""
    times, last = [], next((time for *_, time in records if np.isfinite(time)), 0.0)
    for *_, time in records:
        last = time if np.isfinite(time) else last
        times.append(last)
    distances = [max(0.0, after - before) for before, after in pairwise(times)]
    usual = median([each for each in distances if each > 0] or [0.0])
    clock, found = 0.0, [0.0]
    for distance in distances:
        clock += usual if distance > max(60.0, 20 * usual) else distance
        found.append(clock)
    return found


MOMENT = st.one_of(st.floats(0, 500), st.sampled_from([float("nan"), 86_400.0, 1e9]))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(MOMENT, max_size=30), st.dictionaries(st.integers(1, 40), MOMENT, max_size=10), st.booleans()
)
def test_the_clock_is_that_of_a_plain_loop(
    trained: list[float], validated: dict[int, float], in_order: bool
) -> None:
    steps, at = list(range(1, len(trained) + 1)), sorted(validated)
    records = [(float(step), False, time) for step, time in zip(steps, trained, strict=True)]
    records = sorted([*records, *((float(step), True, validated[step]) for step in at)], key=lambda r: r[:2])
    if in_order:  # a clock that goes on, pauses in it
        total = np.nancumsum([time for *_, time in records])
        records = [(step, kind, float(time)) for (step, kind, _), time in zip(records, total, strict=True)]
    history = History(
        train_step=np.array([step for step, validation, _ in records if not validation]),
        train_time=np.array([time for _, validation, time in records if not validation]),
        validation_step=np.array([step for step, validation, _ in records if validation]),
        validation_time=np.array([time for _, validation, time in records if validation]),
    )
    expected = plain_clock(records) if records else []
    for kind, found in ((False, history.train_at), (True, history.validation_at)):
        wanted = [each for each, record in zip(expected, records, strict=True) if record[1] == kind]
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-6)
    assert history.seconds == pytest.approx(max(expected, default=0.0), abs=1e-6)


def test_pauses_are_no_training_time() -> None:
    """Records are 10 s apart: 190 s is a slow one, 250 s is a pause."""
    at, steps = np.array([0.0, 10, 20, 30, 280, 290, 480]), np.arange(1.0, 8)
    trained, validated = (steps[:-1], at[:-1]), (steps[-1:], at[-1:])
    history = History(
        **dict(zip(("train_step", "train_time"), trained, strict=True)),
        **dict(zip(("validation_step", "validation_time"), validated, strict=True)),
    )
    assert history.train_at.tolist() == [0, 10, 20, 30, 40, 50] and history.validation_at.tolist() == [240]


def test_each_kind_becomes_its_columns(run: Run) -> None:
    fit = {"step": 2, "support_x": [0.5], "curve": [1.0, None]}
    validation = {"step": 2, "steps": [0, 2], "metric": [0.2, 0.6], "ci95": [0.01, None], "best": True}
    write(
        run,
        ("phase", {"name": "loading\ndata"}),
        ("train", train(1)),
        ("train", train(2, error=[3.0] * 3)),
        ("validation", validation),
        ("speed", {"step": 2, "iterations_per_second": 17.5, "memory_bytes": 1000}),
        ("checkpoint", {"step": 2, "file": "x"}),
        ("note", {"text": "a note"}),
        ("fit", {"step": 1}),
        ("fit", fit),
        ("unheard of", {"step": 9}),
    )
    history = whole(run)
    assert history.train_step.tolist() == [1, 2] and history.outer_loss.tolist() == [1, 0.5]
    assert history.metric.shape == history.support_loss.shape == (2, 3) and history.norms.shape == (2, 2)
    np.testing.assert_allclose(history.metric[0], [0.2, 0.3, 0.4], rtol=1e-6)
    assert history.query_loss[:, -1].tolist() == [1, 2]
    assert np.all(np.diff(history.train_time) >= 0) and history.train_time[0] > 1e9
    assert history.validation_step.tolist() == [2] and history.validation_steps == (0, 2)
    assert history.validation.tolist() == [[0.2, 0.6]]
    assert history.validation_ci95[0, 0] == 0.01 and np.isnan(history.validation_ci95[0, 1])
    assert history.memory_bytes == 1000
    assert history.fit is not None and {**history.fit, **fit} == history.fit
    assert not history.outer_loss.flags.writeable and history.progress == 1


def test_some_fits_of_many_are_kept_evenly_and_those_that_are_repeated_once(run: Run) -> None:
    write(run, *(("fit", {"step": step}) for step in range(10, 3010, 10)), ("fit", {"step": None}))
    steps = [fit["step"] for fit in whole(run).fits]
    assert steps == list(range(10, 3010, 80)), "every eighth of 300: the fewest halvings to 64"
    write(run, ("resumed", {"step": 1000}), *(("fit", {"step": step}) for step in range(1010, 3010, 10)))
    steps = [fit["step"] for fit in whole(run).fits]
    assert steps == sorted(set(steps)) and 32 <= len(steps) <= 64 and max(steps) > 2900
    in_parts, at_once = Thinned(), Thinned()
    for step in range(500):
        in_parts.add({"step": step})
        at_once.add({"step": step})
        in_parts = Thinned.heard(json.loads(json.dumps(in_parts.said())))
    assert in_parts.kept == at_once.kept and len(at_once.kept) == 63


def test_errors_of_sine_waves_and_joint_training_are_the_metric(run: Run) -> None:
    sine = train(1, error=[3.0, 1.0])
    del sine["accuracy"]
    write(run, ("train", sine), ("train", {"step": 2, "outer_loss": 1.0, "joint_metric": 0.25}))
    assert whole(run).metric[0].tolist() == [3.0, 1.0] and whole(run).metric[1, 0] == 0.25


def learning(step: int, **changes: Any) -> dict[str, Any]:
    """The values of a `train` event with learned rates of two tensors, and movement."""
    rates = {"outer": 0.001, "conv1.weight": [0.1 * step, -0.5], "head.bias": [0.25]}
    return train(step, rates=rates, moved={"conv1": 0.01 * step, "head": None}) | changes


def test_learned_rates_and_movement_are_kept_by_name(run: Run) -> None:
    write(
        run,
        ("train", train(1)),
        *(("train", learning(step)) for step in (2, 3)),
        ("train", learning(4, moved={"head": 2}, rates={"conv1.weight": [0.5]})),
    )
    history = whole(run)
    assert list(history.rates) == ["conv1.weight", "head.bias"] and list(history.moved) == ["conv1", "head"]
    nan = np.nan
    wanted = np.float32([[nan, nan], [0.2, -0.5], [0.3, -0.5], [0.5, nan]])
    np.testing.assert_allclose(history.rates["conv1.weight"], wanted, rtol=1e-6)
    np.testing.assert_array_equal(history.rates["head.bias"], [[nan], [0.25], [0.25], [nan]])
    np.testing.assert_allclose(history.moved["conv1"], [nan, 0.02, 0.03, nan], rtol=1e-6)
    np.testing.assert_array_equal(history.moved["head"], [nan, nan, nan, 2])
    assert not history.rates["head.bias"].flags.writeable and not history.moved["head"].flags.writeable


def test_a_run_without_learned_rates_has_none(run: Run) -> None:
    write(run, *(("train", train(step)) for step in range(1, 20)))
    assert whole(run).rates == {} and whole(run).moved == {}


def test_rates_of_a_resumed_run_count_once(run: Run) -> None:
    write(run, *(("train", learning(step)) for step in range(1, 30)))
    EventWriter.resume(run.events_path, 20).close()
    write(run, *(("train", learning(step, moved={"conv1": 7.0})) for step in range(21, 23)))
    history = whole(run)
    np.testing.assert_allclose(history.rates["conv1.weight"][:, 0], 0.1 * np.arange(1, 23), rtol=1e-6)
    np.testing.assert_allclose(
        history.moved["conv1"], [*(0.01 * np.arange(1, 21)), 7, 7], rtol=1e-6
    )


def test_names_without_end_and_values_of_a_wrong_kind_are_left_out(run: Run) -> None:
    names = {f"layer{number}": [0.5] for number in range(1000)}
    odd = {
        "outer": [1.0],
        "a\x1b[2J": [1.0],
        "": [1.0],
        "x" * 101: [1.0],
        "number": 1.0,
        "none": [],
        "text": "0.1",
        "long": [0.1] * 65,
    }
    write(
        run,
        ("train", learning(1, rates=odd, moved={"list": [1.0], "text": "1", "\n": 1.0, "huge": 10**400})),
        ("train", learning(2, rates=odd | names, moved=dict.fromkeys(names, 0.5))),
    )
    history = whole(run)
    first = [f"layer{number}" for number in range(64)]
    assert list(history.rates) == first
    assert list(history.moved) == ["huge", *first[:-1]] and np.isnan(history.moved["huge"]).all()


def test_rates_too_many_to_keep_are_let_go_and_nothing_else(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_rows, "MOST_NUMBERS", 100)
    write(run, *(("train", learning(step)) for step in range(1, 20)))
    reader = HistoryReader(run)
    before = to_the_end(reader)
    assert before.rates["conv1.weight"].shape == (19, 2)
    write(run, *(("train", learning(step)) for step in range(20, 60)))
    after = to_the_end(reader)
    assert after.rates == after.moved == {} and after.train_step.tolist() == list(range(1, 60))
    assert before.rates["conv1.weight"][18, 0] == np.float32(1.9), "a picture changed"


def test_a_resumed_run_repeats_steps_that_count_once(run: Run) -> None:
    write(run, *(("train", train(step)) for step in range(1, 6)), ("validation", {"step": 5, "metric": [1]}))
    reader = HistoryReader(run)
    before = to_the_end(reader)
    with EventWriter.resume(run.events_path, 2) as writer:
        middle = to_the_end(reader)
        for step in (3, 4):
            writer.append("train", **train(step, outer_loss=100.0 + step))
    after = to_the_end(reader)
    assert middle.train_step.tolist() == [1, 2] and len(middle.validation_step) == 0
    assert after.train_step.tolist() == [1, 2, 3, 4] and after.outer_loss[2:].tolist() == [103, 104]
    assert before.train_step.tolist() == [1, 2, 3, 4, 5] and before.outer_loss[2] == 1 / 3, (
        "a picture changed"
    )
    assert same(after, whole(run))


def test_a_step_that_comes_twice_counts_by_its_highest_seq(run: Run) -> None:
    lines = [(3, 1, "c"), (1, 2, "a"), (2, 2, "b"), (9, 5, "e"), (8, 5, "d"), (4, 3, "x")]
    run.events_path.write_text(
        "".join(
            json.dumps({"seq": seq, "kind": "train", "step": step, "outer_loss": float(seq)}) + "\n"
            for seq, step, _ in lines
        )
    )
    history = whole(run)
    assert history.train_step.tolist() == [1, 2, 3, 5] and history.outer_loss.tolist() == [3, 2, 4, 9]


def test_reading_in_any_portions_gives_what_reading_at_once_gives(run: Run) -> None:
    """Cut anywhere, an unfinished last line waits; the end is the same."""
    write(run, ("train", train(1)), ("train", train(2, k=3)), ("validation", {"step": 2, "metric": [0.5]}))
    EventWriter.resume(run.events_path, 1).close()
    write(run, ("train", train(2, k=1)), ("speed", {"step": 2, "iterations_per_second": 3}))
    data = run.events_path.read_bytes()
    expected = whole(run)
    for cut in range(0, len(data), 7):
        reader = HistoryReader(run)
        run.events_path.write_bytes(data[:cut])
        to_the_end(reader)
        with run.events_path.open("ab") as file:
            file.write(data[cut:])
        assert same(to_the_end(reader), expected)


def test_inner_steps_may_change_between_events(run: Run) -> None:
    write(
        run,
        ("train", train(1, k=1)),
        ("train", train(2, k=3)),
        ("train", train(3, k=0)),
        ("validation", {"step": 1, "steps": [0, 5], "metric": [0.1, 0.5]}),
        ("validation", {"step": 2, "steps": [1, 0], "metric": [0.3, 0.2]}),
    )
    history = whole(run)
    assert history.metric.shape == (3, 4) and history.norms.shape == (3, 3)
    assert np.isfinite(history.metric).sum(1).tolist() == [2, 4, 1]
    assert history.validation_steps == (0, 1, 5)
    np.testing.assert_array_equal(history.validation, [[0.1, np.nan, 0.5], [0.2, 0.3, np.nan]])


def test_a_long_file_is_read_little_by_little(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_lines, "BLOCK", 500)
    write(run, *(("train", train(step)) for step in range(1, 51)))
    reader, seen = HistoryReader(run), []
    for _ in range(100):
        seen.append(reader.read(0.0).progress)
        if seen[-1] == 1:
            break
    assert seen[0] < 0.2 and seen == sorted(seen) and len(seen) > 10
    assert reader.read() is reader.read(), "nothing new: the same object"
    assert reader.read().train_step.tolist() == list(range(1, 51))


HOSTILE: list[Any] = [
    None,
    True,
    -1,
    1.5,
    10**400,
    float("nan"),
    "12",
    "nan",
    [],
    [[]],
    ["1", None, 10**400, {}],
    {"outer": "x"},
    list(range(3000)),
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: str(value)[:12])
def test_values_of_a_wrong_type_count_as_absent(run: Run, value: Any) -> None:
    good = {"seq": 1, "time": 1.0, "kind": "train", **train(1)}
    lines = [good, *({**good, "seq": 2, "step": 2, name: value} for name in good)]
    for kind in ("validation", "speed", "phase", "note", "resumed", "fit", "checkpoint"):
        fields = ("step", "steps", "metric", "ci95", "iterations_per_second", "memory_bytes", "name", "text")
        lines.append({"seq": 3, "time": value, "kind": kind, **dict.fromkeys(fields, value)})
    lines.append({**good, "seq": 9, "step": 7})
    run.events_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    history = whole(run)
    assert history.train_step[-1] == 7 and history.outer_loss[-1] == 1
    assert np.all(np.diff(history.train_step) > 0)
    for name in ("outer_loss", "metric", "train_time", "validation"):
        assert not np.isinf(getattr(history, name)).any()


def test_lines_that_are_no_events_are_passed_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_lines, "BLOCK", 256)
    monkeypatch.setattr(column_lines, "LONGEST_LINE", 4096)
    event = json.dumps({"seq": 4, "kind": "train", "step": 1, "outer_loss": 2.0}).encode()
    other = event.replace(b'"step": 1', b'"step": 2').replace(b"2.0", b"1e999")
    lines = [b"", b"garbage", b"\xff\xfe", b"[1]", b"3, 4", b'{"a":', b"[" * 900, b"x" * 9000, event]
    lines += [b"\0" * 300, event[:20], b'"\xff"', b"9" * 5000, b"x" * 70_000, other]
    # Two halves that a comma would join to one event of three steps.
    lines += [b'{"seq": 7, "kind": "train", "step": 3, "x": [1', b"2]}", event[:30]]
    run.events_path.write_bytes(b"\n".join(lines))
    history = whole(run)
    assert history.train_step.tolist() == [1, 2]
    assert history.outer_loss[0] == 2 and np.isnan(history.outer_loss[1])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["train", "validation", "speed", "resumed"]),
            st.integers(0, 12),
            st.integers(0, 3),
        ),
        max_size=25,
    )
)
def test_columns_agree_with_the_events_that_count(
    tmp_path_factory: pytest.TempPathFactory, given: list[tuple[str, int, int]]
) -> None:
    run = Run(tmp_path_factory.mktemp("run"))
    write(run, *((kind, train(step + 1, k, loss=k) | {"step": step}) for kind, step, k in given))
    counted: dict[int, float] = {}
    for event in read_events(run.events_path)[0]:
        if event["kind"] == "resumed":
            counted = {step: loss for step, loss in counted.items() if step <= event["step"]}
        elif event["kind"] == "train":
            counted[event["step"]] = event["seq"]
    history = whole(run)
    assert history.train_step.tolist() == sorted(counted)
    if not any(kind == "resumed" for kind, _, _ in given):
        events = [event for event in latest(read_events(run.events_path)[0]) if event["kind"] == "train"]
        assert sorted(event["step"] for event in events) == history.train_step.tolist()
        losses = [event["outer_loss"] for event in sorted(events, key=lambda event: event["step"])]
        assert history.outer_loss.tolist() == losses


def test_a_file_that_is_gone_or_replaced(run: Run) -> None:
    reader = HistoryReader(run)
    assert len(reader.read().train_step) == 0 and reader.read().progress == 1
    write(run, *(("train", train(step)) for step in range(1, 30)))
    assert len(to_the_end(reader).train_step) == 29
    write_over = run.path / "other"
    write_over.write_bytes(b"".join(run.events_path.read_bytes().splitlines(True)[:3]))
    write_over.replace(run.events_path)
    assert to_the_end(reader).train_step.tolist() == [1, 2, 3]
    longer = b"".join(
        json.dumps({"seq": seq, "kind": "train", "step": seq * 10}).encode() + b"\n" for seq in range(1, 99)
    )
    run.events_path.write_bytes(longer)  # the same inode, grown, another content
    assert to_the_end(reader).train_step[0] == 10
    run.events_path.unlink()
    assert len(reader.read().train_step) == 98, "what was read stays on the screen"
    os.mkfifo(run.events_path)
    assert len(reader.read().train_step) == 98


@pytest.fixture
def kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose columns were kept, of 40 train events."""
    monkeypatch.setattr(columns, "WORTH_KEEPING", 10)
    write(
        run,
        ("phase", {"name": "training"}),
        *(("train", learning(step)) for step in range(1, 41)),
        ("validation", {"step": 40, "steps": [0, 3], "metric": [0.1, 0.5], "ci95": [0.1, 0.2]}),
        ("speed", {"step": 40, "iterations_per_second": 3.0, "memory_bytes": 5}),
        ("fit", {"step": 40, "curve": [1.0]}),
        ("note", {"text": "a note"}),
    )
    whole(run)
    return run


def lines_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> tuple[History, int]:
    """A history read anew, and how many bytes of events it took."""
    read = 0
    original = column_lines.Lines.block

    def counted(self: column_lines.Lines) -> bytes | None:
        nonlocal read
        before = self.place.offset
        found = original(self)
        read += self.place.offset - before
        return found

    with monkeypatch.context() as patch:
        patch.setattr(column_lines.Lines, "block", counted)
        return whole(run), read


def test_kept_columns_open_without_reading_events(kept: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    history, read = lines_read(kept, monkeypatch)
    assert read == 0 and list(history.rates) == ["conv1.weight", "head.bias"]
    (kept.path / "cache" / "columns").unlink()
    again, read = lines_read(kept, monkeypatch)
    assert read == kept.events_path.stat().st_size and same(history, again)


def test_what_came_after_the_kept_columns_is_read(kept: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    size = kept.events_path.stat().st_size
    EventWriter.resume(kept.events_path, 30).close()
    write(kept, ("train", train(31, k=4)))
    history, read = lines_read(kept, monkeypatch)
    assert read == kept.events_path.stat().st_size - size
    assert history.train_step.tolist() == list(range(1, 32)) and history.metric.shape == (31, 5)
    assert len(history.validation_step) == 0


def test_torn_or_stale_columns_are_made_anew(kept: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kept.path / "cache" / "columns"
    expected, data = whole(kept), path.read_bytes()
    size = kept.events_path.stat().st_size
    header_end = data.index(b"\n", 20)
    header = data[:header_end]
    torn = [b"", data[:5], data[:100], data[: header_end + 1], data[:-1], data + b"x", b"\0" * len(data)]
    torn += [
        data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(header_end + 1, len(data), 997)
    ]
    for old, new in [
        (b'"version": 4', b'"version": 0'),
        (b'"stride": 1', b'"stride": 0'),
        (b'"kept": [{', b'"kept": [1, {'),
        (b'"offset": ', b'"offset": 1'),
        (b'"offset": ', b'"offset": -'),
        (b'"columns": [', b'"columns": [['),
        (b'"columns": [', b'"columns": ["x", '),
        (b'"<f8"', b'"|O"'),
        (b'"validation_steps": [0,', b'"validation_steps": ["x",'),
        (b'"train.step"', b'"train.stop"'),
        (b'"train.rates.', b'"train.rotes.'),
        (b'"train.rates.conv1', b'"train.rates.con\\n1'),
        (b"[40]", b"[39]"),
        (b"[40, 3]", b"[60, 2]"),
        (b'"validation_steps": ', b'"validation_steps": 3, "was": '),
        (b'"events": ', b'"events": null, "were": '),
    ]:
        assert old in header, old
        torn.append(header.replace(old, new, 1) + data[header_end:])
    for broken in torn:
        path.write_bytes(broken)
        history, read = lines_read(kept, monkeypatch)
        assert read == size and same(history, expected)
        assert path.read_bytes() == data, "kept anew"


def test_columns_of_another_file_are_not_taken(kept: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    data = kept.events_path.read_bytes()
    kept.events_path.write_bytes(data.replace(b'"step": 1,', b'"step": 0,', 1))
    history, read = lines_read(kept, monkeypatch)
    assert read == len(data) and history.train_step[0] == 0
    kept.events_path.write_bytes(data[:900])
    assert lines_read(kept, monkeypatch)[1] <= 900


def test_a_folder_that_cannot_be_written_is_read_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "WORTH_KEEPING", 1)
    (run.path / "cache").write_text("in the way")
    write(run, *(("train", train(step)) for step in range(1, 9)))
    assert len(whole(run).train_step) == 8
