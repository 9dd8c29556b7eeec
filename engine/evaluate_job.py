"""Answers evaluation requests: a checkpoint, tested as a spec says, becomes a result file beside the run."""

import time
from collections.abc import Callable
from typing import Any

import torch

from engine.checkpoint import unpack
from engine.data import data_folder
from engine.data import split_hash as images_split_hash
from engine.devices import threads
from engine.errors import RequestError
from engine.evaluation import Scored, evaluate
from engine.learner import Learner
from engine.presets import Spec, spec_from_dict, test_adaptation
from engine.presets.schema import ImageTask
from engine.runs import (
    Run,
    clear_progress,
    finish_request,
    pending_requests,
    plain,
    read_verified,
    write_error,
    write_progress,
    write_result,
)
from engine.tasks import TaskDistribution, build_tasks
from engine.training import load_parameters


def answer_requests(runs: list[Run], device_name: str, ending: Callable[[], bool]) -> int:
    """Answers every pending request of these runs; returns 1 if any could not be answered, which its error file says."""
    torch.set_num_threads(threads())
    device = torch.device(device_name)
    failed = False
    for run in runs:
        for request in pending_requests(run):
            if ending():
                return 0
            try:
                write_result(run, request["id"], _answer(run, request, device))
            except Ended:
                return 0
            except (RequestError, RuntimeError, OSError) as error:
                failed = True
                write_error(run, request["id"], plain(str(error), 500))
            finally:
                clear_progress(run, request["id"])
            finish_request(run, request["id"])
    return int(failed)


class Ended(Exception):
    """The worker was asked to end in the middle of an evaluation."""


def _answer(run: Run, request: dict[str, Any], device: torch.device) -> dict[str, Any]:
    begun = time.monotonic()
    spec = spec_from_dict(request["spec"], "the request")
    path = run.checkpoints / request["checkpoint"]
    state = unpack(read_verified(path), device, path.name)
    write_progress(run, request["id"], "loading data", 0, 1)
    tasks = build_tasks(spec, data_folder(), device)
    learner = Learner(spec, tasks, device)
    load_parameters(learner, state)
    last_written = [0.0]

    def progress(phase: str, done: int, total: int) -> None:
        if time.monotonic() - last_written[0] > 0.25:
            last_written[0] = time.monotonic()
            write_progress(run, request["id"], phase, done, total)

    evaluation, adaptation = spec.evaluation, test_adaptation(spec)
    scored = evaluate(
        learner, adaptation, evaluation.tune, "test", evaluation.episodes, evaluation.statistics, progress
    )
    return _result(spec, tasks, scored, path.name) | {
        "id": request["id"],
        "seconds": round(time.monotonic() - begun, 3),
        "train_seconds": round(state["seconds"], 3),
        "train_iterations": state["iteration"],
    }


def _result(spec: Spec, tasks: TaskDistribution, scored: Scored, checkpoint: str) -> dict[str, Any]:
    classes = tasks.kind == "classes"
    task = spec.task
    step, _, digest = checkpoint.removesuffix(".pt").partition("-")
    split = {"split": "", "split_hash": "", "notes": []}
    if isinstance(task, ImageTask):
        split = {"split": tasks.split, "split_hash": images_split_hash(task, data_folder()), "notes": tasks.notes}
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
