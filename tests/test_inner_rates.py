"""Learned rates and movement in words: every rate and its sign told, at any width; the newest record's."""

import json
from math import inf, nan
from pathlib import Path

import pytest
from fake_runs import make_run

from engine.runs import EventWriter
from tui.inner_rates import moved_sentence, percent, rate_lines, rate_number, rates_sentence, short_name
from tui.output import cells

BY_STEP = {"conv1.weight": [0.25, -0.5], "head.bias": [0.125, nan]}
BY_TENSOR = {"conv1.weight": [0.1], "head.bias": [-0.05]}


def test_rates_by_step_are_numbers_where_there_is_room() -> None:
    head, first, second = rate_lines(BY_STEP, 60, "◆▲")
    assert head.split() == ["step", "◆1", "▲2"]
    assert first.split() == ["conv1.weight", "0.250", "−0.500"]
    assert second.split() == ["head.bias", "0.125", "·"]
    assert len({line.index(word) + len(word) for line, word in ((head, "◆1"), (first, "0.250"))}) == 1


def test_rates_by_step_are_small_bars_where_there_is_none() -> None:
    head, first, second, scale = rate_lines(BY_STEP, 18, "◆▲")
    assert head.endswith("◆1▲2") and first.endswith(" ▅−█") and second.endswith(" ▃ ·")
    assert scale == "█ is 0.500"
    many = {"a": [0.5] * 40, "b": [-0.5] * 40}
    lines = rate_lines(many, 21)
    assert lines[0] == "of 40  1 2 3 4 5 6 7" and all(cells(line) <= 21 for line in lines)
    assert lines[2] == "b     " + "−█" * 7


def test_one_rate_a_tensor_has_a_bar_that_tells_its_sign() -> None:
    first, second = rate_lines(BY_TENSOR, 40)
    assert first.startswith("conv1.weight  ██") and first.endswith(" 0.100")
    assert "−▒▒" in second and second.endswith("−0.050") and "█" not in second
    # Half as large, half as long.
    assert second.count("▒") == pytest.approx(first.count("█") / 2, abs=1)


@pytest.mark.parametrize("width", [5, 14, 20, 30, 74, 300])
@pytest.mark.parametrize("rates", [{}, BY_STEP, BY_TENSOR, {"x": [nan]}, {"x" * 90: [0.0, inf, 1e30]}])
def test_any_rates_have_lines_at_any_width(width: int, rates: dict[str, list[float]]) -> None:
    lines = rate_lines(rates, width)
    assert sum(line.startswith(short_name(name)) for name in rates for line in lines) >= len(rates)


def test_numbers_and_names() -> None:
    assert [rate_number(value) for value in (0.381, -0.029, 5e-6, nan)] == ["0.38", "−0.029", "5e-06", "·"]
    assert [percent(value) for value in (0.42, 0.018, 0.00068, 12.5, nan)] == [
        "42 %",
        "1.8 %",
        "0.068 %",
        "1,250 %",
        "·",
    ]
    assert short_name("features.3.conv.weight") == "…s.3.conv.weight" and short_name("a\x1bb") == "ab"


def test_sentences_name_the_lowest_and_the_highest() -> None:
    assert rates_sentence(BY_STEP) == (
        "2 tensors at 2 steps: −0.5 (conv1.weight, step 2) to 0.25 (conv1.weight, step 1), 1 of 3 below zero"
    )
    assert rates_sentence({"w": [0.5]}) == "1 tensor: 0.5 (w) to 0.5 (w), none below zero"
    assert rates_sentence({}) == rates_sentence({"w": [nan]}) == moved_sentence({"head": nan}) == ""
    assert moved_sentence({"conv1": 0.0123, "head": 0.5}) == "conv1 1.2 %, head 50 %"
    assert moved_sentence({f"l{n}": 0.5 for n in range(40)}).endswith("l11 50 % and 28 more")


def test_runs_show_tells_the_newest_record(tmp_path: Path, kshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHOT_RUNS", str(tmp_path))
    learning, plain = make_run(tmp_path, seed=1), make_run(tmp_path, seed=2)
    with EventWriter(learning.events_path) as events:
        events.append("train", step=1, rates={"outer": 0.1, "w": [9.0]}, moved={"conv1": 0.9})
        rates = {"outer": 0.1, "w": [0.25, -0.5], "bad": "x", "v": [None, 10**400]}
        events.append("train", step=2, rates=rates, moved={"conv1": 0.125, "head": None})
        events.append("validation", step=2, metric=[0.5])
    with EventWriter(plain.events_path) as events:
        events.append("train", step=1, rates={"outer": 0.1}, outer_loss=1.0)
    code, out, _ = kshot("runs", "show", learning.id)
    assert code == 0
    assert "rates       at step 2: 2 tensors at 2 steps: −0.5 (w, step 2) to 0.25 (w, step 1), 1 of 2" in out
    assert "moved       at step 2: conv1 12 %\n" in out
    found = json.loads(kshot("runs", "show", learning.id, "--json")[1])["by_layer"]
    assert found == {"step": 2, "rates": {"w": [0.25, -0.5], "v": [None, None]}, "moved": {"conv1": 0.125}}
    out = kshot("runs", "show", plain.id)[1]
    assert "\nrates" not in out and "\nmoved" not in out
    assert "by_layer" not in json.loads(kshot("runs", "show", plain.id, "--json")[1])
