"""Answers evaluation requests: a checkpoint, tested as a spec says, becomes a result file beside the run."""

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch

from engine.checkpoint import unpack
from engine.data import data_folder
from engine.devices import threads
from engine.errors import RequestError
from engine.evaluation import evaluate
from engine.learner import Learner
from engine.presets import Spec, load_spec, test_adaptation, training_key
from engine.presets.schema import ImageTask, Model
from engine.requests import ENDED, KIND, Asked
from engine.runs import Run, Status, read_status, withdraw_request, write_result
from engine.runs.files import to_json, write_whole
from engine.runs.locks import held_alone
from engine.runs.results import episodes_key, read_evaluation
from engine.runs.spec_facts import normalises
from engine.runs.testing import digest_in
from engine.tasks import TaskDistribution, build_tasks
from engine.tasks.images import ImageEpisodes
from engine.torch_device import torch_device
from engine.training import load_parameters
from engine.versions import code_version

PROGRESS_SECONDS = 0.25


class Ended(Exception):
    """The worker was asked to end in the middle of an evaluation."""


def answer(asked: list[Asked], ending: Callable[[], bool]) -> int:
    """Answers requests one after the other; returns 1 if any could not be answered, ENDED if asked to end."""
    failed = False
    for request in asked:
        try:
            _answer(request, ending)
        except Ended:
            return ENDED
        except RequestError as error:
            failed = True
            request.refuse(str(error))
        except Exception as error:
            # One request that cannot be answered must not take the others with it.
            traceback.print_exc()
            failed = True
            request.refuse(f"{type(error).__name__}: {error}")
    return int(failed)


def _answer(request: Asked, ending: Callable[[], bool]) -> None:
    """Answers one request, unless that has been done since it was read.

    It was read before the wait for the device: meanwhile another worker may have answered it, or be at it
    where a device has several slots. A lock of the request's own: the run's belongs to its training.
    """
    run, name = request.run, request.name
    with held_alone(run.requests / f".{name}.lock", ending) as held:
        if not held:
            raise Ended
        if read_evaluation(run, name) is not None:
            withdraw_request(run, name)
            return
        try:
            write_result(run, name, _result(request, ending))
        finally:
            with suppress(OSError):
                (run.results / f".{name}.progress").unlink()


def _result(request: Asked, ending: Callable[[], bool]) -> dict[str, Any]:
    spec, run = request.spec, request.run
    if spec is None or request.data is None:
        raise RequestError(request.error or "the request cannot be read")
    begun, written = time.monotonic(), 0.0

    def progress(phase: str, done: int, total: int) -> None:
        nonlocal written
        if ending():
            raise Ended
        if time.monotonic() - written > PROGRESS_SECONDS:
            written = time.monotonic()
            _write_progress(run, request.name, phase, done, total)

    torch.set_num_threads(threads(spec))
    device = torch_device(request.device, spec.device)
    progress("loading data", 0, 1)
    tasks = build_tasks(spec, data_folder(), device)
    learner = trained_learner(spec, tasks, device, request.data, request.checkpoints)
    evaluation = spec.evaluation
    scored = evaluate(
        learner,
        test_adaptation(spec),
        evaluation.tune,
        "test",
        evaluation.episodes,
        evaluation.statistics,
        progress,
    )
    trained = read_status(run)
    return {
        "kind": KIND,
        "id": request.name,
        **_about(request, spec, tasks, trained),
        "steps": scored.steps,
        "values": scored.values.tolist(),
        "after_step": scored.after_step,
        "before_step": scored.before_step,
        "chosen": scored.chosen,
        "seconds": round(time.monotonic() - begun, 3),
        "train_seconds": trained.more.get("seconds"),
        "train_iterations": trained.step,
    }


def trained_learner(
    spec: Spec,
    tasks: TaskDistribution,
    device: torch.device,
    data: Sequence[bytes],
    checkpoints: Sequence[str],
) -> Learner:
    """A learner with the meta-parameters of a checkpoint's bytes, the others of several beside it as members
    of an ensemble; errors call them by the names `checkpoints`."""
    learners = []
    for each, name in zip(data, checkpoints, strict=True):
        state = unpack(each, device, name)
        learners.append(Learner(spec, tasks, device))
        load_parameters(learners[-1], state)
    learners[0].others = learners[1:]
    return learners[0]


def _write_progress(run: Run, name: str, phase: str, done: int, total: int) -> None:
    content = {"phase": phase, "done": done, "total": total}
    with suppress(OSError):
        write_whole(run.results / f".{name}.progress", to_json(content), durable=False)


def _about(request: Asked, spec: Spec, tasks: TaskDistribution, trained: Status) -> dict[str, Any]:
    classes = tasks.kind == "classes"
    step = request.checkpoints[0].partition("-")[0]
    split: dict[str, Any] = {"split": "", "split_hash": "", "images_hash": "", "notes": []}
    if isinstance(tasks, ImageEpisodes):
        packed = tasks.packed
        split = {"split": packed.split, "split_hash": packed.split_hash}
        split |= {"images_hash": packed.images_hash, "notes": list(packed.notes)}
    best = trained.best is not None and trained.best.get("file") == request.checkpoints[0]
    return {
        "checkpoint": "-".join(map(digest_in, request.checkpoints)),
        "checkpoint_step": int(step),
        "task": spec.origin.task,
        "algorithm": spec.origin.algorithm,
        "episodes_key": episodes_key(spec),
        **split,
        "protocol": _protocol(spec, best) | _trained_by(request) | code_version(),
        "metric": "accuracy" if classes else "mse",
        "higher_is_better": classes,
    }


def _protocol(spec: Spec, best: bool) -> dict[str, Any]:
    """What a figure depends on besides the training, in plain words and numbers."""
    task, tested = spec.task, test_adaptation(spec)
    shape = {"shots": task.shots, "queries": task.queries}
    if isinstance(task, ImageTask):
        shape = {"ways": task.ways, **shape}
    trained, ensemble = "best on validation" if best else "last", spec.evaluation.ensemble
    return {
        **shape,
        "dataset": task.dataset,
        **_training_protocol(spec),
        **_precision(spec),
        "steps_in_testing": tested.steps if tested.rule in ("gradient", "none") else None,
        "episodes": spec.evaluation.episodes,
        "evaluation_seed": spec.evaluation.seed,
        "statistics": spec.evaluation.statistics,
        "model": "single" if ensemble == 1 else f"ensemble of {ensemble}",
        "checkpoint": "as initialised" if spec.outer.rule == "none" else trained,
        "budget": spec.origin.budget,
        "seed": spec.seed,
        "network": network(spec.model),
        "normalised": normalises(spec),
    }


def _trained_by(request: Asked) -> dict[str, Any]:
    """That the training was by other code than this, where the run's key says so."""
    try:
        trained = load_spec(request.run.spec_path)
    except RequestError:
        return {}
    stored = read_status(request.run).summary.get("key")
    if stored in (None, training_key(trained)):
        return {}
    return {"trained_by": "by another version of the numerics"}


def _training_protocol(spec: Spec) -> dict[str, Any]:
    """What training episodes were: inner steps, where there are such; ways, where testing has others."""
    if spec.outer.rule in ("joint", "none"):
        return {"steps_in_training": None}
    gradient, ways = spec.adaptation.rule == "gradient", spec.training.ways
    other = isinstance(spec.task, ImageTask) and ways not in (None, spec.task.ways)
    said = {"steps_in_training": spec.adaptation.steps if gradient else None}
    return said | ({"ways_in_training": ways} if other else {})


def _precision(spec: Spec) -> dict[str, Any]:
    """What the training was computed in, where that was not float32 throughout."""
    precision = spec.training.precision
    return {} if precision == "full" or spec.outer.rule == "none" else {"precision": precision}


def network(model: Model) -> str:
    """A network in a few words: `conv4, 32 filters, stride, flatten`."""
    sizes = {
        "conv4": f", {model.filters} filters, {model.pooling}, {model.features}",
        "resnet12": f", {model.filters} filters, {model.features}",
        "torchvision": f", {model.backbone}, {model.features}",
        "mlp": f", {'-'.join(map(str, model.hidden))}",
    }
    norm = "" if model.norm == "batch" or model.name == "pixels" else ", no norm"
    head = ", cosine head" if model.head == "cosine" else ""
    return f"{model.name}{sizes.get(model.name, '')}{norm}{head}"
