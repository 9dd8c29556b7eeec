"""Reproductions: what each trains, that it can be done in parts, and what came out; workers are stand-ins."""

import json
import os
import sys
from pathlib import Path

import pytest
from test_presets_comparisons import counts

from engine.runs import list_runs, processes
from engine.runs.comparison import plan
from engine.runs.reproductions import (
    Reproduction,
    as_comparison,
    claims,
    reproduction_named,
    reproductions,
    verdicts,
)
from engine.runs.rows import Options
from tui.reproduce_command import summary

STANDIN = Path(__file__).resolve().parent / "standin_worker.py"
SHORT = ("--fraction", "0.0001", "--set", "evaluation.episodes=5")


@pytest.fixture
def planned(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.data.fitting.class_counts", counts)

    def made(name, only=(), fraction=1.0):
        comparison = as_comparison(reproduction_named(name), only, fraction)
        return plan(comparison, Options("paper"), tmp_path / "runs", tmp_path)

    return made


def test_every_reproduction_is_planned_at_its_own_protocol(planned):
    found = {name: planned(name) for name in reproductions()}
    assert {"li-sine", "finn-sine", "omniglot-5way-1shot", "maml++-ablation"} <= set(found)
    li = found["li-sine"]
    assert sum(len(row.tests) for row in li.rows) == 18 and len(li.trainings) == 6
    figures = [
        spec.origin.published.figure(task, row.trained_on)
        for row in li.rows
        for task, specs in row.tests.items()
        for spec in specs
    ]
    assert all(figures) and {each.spec.training.iterations for each in li.trainings} == {70_000}
    labels = [row.label for row in found["omniglot-5way-1shot"].rows]
    assert labels == ["maml", "r2d2", "protonet"]
    ablation = found["maml++-ablation"]
    tested = [spec for row in ablation.rows for specs in row.tests.values() for spec in specs]
    assert {spec.evaluation.ensemble for spec in tested} == {5}
    assert len(ablation.rows) == 7 and ablation.rows[-1].is_baseline


def test_a_part_is_the_same_training_as_in_the_whole(planned):
    whole, part = planned("omniglot-5way-1shot"), planned("omniglot-5way-1shot", ["protonet"])
    assert [row.label for row in part.rows] == ["protonet"]
    assert {each.key for each in part.trainings} < {each.key for each in whole.trainings}


def test_a_fraction_is_of_each_row_s_own_iterations(planned):
    cut = planned("omniglot-5way-1shot", fraction=0.1)
    assert {row.label: row.trainings[0].spec.training.iterations for row in cut.rows} == {
        "maml": 6000,
        "protonet": 2000,
        "r2d2": 2000,
    }


def entry(step, mean):
    return {"step": step, "mean": mean, "ci95": 0.1}


def waves(maml, pretrain):
    rows = [
        {"label": label, "published": None, "steps": [entry(n, mean) for n, mean in enumerate(means)]}
        for label, means in (("maml", maml), ("pretrain", pretrain))
    ]
    return [{"task": "sine-10shot", "rows": rows}]


@pytest.mark.parametrize(
    ("maml", "holds"),
    [([3.0, 1.0, 0.3], [True, True]), ([3.0, 0.3, 0.4], [False, True]), ([3.0, 2.0, 0.6], [True, False])],
)
def test_what_is_published_as_a_plot_is_a_claim(maml, holds):
    """Pretraining ends at 1.5 after as many steps: a third of it is 0.5; its later steps do not count."""
    wanted = Reproduction(
        "x", "", "", claims=({"task": "sine-10shot", "row": "maml", "against": "pretrain", "times": 1 / 3},)
    )
    found = claims(wanted, waves(maml, [3.0, 2.0, 1.5, 0.1]))
    assert [each["holds"] for each in found] == holds
    assert [each["holds"] for each in claims(wanted, waves([], []))] == [None, None]


def test_what_came_out_is_counted():
    told = [{"verdict": "agrees"}, {"verdict": "below"}, {"verdict": "agrees"}, None, {"verdict": None}]
    counted = verdicts([{"rows": [{"published": each} for each in told]}])
    assert counted == {"agrees": 2, "below": 1, "not tested": 1}
    lines = summary(counted, [{"claim": "it falls", "holds": True}], 0.1)
    assert lines == [
        "Beside the published figures, 4 cells: 2 agrees, 1 below, 1 not tested",
        "it falls: holds",
        "Each training ran for 10 % of its published iterations",
    ]


def test_it_runs_in_parts_and_prints_ours_beside_the_published(kshot, monkeypatch):
    command = [sys.executable, "-P", str(STANDIN)]
    monkeypatch.setattr("tui.progress.LOOK_EVERY", 0.02)
    monkeypatch.setattr(processes, "worker_command", lambda *arguments: [*command, *arguments])
    runs = Path(os.environ["KSHOT_RUNS"])
    code, out, err = kshot("reproduce", "li-sine", "--only", "maml", *SHORT)
    assert code == 0, err
    assert len(list_runs(runs)) == 3 and "Beside the published figures, 9 cells" in out
    assert "Li 2017" in out and "± 95 % interval over test tasks" in " ".join(out.split())
    code, out, err = kshot("reproduce", "li-sine", "--only", "maml", *SHORT, "--json")
    made = json.loads(out)
    assert code == 0 and err.count("is reused") == 3 and len(list_runs(runs)) == 3
    assert sum(made["verdicts"].values()) == 9 and len(made["tables"]) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["li-sin"], "nearest: li-sine"),
        (["li-sine", "--fraction", "2"], "--fraction 2"),
        (["li-sine", "--only", "mamm"], "nearest: maml"),
        (["--only", "maml"], "--only is for a published table; name one"),
        (["--seed", "0"], "--seed is for a published table"),
        (["li-sine", "--json", "--detach"], "--json and --detach do not go together"),
        (["li-sine", "--markdown", "--dry-run"], "--markdown and --dry-run do not go together"),
    ],
)
def test_a_wrong_request_is_told(kshot, arguments, said):
    code, out, err = kshot("reproduce", *arguments)
    assert code == 2 and said in err and not out


def test_without_a_name_all_are_listed(kshot):
    code, out, _ = kshot("reproduce")
    assert code == 0 and all(name in out for name in reproductions())
