"""Lists, reuse, results, requests and the trash."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from fake_runs import make_run, make_spec

from engine.errors import RequestError
from engine.presets import Spec, spec_to_dict, training_key
from engine.runs import (
    Run,
    choose,
    create_run,
    evaluation_id,
    list_runs,
    pending_requests,
    prune,
    read_result,
    read_results,
    read_status,
    remove,
    undo_remove,
    withdraw_request,
    write_request,
    write_result,
)


def test_a_list_tells_what_a_row_needs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    (tmp_path / ".file").write_text("")
    with pytest.raises(RequestError, match="cannot read the runs folder"):
        list_runs(tmp_path / ".file")
    run = make_run(tmp_path, seed=2, name="mine", state="finished", step=40)
    row = list_runs(tmp_path)[0].as_row()
    assert isinstance(row.pop("updated"), float)
    facts = {"run": run.id, "name": "mine", "task": "sine-10shot", "algorithm": "maml", "seed": 2}
    assert row == {**facts, "state": "finished", "step": 40, "steps": 40, "metric": "mse", "best": None}


def test_the_spec_speaks_where_the_status_is_lost(tmp_path: Path) -> None:
    run = make_run(tmp_path, seed=2)
    run.status_path.unlink()
    found = list_runs(tmp_path)[0]
    assert (found.task, found.algorithm, found.seed, found.state) == ("sine-10shot", "maml", 2, "crashed")
    assert found.key == training_key(make_spec(2)) and found.error == "there is no status.json"
    run.spec_path.write_text("a: [\x00&*")
    run.status_path.write_text("")
    assert list_runs(tmp_path)[0].task == ""


def test_whatever_lies_in_the_runs_folder_is_listed_or_passed_over(tmp_path: Path) -> None:
    good = make_run(tmp_path, name="[red]bold[/red]\x1b[2J\nline")
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / ".new-dead").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    odd = tmp_path / "odd\x1b[31m"
    odd.mkdir()
    os.mkfifo(odd / "status.json")
    folders = tmp_path / "folders"
    (folders / "status.json").mkdir(parents=True)
    (folders / "spec.yaml").mkdir()
    (folders / "lock").mkdir()
    bomb = tmp_path / "bomb"
    bomb.mkdir()
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    (bomb / "spec.yaml").write_text("\n".join(lines))
    found = {summary.id: summary for summary in list_runs(tmp_path)}
    assert set(found) == {good.id, odd.name, "folders", "bomb"}
    assert found[good.id].name == "[red]bold[/red][2J line"
    for name in (odd.name, "folders", "bomb"):
        assert found[name].state == "crashed" and "status.json" in (found[name].error or "")


def test_listing_reads_of_each_run_its_status_and_its_lock_and_imports_little(tmp_path: Path) -> None:
    """So hundreds of runs are listed within the 0.3 s that `kshot runs list` may take with its start."""
    run = make_run(tmp_path)
    content = run.status_path.read_bytes()
    for number in range(40):
        folder = tmp_path / f"20261121-000000-copy-s0-{number:04x}"
        (folder / "results").mkdir(parents=True)
        (folder / "status.json").write_bytes(content)
        (folder / "spec.yaml").write_text("a: 1")
    code = (
        "import sys, json; from pathlib import Path; from engine.runs import list_runs\n"
        "asked = []\n"
        "kinds = ('open', 'os.scandir', 'os.listdir')\n"
        "sys.addaudithook(lambda kind, about: asked.append(str(about[0])) if kind in kinds else None)\n"
        "count = len(list_runs(Path(sys.argv[1])))\n"
        "print(json.dumps([count, asked, list(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    count, asked, modules = json.loads(done.stdout)
    assert count == 41 and not {"yaml", "pydantic", "torch", "numpy"} & set(modules)
    inside = Counter(path for path in asked if path.startswith(str(tmp_path)))
    assert inside.pop(str(tmp_path)) <= 2
    assert {Path(path).name for path in inside} == {"status.json", "lock"}
    # Read before and after the look at its lock; Python tells an opening twice.
    assert max(inside.values()) <= 4


def test_the_run_nearest_to_done_is_reused(tmp_path: Path) -> None:
    key = training_key(make_spec(0))
    assert choose(list_runs(tmp_path), key, 0) is None
    make_run(tmp_path, seed=1, state="finished")  # another seed
    other, held = create_run(tmp_path, make_spec(0, rate=0.5))  # another training
    os.close(held)
    failed = make_run(tmp_path, state="failed", step=39)
    assert choose(list_runs(tmp_path), key, 0) == (failed, "failed")
    make_run(tmp_path, state="stopped", step=5)
    further = make_run(tmp_path, state="running", step=9)
    assert choose(list_runs(tmp_path), key, 0) == (further, "crashed")
    queued, held = create_run(tmp_path, make_spec(0))
    assert choose(list_runs(tmp_path), key, 0) == (queued, "queued")
    finished = make_run(tmp_path, state="finished", step=40)
    assert choose(list_runs(tmp_path), key, 0) == (finished, "finished")
    remove(finished)
    assert choose(list_runs(tmp_path), key, 0) == (queued, "queued")
    assert choose(list_runs(tmp_path), training_key(make_spec(0, rate=0.5)), 0) == (other, "crashed")
    os.close(held)


def test_results_and_requests_are_whole_files(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_request(run, "b2", {"kind": "evaluate", "episodes": 600})
    write_request(run, "a1", {"kind": "episode"})
    os.utime(run.requests / "b2.json", (1, 1))
    (run.requests / "torn.json").write_text("{")
    (run.requests / ".hidden.json").write_text("{}")
    assert list(pending_requests(run)) == ["b2", "a1"]
    assert read_result(run, "b2") is None
    write_result(run, "b2", {"values": [[0.5, float("nan")]], "steps": (0, 1)})
    assert read_result(run, "b2") == {"values": [[0.5, None]], "steps": [0, 1]}
    assert list(pending_requests(run)) == ["a1"]
    withdraw_request(run, "a1")
    assert pending_requests(run) == {} and list(read_results(run)) == ["b2"]
    for name in ("../spec", "", ".x", "a/b", "x" * 65):
        with pytest.raises(RequestError, match="no result's name"):
            read_result(run, name)


def test_killed_writers_leave_results_no_litter_for_long(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    old, young = run.results / ".a.json.1.aa", run.results / ".b.json.2.bb"
    for path in (old, young):
        path.write_text("{")
    os.utime(old, (1, 1))
    write_result(run, "c", {})
    assert not old.exists() and young.exists() and list(read_results(run)) == ["c"]


def test_an_evaluations_id_holds_what_its_numbers_depend_on() -> None:
    base = spec_to_dict(make_spec())

    def identity(changes: dict[str, object], checkpoint: str = "c" * 16, split: str = "s" * 16) -> str:
        content = json.loads(json.dumps(base))
        for path, value in changes.items():
            *above, last = path.split(".")
            section = content
            for part in above:
                section = section[part]
            section[last] = value
        return evaluation_id(Spec.model_validate(content), checkpoint, split)

    same = identity({})
    assert len(same) == 16 and int(same, 16) >= 0
    assert identity({}, checkpoint="d" * 16) != same != identity({}, split="t" * 16)
    for path, value in {
        "evaluation.episodes": 601,
        "evaluation.seed": 1,
        "evaluation.steps": 5,
        "evaluation.statistics": "one",
        "evaluation.adaptation.learning_rate": 0.5,
        "task.shots": 5,
    }.items():
        assert identity({path: value}) != same, path
    for path, value in {"seed": 1, "device": "cpu", "training.iterations": 7, "origin.summary": "x"}.items():
        assert identity({path: value}) == same, path
    # Where an adaptation's value stood does not matter, only what it is.
    assert identity({"evaluation.steps": 5}) == identity({"evaluation.adaptation.steps": 5})
    assert identity({"evaluation.adaptation.learning_rate": 0.5}) == identity(
        {"adaptation.learning_rate": 0.5}
    )


def test_a_removed_run_can_be_put_back(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, seed=1, state="finished"), make_run(tmp_path, seed=2, state="failed")
    files = sorted(path.name for path in first.path.iterdir())
    for run in (first, second):
        assert remove(run) == tmp_path / ".trash" / run.id
        time.sleep(0.01)
    assert list_runs(tmp_path) == [] and {path.name for path in (tmp_path / ".trash").iterdir()} == {
        first.id,
        second.id,
    }
    assert undo_remove(tmp_path) == second
    assert undo_remove(tmp_path, first.id[-8:]) == first
    assert sorted(path.name for path in first.path.iterdir()) == files
    assert [each.state for each in list_runs(tmp_path)] == ["finished", "failed"]
    for name in (None, first.id, "..", ""):
        with pytest.raises(RequestError, match="trash"):
            undo_remove(tmp_path, name)


def test_a_run_that_is_being_written_cannot_be_removed(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    with pytest.raises(RequestError, match="is queued; stop it first"):
        remove(run)
    assert read_status(run).state == "queued"
    os.close(descriptor)
    remove(run)


def _age(path: Path, days: float) -> None:
    moment = time.time() - days * 86400
    os.utime(path, (moment, moment))


def test_prune_deletes_old_trash_and_says_so(tmp_path: Path) -> None:
    old, young = make_run(tmp_path, seed=1, state="finished"), make_run(tmp_path, seed=2, state="finished")
    kept = make_run(tmp_path, seed=3, state="failed")
    for run in (old, young):
        remove(run)
    _age(tmp_path / ".trash" / old.id / ".removed", 31)
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "precious").write_text("")
    link = tmp_path / ".trash" / "link"
    link.symlink_to(target)
    os.utime(link, (1, 1), follow_symlinks=False)
    said = [(done.id, done.action) for done in prune(tmp_path, 30, dry_run=True)]
    assert sorted(said) == sorted([(old.id, "deleted"), ("link", "deleted")])
    assert (tmp_path / ".trash" / old.id).exists()
    assert [(done.id, done.action) for done in prune(tmp_path, 30)] == said
    assert [path.name for path in (tmp_path / ".trash").iterdir()] == [young.id]
    assert (target / "precious").exists() and Run(kept.path).status_path.exists()
    assert prune(tmp_path, 30) == []


def test_prune_removes_failed_and_crashed_runs_only_when_chosen(tmp_path: Path) -> None:
    made = {
        state: make_run(tmp_path, seed=seed, state=state)
        for seed, state in enumerate(("failed", "running", "stopped", "finished"))
    }
    held_run, held = create_run(tmp_path, make_spec(9))
    assert prune(tmp_path) == []
    assert [done.id for done in prune(tmp_path, chosen=lambda summary: summary.seed == 0)] == [
        made["failed"].id
    ]
    done = prune(tmp_path, chosen=lambda summary: True)
    assert [(each.id, each.action, each.why) for each in done] == [(made["running"].id, "removed", "crashed")]
    assert {each.id for each in list_runs(tmp_path)} == {made["stopped"].id, made["finished"].id, held_run.id}
    os.close(held)


def test_prune_clears_what_a_killed_launcher_left(tmp_path: Path) -> None:
    dead, young = tmp_path / ".new-dead", tmp_path / ".new-young"
    for folder in (dead, young):
        folder.mkdir()
    _age(dead, 1)
    assert [done.id for done in prune(tmp_path)] == [".new-dead"]
    assert not dead.exists() and young.exists()
