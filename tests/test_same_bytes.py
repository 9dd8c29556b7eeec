"""The same command twice: the same bytes in every result on the CPU; times, run IDs and host are left out."""

import json
import os
from pathlib import Path

import pytest
import torch

from engine.evaluate_job import _about
from engine.evaluation import evaluate
from engine.learner import Learner
from engine.presets import resolve, test_adaptation
from engine.requests import Asked
from engine.runs.reports import RowRuns, table
from engine.tasks import build_tasks
from engine.training import Trainer
from tui import tables

SETTINGS = (
    "training.iterations=20",
    "training.tasks_per_batch=4",
    "training.validation.every=10",
    "training.validation.episodes=10",
    "evaluation.episodes=40",
    "evaluation.steps=3",
    "model.hidden=[8, 8]",
)
TIMES = ("seconds", "train_seconds", "memory_bytes", "runs")


def trained_and_tested(algorithm: str, folder: Path) -> dict:
    """A tiny training and its test in this process, as a worker's result."""
    from tested_runs import finished_run

    from engine.runs import list_checkpoints, read_status

    torch.manual_seed(int.from_bytes(os.urandom(4), "big"))  # nothing may hang on the global generator
    spec = resolve("sine-10shot", algorithm, overrides=SETTINGS).spec
    learner = Learner(spec, build_tasks(spec, folder, torch.device("cpu")), torch.device("cpu"))
    trainer = Trainer(learner)
    for _ in range(20):
        trainer.step()
    scored = evaluate(
        learner, test_adaptation(spec), spec.evaluation.tune, "test", spec.evaluation.episodes, "query"
    )
    run = finished_run(folder, algorithm, task="sine-10shot")
    asked = Asked(run, "a" * 16, "cpu", spec, (list_checkpoints(run)[-1].path.name,))
    about = _about(asked, spec, learner.tasks, read_status(run))
    scores = {name: getattr(scored, name) for name in ("steps", "after_step", "before_step", "chosen")}
    # The checkpoint of a made-up run has bytes of its own each time.
    return {**about, **scores, "values": scored.values.tolist(), "checkpoint": ""}


def printed(folder: Path) -> list[str]:
    rows = [
        RowRuns(name, name, "sine-10shot", (0,), (None,), (trained_and_tested(name, folder),))
        for name in ("maml", "meta-sgd")
    ]
    made = table("sine-10shot", rows, "meta-sgd", {}, "mse", False)
    texts = [tables.text(made, 100), tables.markdown(made), tables.comma_separated([made])]
    return [json.dumps(made), json.dumps([row.results for row in rows]), *texts]


def test_training_and_testing_twice_in_a_process(tmp_path: Path) -> None:
    first, second = printed(tmp_path), printed(tmp_path)
    assert first == second
    assert '"method": "bootstrap-t"' in first[0] and '"engine"' in first[1]


def stripped(value: object) -> object:
    """The same without times and run IDs."""
    if isinstance(value, dict):
        return {key: stripped(each) for key, each in value.items() if key not in TIMES and key != "run"}
    return [stripped(each) for each in value] if isinstance(value, list) else value


@pytest.mark.long
def test_the_real_command_twice(kshot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trainings and tests in processes of their own: the table and every results file, digests included."""
    said = []
    for name in ("one", "other"):
        monkeypatch.setenv("KSHOT_RUNS", str(tmp_path / name))
        settings = [text for setting in SETTINGS for text in ("--set", setting)]
        asked = ("compare", "sine-10shot", "maml", "pretrain", *settings, "--seeds", "2", "--json")
        code, out, err = kshot(*asked)
        assert code == 0, err
        files = sorted((tmp_path / name).glob("*/results/*.json"), key=lambda path: path.name)
        results = [(path.name, stripped(json.loads(path.read_text()))) for path in files]
        assert len(results) == 4
        said.append(json.dumps([stripped(json.loads(out)), results], indent=1))
        run = files[0].parent.parent.name
        code, out, err = kshot("evaluate", run, "--set", "evaluation.episodes=50", "--json")
        assert code == 0, err
        report = stripped(json.loads(out))
        said[-1] += json.dumps(report, indent=1)
    assert said[0] == said[1]
