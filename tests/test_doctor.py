"""`kshot doctor RUN`: what is printed, as text and as JSON, and what a wrong name gives."""

import json
from pathlib import Path

import pytest

from engine.runs import runs_folder
from tests.diagnosed_runs import made_run


@pytest.fixture
def runs() -> Path:
    return runs_folder()


def test_findings_as_text_and_json(kshot, runs):
    sound = made_run(runs)
    broken = made_run(
        runs,
        speed=lambda step: {"iterations_per_second": 10.0 if step <= 700 else 4.0},
        state="failed",
        step=499,
        error="the loss of iteration 500 is not finite",
    )
    code, out, err = kshot("doctor", sound.id, broken.id)
    assert (code, err) == (0, "")
    first, second = out.split("\n\n")
    assert first.startswith(f"{sound.id}: finished, 1,000 of 1,000 iterations\nnothing looks wrong: ")
    lines = second.splitlines()
    assert lines[0].startswith(f"{broken.id}: failed")
    # The worst comes first, and under each what to try.
    assert [line.split()[0] for line in lines if not line.startswith(" ")][1:] == ["fault", "hint", "in"]
    assert second.count("try: ") == 2
    code, out, err = kshot("doctor", "--json", broken.id, sound.id, broken.id)
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert [(row["run"], row["name"]) for row in found] == [
        (broken.id, "not-finite"),
        (broken.id, "slower-than-before"),
    ]
    assert all(set(row) == {"run", "name", "severity", "sentence", "advice", "figures"} for row in found)
    assert json.loads(kshot("doctor", "--json", sound.id)[1]) == []


def test_a_run_that_is_not_there(kshot, runs):
    run = made_run(runs, until=100)
    code, out, err = kshot("doctor", run.id, "nowhere")
    assert (code, out) == (2, "") and "no run 'nowhere'" in err and err.count("\n") == 1


def test_a_run_that_is_too_young(kshot, runs):
    code, out, _ = kshot("doctor", made_run(runs, until=0, state="queued").id)
    assert code == 0 and out.endswith("nothing to judge yet: it has no training record\n")
    code, out, _ = kshot("doctor", made_run(runs, until=50, state="paused").id)
    assert code == 0 and "before a tenth of training; it is at iteration 50 of 1,000" in out
    assert "nothing looks wrong" not in out


def test_names_from_files_are_text(kshot, runs):
    """Tensors are named by the file: no control characters come of them."""
    rates = {"rates": {"evil\x1b[31m": [0.1], "b": [9.0]}, "moved": {"x\x1b[2J": 0.0, "head": 0.1}}
    settings = ("adaptation.learned_rates=layer", "adaptation.learning_rate=0.1")
    run = made_run(runs, settings=settings, train=lambda step: rates)
    code, out, _ = kshot("doctor", run.id)
    assert code == 0 and "\x1b" not in out
