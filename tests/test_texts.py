"""What is said in one way only: text from files, the name that was meant, slots, a run's time left."""

import io
import json
import os
from pathlib import Path

import pytest
from fake_runs import make_run, make_spec
from rich.console import Console

from engine.data.datasets import dataset_named
from engine.devices import threads
from engine.errors import RequestError
from engine.presets import load_preset, resolve
from engine.runs import Status, StatusWriter, create_run, find_run, plain, testing, write_checkpoint
from tui import doctor_command, output
from tui.numbers import magnitude
from tui.progress import LiveLines
from tui.snapshot import seconds_left, state_word
from tui.views import RunView


def test_the_size_of_a_difference_has_no_direction() -> None:
    lower = {"mean": -0.3, "ci95": 0.2, "low": -0.6, "high": -0.2}
    higher = {"mean": 0.3, "ci95": 0.2, "low": 0.2, "high": 0.6}
    assert magnitude(lower, "mse") == magnitude(higher, "mse") == "0.300 [+0.200, +0.600]"
    assert magnitude({"mean": -20.14, "ci95": 1.3}, "accuracy") == "20.1 ± 1.3"
    assert magnitude({"mean": 2.0, "ci95": None}, "accuracy") == "2.0"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb\x07\u202e\tc\n", "a[31mb c "),
        ("zero\u200bwidth", "zerowidth"),
        ("two\u2028lines\xa0here", "two lines here"),
        ("caf\u00e9 \u2192 1,5 \u00b1 2", "caf\u00e9 \u2192 1,5 \u00b1 2"),
        ("\ud800", ""),
    ],
)
def test_text_from_files_is_cleaned_alike_on_the_command_line_and_in_runs(text: str, shown: str) -> None:
    assert output.plain(text) == plain(text) == shown


def test_json_keeps_every_text_and_shows_a_terminal_nothing_to_obey(
    capsys: pytest.CaptureFixture[str],
) -> None:
    obeyed = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    obeyed += [0x200E, 0x200F, 0x61C, 0x2028, 0x2029, 0xFEFF, 0xDFFF, 0xD800, 0xE0001]
    text = "".join(map(chr, obeyed))
    value = {text: [text, {"deep": text}], "plain": "caf\u00e9 \u2192 \u6f22\u5b57 \u3000\U0001f600"}
    output.emit_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert not set(printed) & (set(text) - {"\n"})
    assert value["plain"] in printed  # what people write stays as they wrote it


def test_text_from_runs_is_cut_short() -> None:
    assert plain("x" * 300) == "x" * 199 + "\u2026"
    assert plain(None) == "" and plain(3) == "3"


def test_the_name_that_was_meant_is_said_alike(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    wrong = run.id[:-1] + "z"
    for refused, meant in (
        (lambda: dataset_named("Omniglott"), "omniglot"),
        (lambda: load_preset("algorithms", "mamml"), "maml"),
        (lambda: resolve("sine-10shot", "maml", overrides=["task.shotz=3"]), "shots"),
        (lambda: find_run(tmp_path, wrong), run.id),
    ):
        with pytest.raises(RequestError) as caught:
            refused()
        assert f" (nearest: {meant})" in str(caught.value)


def test_slots_are_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = resolve("glyphs-5way-1shot", "maml").spec
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    for text, each in (("", 8), ("1", 8), ("2", 4), ("16", 1)):
        monkeypatch.setenv("KSHOT_SLOTS", text)
        assert threads(spec) == each
    monkeypatch.setenv("KSHOT_SLOTS", "\u00b2")  # a digit to str.isdigit, and no number
    with pytest.raises(RequestError, match="KSHOT_SLOTS"):
        threads(spec)
    check = doctor_command._slots()
    assert not check["ok"] and "must be a whole number of at least 1" in check["detail"]


def test_a_narrow_terminal_shows_all_of_who_holds_the_device(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    words = f"waiting for the device: run {run.id} (process 28642) holds it"
    test = testing.Test(run, make_spec(), "maml", id="a" * 16)
    test.progress = lambda: (words, 0, 0)
    lines = LiveLines()
    lines.show([], [test])
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    console.print(lines._progress.get_renderable())
    shown = console.file.getvalue()
    assert "maml" in shown and words.replace(" ", "") in "".join(shown.split())


def test_a_run_s_time_left_and_state_are_those_of_the_workbench(tmp_path: Path) -> None:
    view = RunView(make_run(tmp_path), "maml", "mse")
    for state in ("queued", "running", "finished"):
        more = {"iterations_per_second": 4.0}
        view.status = Status(state, "validating", step=60, steps=100, more=more)
        assert (view.seconds_left, view.shown_state) == (seconds_left(view.status), state_word(view.status))
        assert ("10 s left" in view.line, "4.0 it/s" in view.line) == (state == "running",) * 2


def test_a_resumed_run_that_waits_says_where_it_goes_on(tmp_path: Path) -> None:
    """From its last checkpoint: what it had done beyond that is lost."""
    run, descriptor = create_run(tmp_path, make_spec())
    StatusWriter(run, state="queued", step=33).close()
    write_checkpoint(run, 30, b"whole")
    assert RunView(run, "maml", "mse").line == "maml: queued, goes on from 30 of 40"
    os.close(descriptor)
