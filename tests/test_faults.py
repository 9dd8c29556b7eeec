"""Faults of processes and machines: kills at any point, full disks, broken files, second writers, clocks.

`fault_driver` and `fault_scenes` do it in a process of their own: their workers are forks of it.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_injection import KILLS
from real_runs import begin, wait

from engine.runs import list_checkpoints, read_status, resume_run

SINE = [
    "training.iterations=200",
    "training.record_every=5",
    "training.checkpoint_every=20",
    "training.validation.every=50",
    "training.validation.episodes=5",
    "training.tasks_per_batch=4",
]
GLYPHS = [
    "training.iterations=40",
    "training.record_every=2",
    "training.checkpoint_every=5",
    "training.validation.every=10",
    "training.validation.episodes=3",
    "training.tasks_per_batch=2",
    "training.queries=1",
    "model.filters=2",
]
PRETRAINED = [*SINE[:4], "training.validation.episodes=3"]


def script(name: str, *arguments: str, said: str = "", before: tuple[str, ...] = ()) -> Any:
    """What one of the scripts beside this file prints, as JSON."""
    tests = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}", "OMP_NUM_THREADS": "1"}
    command = [*before, sys.executable, "-P", str(tests / name), *arguments]
    done = subprocess.run(command, input=said, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def storm(folder: Path, task: str, algorithm: str, overrides: list[str], kills: int, seed: int) -> None:
    """Trainings under faults until so many workers were killed; prints what there was."""
    wanted = {"task": task, "algorithm": algorithm, "overrides": overrides, "kills": kills, "seed": seed}
    found = script("fault_driver.py", said=json.dumps({"folder": str(folder), **wanted}))
    print(json.dumps({key: value for key, value in found.items() if key != "problems"}))
    assert not found["problems"], "\n".join(found["problems"])
    assert found["kills"] >= kills


@pytest.mark.parametrize(
    ("task", "algorithm", "overrides", "kills"),
    [("sine-10shot", "maml", SINE, 14), ("glyphs-5way-1shot", "maml", GLYPHS, 6)],
)
def test_no_kill_loses_anything(
    tmp_path: Path, task: str, algorithm: str, overrides: list[str], kills: int
) -> None:
    storm(tmp_path, task, algorithm, overrides, kills, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3, 4])
@pytest.mark.parametrize(
    ("task", "algorithm", "overrides", "kills"),
    [
        ("sine-10shot", "maml", SINE, 40),
        ("sine-10shot", "pretrain", PRETRAINED, 20),
        ("glyphs-5way-1shot", "maml++", GLYPHS, 20),
    ],
)
def test_no_kill_loses_anything_by_the_hundred(
    tmp_path: Path, task: str, algorithm: str, overrides: list[str], kills: int, seed: int
) -> None:
    storm(tmp_path, task, algorithm, overrides, kills, seed)


def test_disks_and_folders_that_fail_are_told_and_nothing_is_lost(tmp_path: Path) -> None:
    alone = ("unshare", "--user", "--map-root-user", "--mount")
    may = shutil.which("unshare") and not subprocess.run([*alone, "true"], capture_output=True).returncode
    before, words = (alone, ["mounts"]) if may else ((), [])
    assert script("fault_scenes.py", str(tmp_path), *words, before=before) == []


@pytest.mark.long
def test_real_workers_are_killed_at_any_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not forks but processes as kshot starts them, with the faults put in from without."""
    whole = begin(tmp_path / "whole", "sine-10shot", "maml", SINE)
    wait(whole, "finished")
    chance, kills = random.Random(5), 0
    for number in range(10):
        faults = {"at": chance.randint(20, 250), "how": chance.choice(KILLS), "within": str(tmp_path)}
        monkeypatch.setenv("KSHOT_TEST_FAULTS", json.dumps(faults))
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).with_name("fault_site")))
        broken = begin(tmp_path / f"broken{number}", "sine-10shot", "maml", SINE)
        wait(broken, "crashed", "finished")
        monkeypatch.delenv("KSHOT_TEST_FAULTS")
        if read_status(broken).state == "crashed":
            kills += 1
            resume_run(broken)
            wait(broken, "finished")
        names = [[each.path.name for each in list_checkpoints(run)] for run in (whole, broken)]
        assert names[0] == names[1], faults
    assert kills >= 5
