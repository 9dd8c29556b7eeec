"""Trainings, comparisons and runs from the command line, with workers that make their numbers up."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_runs import wait_until

from engine.errors import RequestError
from engine.presets import load_spec, resolve
from engine.runs import Run, ask, create_run, find_run, list_runs, processes, read_status, trainings
from engine.runs.testing import spec_of_test

ROOT = Path(__file__).resolve().parent.parent
STANDIN = ROOT / "tests" / "standin_worker.py"
SHORT = ("--set", "training.iterations=3", "--set", "evaluation.episodes=5")
COMPARE = ("compare", "glyphs-5way-1shot", "maml", "fomaml", "pretrain", *SHORT)


@pytest.fixture(autouse=True)
def runs(monkeypatch):
    """The runs folder; every worker is the stand-in."""
    command = [sys.executable, "-P", str(STANDIN)]
    monkeypatch.setattr("tui.progress.LOOK_EVERY", 0.02)
    monkeypatch.setattr(processes, "worker_command", lambda *arguments: [*command, *arguments])
    return Path(os.environ["KSHOT_RUNS"])


def table_of(said):
    return {row["label"]: row for row in json.loads(said)["rows"]}


def test_compare_trains_tests_and_prints_the_table(kshot, runs):
    code, out, err = kshot(*COMPARE, "--json", "--name", "first")
    assert code == 0
    table, rows = json.loads(out), table_of(out)
    assert (table["task"], table["metric"], table["baseline"]) == (
        "glyphs-5way-1shot",
        "accuracy",
        "pretrain",
    )
    assert table["protocol"]["split"] == "standard (abcde)" and table["protocol"]["episodes"] == 5
    assert list(rows) == ["maml", "fomaml", "pretrain"]
    assert rows["maml"]["after"]["mean"] == pytest.approx(90)
    assert rows["maml"]["vs_baseline"] == {
        "mean": pytest.approx(20),
        "ci95": pytest.approx(0, abs=1e-9),
        "over": "episodes",
        "method": "normal",
        "episodes": 5,
        "seeds": 1,
    }
    assert rows["pretrain"]["vs_baseline"] is None
    assert rows["maml"]["iterations"] == 3 and rows["maml"]["train_seconds"] == 12.5
    assert rows["maml"]["tasks_seen"] == 3 * 16
    assert len(list_runs(runs)) == 3 and all(
        rows[name]["runs"][0] in {r.id for r in list_runs(runs)} for name in rows
    )
    assert "maml: finished 3 of 3" in err and "\r" not in err
    assert {summary.name for summary in list_runs(runs)} == {"first maml", "first fomaml", "first pretrain"}


def test_what_is_finished_is_reused_and_said(kshot, runs):
    first = table_of(kshot(*COMPARE, "--json")[1])
    code, out, err = kshot(*COMPARE, "--json")
    assert code == 0 and table_of(out) == first
    assert f"maml: finished run {first['maml']['runs'][0]} is reused" in err
    assert len(list_runs(runs)) == 3
    again = table_of(kshot(*COMPARE, "--json", "--fresh")[1])
    assert len(list_runs(runs)) == 6 and again["maml"]["runs"] != first["maml"]["runs"]


def test_another_test_reuses_the_training(kshot, runs):
    kshot(*COMPARE)
    code, _, err = kshot(*COMPARE[:-1], "evaluation.episodes=4")
    assert code == 0 and err.count("is reused") == 3 and len(list_runs(runs)) == 3
    results = list(runs.glob("*-maml-*/results/*.json"))
    assert len(results) == 2


def test_seeds_are_runs_of_their_own_and_intervals_over_them(kshot, runs):
    rows = table_of(kshot(*COMPARE, "--json", "--seeds", "2", "--seed", "4")[1])
    assert rows["maml"]["seeds"] == [4, 5] and len(rows["maml"]["runs"]) == 2
    assert rows["maml"]["after"]["over"] == "seeds" and rows["maml"]["after"]["mean"] == pytest.approx(94.5)
    assert rows["maml"]["after"]["ci95"] == pytest.approx(12.706 * 0.5)
    assert rows["maml"]["train_seconds"] == 25


def test_set_for_one_row_only(kshot, runs):
    out = kshot(*COMPARE, "--set", "fomaml:adaptation.steps=2", "--json")[1]
    rows = table_of(out)
    assert rows["fomaml"]["set"] == {"adaptation.steps": "2"} and rows["maml"]["set"] == {}
    steps = {name: find_run(runs, rows[name]["runs"][0]).spec_path.read_text() for name in rows}
    assert "steps: 2" in steps["fomaml"] and "steps: 2," not in steps["maml"].partition("evaluation:")[0]


def test_a_failed_training_is_a_row_of_nulls_and_exit_code_1(kshot, runs, monkeypatch):
    monkeypatch.setenv("STANDIN_FAILS", "maml")
    code, out, _ = kshot(*COMPARE, "--json")
    rows = table_of(out)
    assert code == 1
    assert rows["maml"]["after"] is None and rows["maml"]["vs_baseline"] is None
    assert rows["maml"]["error"] == "failed: the loss of iteration 1 is not finite"
    assert rows["fomaml"]["after"]["mean"] == pytest.approx(50) and rows["fomaml"]["error"] is None
    monkeypatch.delenv("STANDIN_FAILS")
    code, out, err = kshot(*COMPARE, "--json")
    assert code == 0 and "maml: an earlier run failed; trained anew" in err and len(list_runs(runs)) == 4


def test_a_test_that_dies_is_said_and_exit_code_1(kshot, monkeypatch):
    monkeypatch.setenv("STANDIN_DIES", "maml")
    code, out, _ = kshot(*COMPARE, "--json")
    rows = table_of(out)
    assert code == 1 and "ended with code 3" in rows["maml"]["error"] and rows["maml"]["after"] is None
    monkeypatch.delenv("STANDIN_DIES")
    assert kshot(*COMPARE)[0] == 0


@pytest.mark.parametrize("begun", [False, True])
def test_a_comparison_whose_runs_are_stopped_ends_with_one_line_and_begins_none_anew(
    kshot, runs, monkeypatch, begun
):
    """Its own runs, and those of another command that it waits for."""
    monkeypatch.setenv("STANDIN_SECONDS", "0.1")
    long = (*COMPARE[:5], "--set", "training.iterations=3000", "--set", "evaluation.episodes=5")
    if begun:
        assert kshot(*long, "--detach")[0] == 0
    stops = []

    def stop():
        wait_until(lambda: [run.state for run in list_runs(runs)] == ["running"] * 3)
        # Whoever waits has by now taken up what it waits for.
        wait_until(looked.is_set)
        command = [sys.executable, "-P", "-m", "tui.cli", "runs", "stop", "--all"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        stops.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=False))

    looked = threading.Event()
    look = trainings.Trainings.poll
    monkeypatch.setattr(trainings.Trainings, "poll", lambda self: (look(self), looked.set())[0])
    other = threading.Thread(target=stop)
    other.start()
    code, out, err = kshot(*long, "--json")
    other.join()
    assert stops[0].returncode == 0 and stops[0].stderr.count("asked to stop") == 3
    assert code == 1
    rows = table_of(out)
    assert all(row["error"].startswith("stopped at step ") and row["after"] is None for row in rows.values())
    last = "3 of 3 runs were stopped or paused before the end; the same command again goes on from there\n"
    assert err.endswith(last) and err.count("stopped or paused") == 1
    assert [run.state for run in list_runs(runs)] == ["stopped"] * 3


def test_a_crashed_training_is_resumed(kshot, runs, monkeypatch):
    monkeypatch.setenv("STANDIN_SECONDS", "0.1")
    train = ("train", "sine-10shot", "maml", "--set", "training.iterations=30")
    assert kshot(*train, "--detach")[0] == 0
    run = list_runs(runs)[0].run
    wait_until(lambda: read_status(run).step > 1)
    os.kill(read_status(run).pid, signal.SIGKILL)
    wait_until(lambda: read_status(run).state == "crashed")
    monkeypatch.setenv("STANDIN_SECONDS", "0")
    code, out, err = kshot(*train)
    assert (
        code == 0
        and f"run {run.id} is resumed" in err
        and out.startswith(f"{run.id}  finished  30 iterations")
    )
    assert len(list_runs(runs)) == 1


def test_a_training_under_way_is_waited_for(kshot, runs, monkeypatch):
    monkeypatch.setenv("STANDIN_SECONDS", "0.1")
    train = ("train", "sine-10shot", "maml", "--set", "training.iterations=10")
    _, identity, _ = kshot(*train, "--detach")
    code, out, err = kshot(*train, "--json")
    assert (
        code == 0
        and f"run {identity.strip()} is under way" in err
        and json.loads(out)["run"] == identity.strip()
    )
    assert len(list_runs(runs)) == 1


@pytest.mark.parametrize("baseline", ["none", "maml"])
def test_baseline(kshot, baseline):
    out = kshot("compare", "glyphs-5way-1shot", "maml", "fomaml", *SHORT, "--baseline", baseline, "--json")[1]
    table = json.loads(out)
    assert table["baseline"] == (None if baseline == "none" else "maml")
    assert [row["label"] for row in table["rows"]] == (
        ["maml", "fomaml"] if baseline == "none" else ["fomaml", "maml"]
    )


def test_rows_that_differ_only_in_testing_share_a_training(kshot, runs):
    comparison = ("compare", "glyphs-5way-1shot", "pretrain", "pretrain-head", *SHORT)
    rows = table_of(kshot(*comparison, "--json")[1])
    assert rows["pretrain"]["runs"] == rows["pretrain-head"]["runs"] and len(list_runs(runs)) == 1
    assert len(list(runs.glob("*/results/*.json"))) == 2


def test_a_comparison_file_with_a_task_tested_elsewhere(kshot, tmp_path):
    path = tmp_path / "mine.yaml"
    rows = "[maml, {algorithm: fomaml, label: elsewhere, test_on: [glyphs-5way-5shot]}]"
    path.write_text(
        f"summary: mine\ntasks: [glyphs-5way-1shot]\nrows: {rows}\nset: {{training.iterations: 3}}\n"
    )
    code, out, _ = kshot("compare", str(path), "--json", "--set", "evaluation.episodes=5")
    said = json.loads(out)
    assert code == 0 and said["comparison"] == "mine"
    tables = {table["task"]: [row["label"] for row in table["rows"]] for table in said["tables"]}
    assert set(tables) == {"glyphs-5way-1shot", "glyphs-5way-5shot"}
    assert tables["glyphs-5way-1shot"][0] == "maml" and "pretrain" in tables["glyphs-5way-1shot"]
    other = next(table for table in said["tables"] if table["task"] == "glyphs-5way-5shot")
    assert other["rows"][0]["trained_on"] == "glyphs-5way-1shot"
    assert all(row["vs_baseline"] for row in other["rows"] if row["label"] != other["baseline"])


def test_formats(kshot):
    table = kshot(*COMPARE)[1]
    assert "better" in table and "baseline" in table and all(len(line) <= 80 for line in table.splitlines())
    assert kshot(*COMPARE, "--format", "markdown")[1].count("\n|") == 5
    read = list(csv.DictReader(io.StringIO(kshot(*COMPARE, "--format", "csv")[1])))
    assert [line["label"] for line in read] == ["maml", "fomaml", "pretrain"]


def test_one_source_of_batch_statistics_for_all_rows(kshot, tmp_path, monkeypatch):
    folder = tmp_path / "own" / "algorithms"
    folder.mkdir(parents=True)
    (folder / "alone.yaml").write_text("summary: maml\nevaluation: {statistics: one}\n")
    monkeypatch.setenv("KSHOT_PRESETS", str(tmp_path / "own"))
    command = ("compare", "glyphs-5way-1shot", "alone", "--dry-run", "--json")
    specs = json.loads(kshot(*command)[1])["specs"]
    assert {spec["evaluation"]["statistics"] for spec in specs.values()} == {"one"}
    both = json.loads(kshot(*command[:3], "maml", *command[3:])[1])
    assert {spec["evaluation"]["statistics"] for spec in both["specs"].values()} == {"query"}
    assert "alone" in both["notes"][0]
    own = json.loads(
        kshot(*command[:3], "maml", *command[3:], "--set", "alone:evaluation.statistics=support")[1]
    )
    assert [spec["evaluation"]["statistics"] for spec in own["specs"].values()] == [
        "support",
        "query",
        "query",
    ]


def test_train_reports(kshot, runs):
    code, out, _ = kshot(
        "train", "sine-10shot", "maml", "--set", "training.iterations=3", "--json", "--name", "mine"
    )
    said = json.loads(out)
    assert code == 0 and said["state"] == "finished" and (said["iterations"], said["seconds"]) == (3, 12.5)
    assert said["last"]["outer_loss"] == pytest.approx(1 / 3) and said["last"]["validation"] == 0.8
    assert list_runs(runs)[0].name == "mine"
    several = json.loads(kshot("train", "sine-10shot", "maml", *SHORT[:2], "--seeds", "2", "--json")[1])
    assert [report["state"] for report in several] == ["finished"] * 2
    spec = list_runs(runs)[0].run.spec_path
    assert kshot("train", str(spec), "--json")[0] == 0 and len(list_runs(runs)) == 3


def test_a_training_that_fails_is_exit_code_1(kshot, monkeypatch):
    monkeypatch.setenv("STANDIN_FAILS", "maml")
    code, out, err = kshot("train", "sine-10shot", "maml", "--json")
    assert code == 1 and json.loads(out)["state"] == "failed" and "not finite" in err


def test_evaluate(kshot, runs):
    kshot("train", "glyphs-5way-1shot", "maml", *SHORT)
    code, out, _ = kshot("evaluate", "maml-glyphs", "--json")
    said = json.loads(out)
    assert code == 0 and said["after"]["mean"] == pytest.approx(90) and said["episodes"] == 5
    code, out, _ = kshot("evaluate", "maml-glyphs", "--set", "evaluation.episodes=7")
    assert code == 0 and "7 test episodes" in " ".join(out.split())
    code, out, err = kshot("evaluate", "maml-glyphs", "--set", "outer.learning_rate=1")
    assert (code, out) == (2, "") and "fork" in err


@pytest.mark.parametrize("way", ["task.ways=10", "task.dataset=sine"])
def test_a_test_that_the_model_cannot_serve_is_refused_before_it_starts(kshot, runs, way):
    kshot("train", "glyphs-5way-1shot", "maml", *SHORT)
    code, out, err = kshot("evaluate", "maml-glyphs", "--set", way)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not list(runs.glob("*/requests/*"))


def test_other_shots_are_tested_with_the_training_as_it_was(kshot, runs):
    kshot("train", "glyphs-5way-1shot", "maml", *SHORT)
    assert kshot("evaluate", "maml-glyphs", "--set", "task.shots=3", "--json")[0] == 0
    (trained,) = list_runs(runs)
    spec = load_spec(trained.run.spec_path)
    tested = spec_of_test(spec, load_spec(trained.run.spec_path, ["task.shots=3"]), "maml")
    assert (tested.task.shots, tested.training.shots, tested.training.ways) == (3, 1, 5)


def test_a_learned_head_tested_with_other_ways_is_refused_with_nothing_trained(kshot, runs, tmp_path):
    path = tmp_path / "mine.yaml"
    rows = "[{algorithm: maml, test_on: [glyphs-20way-1shot]}]"
    path.write_text(f"summary: mine\ntasks: [glyphs-5way-1shot]\nrows: {rows}\n")
    code, out, err = kshot("compare", str(path), "--baseline", "none")
    assert (code, out) == (2, "") and "ways" in err and not list_runs(runs)


def test_evaluate_on_a_device(kshot, runs, monkeypatch):
    kshot("train", "glyphs-5way-1shot", "maml", *SHORT)
    monkeypatch.setenv("STANDIN_DIES", "maml")
    asked = []
    monkeypatch.setattr("engine.runs.testing.write_request", lambda run, name, request: asked.append(request))
    kshot("evaluate", "maml-glyphs", "--device", "cuda:1")
    assert asked[0]["spec"]["device"] == "cuda:1"
    assert kshot("evaluate", "maml-glyphs", "--device", "cudaa")[0] == 2


def test_results_of_another_kind_are_passed_over(kshot, runs):
    kshot("train", "glyphs-5way-1shot", "maml", *SHORT)
    kshot("evaluate", "maml-glyphs")
    (path,) = runs.glob("*/results/*.json")
    good = json.loads(path.read_text())
    foreign = [
        {"kind": "probe", "id": "a"},
        {key: value for key, value in good.items() if key != "metric"},
        {**good, "values": [[0.5]]},
        {**good, "after_step": 7},
    ]
    for number, content in enumerate(foreign):
        (path.parent / f"f{number}.json").write_text(json.dumps(content))
    assert len(json.loads(kshot("runs", "show", "maml-glyphs", "--json")[1])["results"]) == 1
    assert kshot("runs", "show", "maml-glyphs")[0] == 0
    assert len(list(csv.DictReader(io.StringIO(kshot("runs", "export")[1])))) == 5 * 2


def test_a_sine_task_of_ones_own_is_measured_by_its_error(kshot, runs, tmp_path):
    path = tmp_path / "waves.yaml"
    path.write_text("summary: waves\ntask: {dataset: sine}\nmodel: {name: mlp, norm: none}\n")
    assert kshot("train", str(path), "maml", "--set", "training.iterations=3")[0] == 0
    assert list_runs(runs)[0].metric == "mse"
    assert "80.0" not in kshot("runs", "watch", list_runs(runs)[0].id)[1]


def test_the_first_seed_is_that_of_the_spec(kshot):
    command = ["compare", "glyphs-5way-1shot", "maml", "fomaml", "--dry-run", "--json", "--seeds", "2"]
    seeds = [each["seed"] for each in json.loads(kshot(*command, "--set", "seed=5")[1])["trainings"]]
    assert set(seeds) == {5, 6}
    code, out, err = kshot(*command, "--set", "fomaml:seed=5")
    assert (code, out) == (2, "") and "--seed" in err


def test_a_run_that_somebody_else_resumes_first_is_waited_for(kshot, runs, monkeypatch):
    monkeypatch.setenv("STANDIN_SECONDS", "0.05")
    train = ("train", "sine-10shot", "maml", "--set", "training.iterations=30")
    identity = kshot(*train, "--detach")[1].strip()
    run = find_run(runs, identity)
    wait_until(lambda: read_status(run).step > 0)
    kshot("runs", "stop", identity)
    wait_until(lambda: read_status(run).state == "stopped")
    usual = trainings.resume_run

    def resume_twice(run, *folders):
        usual(run, *folders)
        return usual(run, *folders)

    monkeypatch.setattr(trainings, "resume_run", resume_twice)
    code, out, _ = kshot(*train, "--json")
    assert code == 0 and json.loads(out)["state"] == "finished"


def test_starting_that_fails_halfway_stops_what_was_begun(kshot, runs, monkeypatch):
    monkeypatch.setenv("STANDIN_SECONDS", "0.05")
    usual, made = trainings.create_run, []

    def create(folder, spec, name):
        if made:
            wait_until(lambda: read_status(made[0]).step > 0)
            raise RequestError("the disk is full")
        run, lock = usual(folder, spec, name)
        made.append(run)
        return run, lock

    monkeypatch.setattr(trainings, "create_run", create)
    code, out, err = kshot(
        "compare", "sine-10shot", "maml", "--set", "training.iterations=2000", "--baseline", "fomaml"
    )
    assert (code, out) == (2, "") and "the disk is full" in err
    wait_until(lambda: read_status(made[0]).state == "stopped")


def test_runs_list_and_show(kshot, runs):
    kshot(*COMPARE)
    listed = json.loads(kshot("runs", "list", "--json")[1])
    keys = {"run", "name", "task", "algorithm", "seed", "state", "step", "steps", "updated"}
    keys |= {"metric", "best"}
    assert len(listed) == 3 and all(set(row) == keys for row in listed)
    text = kshot("runs")[1]
    assert all(row["run"] in text for row in listed)
    maml = next(row["run"] for row in listed if row["algorithm"] == "maml")
    shown = json.loads(kshot("runs", "show", maml, "--json")[1])
    assert shown["spec"]["training"]["iterations"] == 3 and shown["status"]["state"] == "finished"
    assert shown["results"][0]["after"]["mean"] == pytest.approx(90)
    text = kshot("runs", "show", maml)[1]
    assert "result" in text and "best        accuracy 80.0 % at step" in text and ": null" not in text
    assert "--all shows them" in text and ": null" in kshot("runs", "show", maml, "--all")[1]
    assert "80.0 %" in kshot("runs")[1]
    code, watched, _ = kshot("runs", "watch", maml)
    assert code == 0 and "accuracy 20.0 % → 80.0 % ± 10.0 %  best so far" in watched and "100 it/s" in watched


def test_pause_resume_stop_fork(kshot, runs, monkeypatch):
    monkeypatch.setenv("STANDIN_SECONDS", "0.05")
    identity = kshot("train", "sine-10shot", "maml", "--set", "training.iterations=200", "--detach")[
        1
    ].strip()
    run = find_run(runs, identity)
    wait_until(lambda: read_status(run).step > 0)
    code, out, err = kshot("runs", "resume", identity)
    assert (code, out) == (2, "") and "second writer" in err
    assert kshot("runs", "pause", identity)[0] == 0
    wait_until(lambda: read_status(run).state == "paused")
    assert kshot("runs", "pause", identity)[0] == 2
    assert kshot("runs", "resume", identity, "--detach")[1].strip() == identity
    wait_until(lambda: read_status(run).state == "running")
    assert f"stop it first: kshot runs stop {identity}" in kshot("runs", "remove", identity)[2]
    assert run.path.exists()
    assert kshot("runs", "stop", identity)[0] == 0
    wait_until(lambda: read_status(run).state == "stopped")
    forked = kshot("runs", "fork", identity, "--set", "training.iterations=1")[1].strip()
    wait_until(lambda: read_status(find_run(runs, forked)).state == "finished")
    # The name that the screen proposes; one that is given counts.
    assert read_status(find_run(runs, forked)).summary["name"] == "maml, iterations 1"
    named = kshot("runs", "fork", forked, "--name", "mine")[1].strip()
    wait_until(lambda: read_status(find_run(runs, named)).state == "finished")
    assert read_status(find_run(runs, named)).summary["name"] == "mine"
    monkeypatch.setenv("STANDIN_SECONDS", "0")
    code, out, _ = kshot("runs", "resume", identity, "--json")
    assert code == 0 and json.loads(out)["iterations"] == 200


def test_what_a_run_was_asked_is_shown_until_it_is_done(kshot, runs):
    run, lock = create_run(runs, resolve("sine-10shot", "maml").spec, "mine")
    ask(run, "pause")
    assert "queued, pausing" in kshot("runs")[1] and "queued, pausing" in kshot("runs", "show", "mine")[1]
    assert json.loads(kshot("runs", "list", "--json")[1])[0]["state"] == "queued"
    code, _, err = kshot("runs", "resume", "mine")
    assert code == 2 and "about to pause" in err and "try again" in err
    os.close(lock)  # now nobody writes it: it crashed
    _, out, err = kshot("runs")
    assert "crashed" in out and "pausing" not in out
    assert err == f"{run.id}: its process ended without a word; kshot runs resume {run.id} goes on\n"
    code, out, err = kshot("runs", "watch", "mine")
    assert code == 1 and out.endswith("crashed: its process ended without a word\n")
    assert f"kshot runs resume {run.id} goes on" in err
    code, out, err = kshot("runs", "resume", "mine")
    assert code == 0 and f"run {run.id} is resumed" in err and "mine: finished" in err
    assert err.endswith("kshot evaluate mine tests it\n")


def test_remove_undo_prune_export(kshot, runs):
    kshot("train", "glyphs-5way-1shot", "maml", *SHORT)
    kshot("evaluate", "maml-glyphs")
    exported = list(csv.DictReader(io.StringIO(kshot("runs", "export")[1])))
    assert len(exported) == 5 * 2 and float(exported[1]["value"]) == pytest.approx(0.85)
    assert len(json.loads(kshot("runs", "export", "--format", "json")[1])[0]["values"]) == 5
    identity = list_runs(runs)[0].id
    assert kshot("runs", "remove", identity)[1].strip() == identity and not list_runs(runs)
    assert kshot("runs", "prune", "--json")[1].strip() == "[]"
    assert kshot("runs", "remove", "--undo")[1].strip() == identity and len(list_runs(runs)) == 1
    kshot("runs", "remove", identity)
    assert json.loads(kshot("runs", "prune", "--days", "0", "--json")[1])[0]["run"] == identity
    assert kshot("runs", "remove", "--undo")[0] == 2


def foreground(*arguments):
    """A kshot of its own process, whose workers are stand-ins of a twentieth of a second an iteration."""
    script = (
        "import sys; from engine.runs import processes; from tui import cli; "
        f"command = [sys.executable, '-P', {str(STANDIN)!r}]; "
        "processes.worker_command = lambda *arguments: [*command, *arguments]; "
        "sys.exit(cli.run(sys.argv[1:]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, "STANDIN_SECONDS": "0.05"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_signals,
    )


def _heed_signals():
    """A test run in the background, or under nohup, hands down signals that are ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def begun(runs, count):
    wait_until(lambda: sum(read_status(summary.run).step > 0 for summary in list_runs(runs)) == count, 20)
    return [summary.run for summary in list_runs(runs)]


def test_ctrl_c_stops_the_runs_at_a_checkpoint(runs):
    app = foreground("compare", "sine-10shot", "maml", "--set", "training.iterations=2000")
    started = begun(runs, 2)
    app.send_signal(signal.SIGINT)
    out, err = app.communicate(timeout=90)
    assert (app.returncode, out) == (130, "")
    for run in started:
        assert read_status(run).state == "stopped" and list(run.checkpoints.glob("*.pt"))
        assert f"kshot runs resume {run.id}" in err


def test_a_lost_terminal_leaves_the_runs_training(runs):
    app = foreground("compare", "sine-10shot", "maml", "--set", "training.iterations=2000")
    started = begun(runs, 2)
    app.send_signal(signal.SIGHUP)
    app.communicate(timeout=90)
    assert app.returncode == -signal.SIGHUP
    steps = [read_status(run).step for run in started]
    time.sleep(1.2)
    assert all(read_status(run).state == "running" for run in started)
    assert all(read_status(run).step > step for run, step in zip(started, steps, strict=True))
    for run in started:
        (Run(run.path).control / "stop").touch()
    wait_until(lambda: all(read_status(run).state == "stopped" for run in started))


def test_measured_speed_serves_the_next_estimate(kshot):
    kshot(*COMPARE)
    command = (
        "compare",
        "glyphs-5way-1shot",
        "maml",
        "--set",
        "training.iterations=1000",
        "--dry-run",
        "--json",
    )
    trainings = json.loads(kshot(*command)[1])["trainings"]
    assert trainings[0]["seconds"] == pytest.approx(10) and trainings[0]["memory_bytes"] == 5e8
    assert "on this machine" in trainings[0]["estimate"]
