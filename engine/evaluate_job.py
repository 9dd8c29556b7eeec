"""Answers evaluation requests: a checkpoint, tested as a spec says, becomes a result file beside the run."""

import time
from collections.abc import Callable
from typing import Any

import torch

from engine.checkpoint import unpack
from engine.data import data_folder
from engine.devices import threads
from engine.errors import RequestError
from engine.evaluation import Scored, evaluate
from engine.learner import Learner
from engine.presets import Spec, spec_from_dict, test_adaptation
from engine.presets.schema import ImageTask
from engine.runs import (
    Run,
    pending_requests,
    plain,
    read_status,
    read_verified,
    withdraw_request,
    write_result,
)
from engine.runs.files import to_json, write_whole
from engine.tasks import TaskDistribution, build_tasks
from engine.tasks.images import ImageEpisodes
from engine.train_job import torch_device
from engine.training import load_parameters


def answer_requests(runs: list[Run], device_name: str, ending: Callable[[], bool]) -> int:
    """Answers every pending evaluation request of these runs, the oldest of each first.

    Returns 1 if any could not be answered; `results/.ID.error` then says why in one line.
    """
    failed = False
    for run in runs:
        for name, request in pending_requests(run).items():
            if request.get("kind") != "evaluate":
                continue
            try:
                write_result(run, name, _answer(run, name, request, device_name, ending))
            except Ended:
                return 0
            except (RequestError, RuntimeError, OSError, KeyError) as error:
                failed = True
                write_whole(run.results / f".{name}.error", plain(str(error), 500).encode())
                withdraw_request(run, name)
            finally:
                (run.results / f".{name}.progress").unlink(missing_ok=True)
    return int(failed)


class Ended(Exception):
    """The worker was asked to end in the middle of an evaluation."""


def _answer(
    run: Run, name: str, request: dict[str, Any], device_name: str, ending: Callable[[], bool]
) -> dict[str, Any]:
    begun = time.monotonic()
    spec = spec_from_dict(request["spec"], "the request")
    torch.set_num_threads(threads(spec))
    device = torch_device(device_name, spec.device)
    path = run.checkpoints / request["checkpoint"]
    state = unpack(read_verified(path), device, path.name)
    _write_progress(run, name, "loading data", 0, 1)
    tasks = build_tasks(spec, data_folder(), device)
    learner = Learner(spec, tasks, device)
    load_parameters(learner, state)
    last_written = [0.0]

    def progress(phase: str, done: int, total: int) -> None:
        if ending():
            raise Ended
        if time.monotonic() - last_written[0] > 0.25:
            last_written[0] = time.monotonic()
            _write_progress(run, name, phase, done, total)

    evaluation, adaptation = spec.evaluation, test_adaptation(spec)
    scored = evaluate(
        learner, adaptation, evaluation.tune, "test", evaluation.episodes, evaluation.statistics, progress
    )
    trained = read_status(run)
    return _result(spec, tasks, scored, path.name) | {
        "id": name,
        "seconds": round(time.monotonic() - begun, 3),
        "train_seconds": trained.more.get("seconds"),
        "train_iterations": trained.step,
    }


def _write_progress(run: Run, name: str, phase: str, done: int, total: int) -> None:
    content = {"phase": phase, "done": done, "total": total}
    write_whole(run.results / f".{name}.progress", to_json(content), durable=False)


def _result(spec: Spec, tasks: TaskDistribution, scored: Scored, checkpoint: str) -> dict[str, Any]:
    classes = tasks.kind == "classes"
    step, _, digest = checkpoint.removesuffix(".pt").partition("-")
    split: dict[str, Any] = {"split": "", "split_hash": "", "notes": []}
    if isinstance(tasks, ImageEpisodes):
        split = {"split": tasks.split, "split_hash": tasks.split_hash, "notes": list(tasks.notes)}
    return {
        "checkpoint": digest,
        "checkpoint_step": int(step),
        "task": spec.origin.task,
        "algorithm": spec.origin.algorithm,
        **split,
        "protocol": protocol(spec, scored.after_step),
        "metric": "accuracy" if classes else "mse",
        "higher_is_better": classes,
        "steps": scored.steps,
        "values": scored.values.tolist(),
        "after_step": scored.after_step,
        "before_step": scored.before_step,
        "chosen": scored.chosen,
    }


def protocol(spec: Spec, after_step: int) -> dict[str, Any]:
    """What a figure depends on besides the training: the protocol of a test, in plain words and numbers."""
    task = spec.task
    shape = {"shots": task.shots, "queries": task.queries}
    if isinstance(task, ImageTask):
        shape = {"ways": task.ways, **shape}
    return {
        **shape,
        "dataset": task.dataset,
        "steps_in_training": spec.adaptation.steps if spec.outer.rule == "meta-gradient" else None,
        "steps_in_testing": after_step,
        "episodes": spec.evaluation.episodes,
        "evaluation_seed": spec.evaluation.seed,
        "statistics": spec.evaluation.statistics,
        "model": "single",
        "checkpoint": "best on validation" if spec.outer.rule != "none" else "as initialised",
        "budget": spec.origin.budget,
        "seed": spec.seed,
    }
