"""Answers questions about single episodes: one test task, adapted step by step, with all that it shows.

One resident worker keeps models and data, so that the next episode takes a moment and not seconds.
"""

import base64
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.adaptation.losses import task_metric
from engine.adaptation.movement import moved
from engine.curves import curves
from engine.errors import RequestError
from engine.evaluate_job import trained_learner
from engine.evaluation import adapted_states, recorded_steps
from engine.learner import Learner
from engine.presets import test_adaptation
from engine.requests import Asked
from engine.runs import Run, episodes, withdraw_request, write_result
from engine.tasks import Episodes, TaskDistribution, build_tasks
from engine.tasks.images import TURNS, ImageEpisodes

IDLE_SECONDS = 60.0
PAUSE_SECONDS = 0.05
LARGEST_SIDE = 42
CURVE_POINTS = 101
CPU = torch.device("cpu")
LEARNERS_KEPT = 6
FAMILY = {"amplitude", "phase", "frequency", "shift"}


def answer_until_idle(runs_dir: Path, ending: Callable[[], bool], idle_seconds: float = IDLE_SECONDS) -> None:
    """Answers whatever is asked about the folder's runs, until asked to end or nothing came for a while.

    One thread: trainings have the machine, and one episode is little work.
    """
    torch.set_num_threads(1)
    learners = Learners()
    done: set[tuple[Run, str]] = set()
    last = time.monotonic()
    while not ending() and time.monotonic() - last < idle_seconds:
        begun = time.monotonic()
        found = next((each for each in episodes.waiting(runs_dir) if each not in done), None)
        if found is None:
            done.clear()
            # Thousands of runs take long to look through: at most a tenth of the time goes there.
            time.sleep(max(PAUSE_SECONDS, 9 * (time.monotonic() - begun)))
            continue
        # What is still there after its answer (a folder that cannot be written) waits for the others.
        done.add(found)
        if answer(*found, learners):
            last = time.monotonic()


def answer(run: Run, name: str, learners: "Learners") -> bool:
    """Answers one question, or leaves one line that says why it cannot be answered; false where there is
    none, or none any more."""
    request = Asked.read(run, name)
    if not episodes.is_waiting(run, name):
        withdraw_request(run, name)
        return False
    try:
        write_result(run, name, {"kind": episodes.KIND, "id": name, **_answer(request, learners)})
    except RequestError as error:
        _refuse(request, str(error))
    except Exception as error:
        # A question that cannot be answered must not take the worker, and so the others, with it.
        traceback.print_exc()
        _refuse(request, f"{type(error).__name__}: {error}")
    finally:
        episodes.told_all(run, name)
    return True


def _refuse(request: Asked, reason: str) -> None:
    # The run may have been removed meanwhile, or the disk be full.
    with suppress(OSError):
        request.refuse(reason)


class Learners:
    """The trained learners of the last questions, by checkpoint and whatever else they depend on."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[str, str, str], Learner] = OrderedDict()

    def of(self, request: Asked) -> Learner:
        """The learner that a question is about, built and loaded where it is not there yet."""
        spec = request.spec
        if spec is None or request.data is None:
            raise RequestError(request.error or "the question cannot be read")
        folder = Path(str(request.content.get("data_dir", "")))
        key = (request.checkpoint, str(folder), spec.model_dump_json())
        if key not in self.kept:
            episodes.tell(request.run, request.name, "loading data")
            tasks = build_tasks(spec, folder, CPU)
            self.kept[key] = trained_learner(spec, tasks, CPU, request.data, request.checkpoints)
        self.kept.move_to_end(key)
        while len(self.kept) > LEARNERS_KEPT:
            self.kept.popitem(last=False)
        return self.kept[key]


def _answer(request: Asked, learners: Learners) -> dict[str, Any]:
    learner, number = learners.of(request), request.content.get("episode")
    if not (isinstance(number, int) and number >= 0):
        raise RequestError("a question about an episode needs its number")
    episodes.tell(request.run, request.name, "adapting")
    about = {"task": learner.spec.origin.task, "algorithm": learner.spec.origin.algorithm, "episode": number}
    about["after_step"] = request.content.get("after_step")
    return about | described(learner, number)


@torch.no_grad()
def described(learner: Learner, number: int) -> dict[str, Any]:
    """Test episode `number` as its adaptation goes: plain numbers and texts.

    `steps` [S], `metric` [S] (accuracy as a fraction, or squared error), `moved` by layer [S] (|θ − θ₀|/|θ₀|,
    None where θ₀ is zero). Images: `classes` [N], `support` and `query` with their labels, `probabilities`
    [S][Q][N]. Waves: what `engine.curves` gives, on 101 points, and the `family`'s ranges, None where the
    model is told which wave it is.
    """
    adaptation = test_adaptation(learner.spec)
    rule = learner.rule(adaptation, "test", learner.spec.evaluation.statistics)
    task = learner.tasks.episodes("test", torch.tensor([number]))
    steps, states, outputs = [], [], []
    for step, state in adapted_states(rule, learner, task, recorded_steps(adaptation.steps)):
        steps.append(step)
        states.append(state)
        outputs.append(rule.predict(state, learner.meta_parameters, task, step))
    kind = learner.tasks.kind
    seen = {
        "steps": steps,
        "metric": [task_metric(kind, each, task.query_y).item() for each in outputs],
        "moved": moved([rule.parameters_in(state) for state in states]),
        "adaptation": adaptation.model_dump(mode="json", include={"rule", "steps", "learning_rate", "head"}),
    }
    if kind == "classes":
        return seen | {"shows": "images"} | _images(learner.tasks, task, outputs)
    found = curves(learner, adaptation, "test", number, CURVE_POINTS)
    return seen | {"shows": "curves", "family": _family(learner)} | found


def _family(learner: Learner) -> dict[str, Any] | None:
    task = learner.spec.task
    return None if getattr(task, "oracle", True) else task.model_dump(mode="json", include=FAMILY)


def _images(tasks: TaskDistribution, task: Episodes, outputs: list[Tensor]) -> dict[str, Any]:
    return {
        "classes": _class_names(tasks, task),
        "support": packed_images(task.support_x[0]),
        "support_labels": task.support_y[0].tolist(),
        "query": packed_images(task.query_x[0]),
        "query_labels": task.query_y[0].tolist(),
        "probabilities": [_rounded(each[0].softmax(-1)) for each in outputs],
    }


def _class_names(tasks: TaskDistribution, task: Episodes) -> list[str]:
    """The names of the episode's classes, with the quarter turns that they are shown by."""
    if not isinstance(tasks, ImageEpisodes):
        return []
    names = tasks.packed.parts["test"].names
    parts = [divmod(detail, TURNS) for detail in task.detail[0].tolist()]
    return [names[number] + (f", turned {turn * 90}°" if turn else "") for number, turn in parts]


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in values.tolist()]


def packed_images(images: Tensor) -> dict[str, Any]:
    """Images `[n, C, H, W]` in 0..1 as base64 of uint8 `[n, h, w, C]`, no side longer than 42."""
    pixels = (images.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    small = area_reduced(pixels, LARGEST_SIDE)
    return {"shape": list(small.shape), "data": base64.b64encode(small.tobytes()).decode()}


def area_reduced(pixels: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Images `[n, H, W, C]` by the mean of areas of equal size, so that no side is longer than `longest`."""
    height, width = pixels.shape[1:3]
    factor = -(-max(height, width) // longest)
    if factor == 1:
        return pixels
    fill = [(0, 0), (0, -height % factor), (0, -width % factor), (0, 0)]
    whole = np.pad(pixels, fill, mode="edge").astype(np.float32)
    images, high, wide, channels = whole.shape
    areas = whole.reshape(images, high // factor, factor, wide // factor, factor, channels)
    return areas.mean((2, 4)).round().astype(np.uint8)
