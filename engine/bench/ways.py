"""The ways to one workload's numbers, made ready and checked against each other."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

from engine.adaptation import meta_gradient
from engine.bench.plain import plain_meta_gradient, plain_scores
from engine.bench.workloads import Workload, spec_of
from engine.data import data_folder
from engine.devices import threads
from engine.evaluation import scores
from engine.learner import Learner
from engine.models import Parameters
from engine.paths import FUSED, GENERIC
from engine.portions import mean_gradient, walks
from engine.presets import test_adaptation
from engine.presets.schema import Spec
from engine.tasks import build_tasks
from engine.tasks.episodes import TaskDistribution

LOOP = "loop"
RECOMPUTED = "{}, steps made anew"
CHECKED_TASKS = 4
"""How many tasks the ways are checked on, in float64: in float32 a max-pool's choice that is nearly a tie may
fall either way, and after five second-order steps one such choice is worth per cents of the meta-gradient."""

Way = Callable[[], Parameters]


class Bench(NamedTuple):
    """A workload made ready: each way to its numbers by its name, the plain loop first."""

    spec: Spec
    tasks: TaskDistribution
    learner: Learner
    ways: dict[str, Way]
    not_fused: str | None
    """Why there is no fused way; None where there is."""


def prepare(workload: Workload, device: torch.device) -> Bench:
    """The workload's ways, which have been checked against each other. Sets PyTorch's number of threads.

    Raises:
        RuntimeError: a way disagrees with the plain loop; then no timing means anything.
    """
    torch.set_num_threads(threads(spec_of(workload)))
    if device.type != "mps":  # which has no float64
        few = workload._replace(tasks=min(CHECKED_TASKS, workload.tasks))
        _check(workload, _ways(few, device, torch.float64).ways)
    return _ways(workload, device, torch.float32)


def _ways(workload: Workload, device: torch.device, dtype: torch.dtype) -> Bench:
    spec = spec_of(workload)
    tasks = build_tasks(spec, data_folder(), device, dtype)
    learner = Learner(spec, tasks, device, dtype)
    made = _evaluations if workload.what == "evaluation" else _meta_gradients
    path = learner.path
    ways = made(workload, learner, (GENERIC, FUSED) if path == FUSED else (GENERIC,))
    return Bench(spec, tasks, learner, ways, None if path == FUSED else path.removeprefix(f"{GENERIC}: "))


def _meta_gradients(workload: Workload, learner: Learner, paths: tuple[str, ...]) -> dict[str, Way]:
    tasks, parameters, rule = learner.tasks, learner.meta_parameters, learner.training_rule()
    index = torch.arange(workload.tasks)

    def by(path: str, recomputed: bool) -> Parameters:
        learner.take(path)
        batch, at_once = tasks.episodes("train", index), learner.tasks_at_once
        walk = partial(meta_gradient, rule, parameters, second_order=True, constant_memory=recomputed)
        return mean_gradient(walks(walk, batch, at_once))

    ways: dict[str, Way] = {
        LOOP: lambda: plain_meta_gradient(learner.spec, parameters, tasks.episodes("train", index))
    }
    for path in paths:
        ways[path] = partial(by, path, False)
        if workload.recomputed:
            ways[RECOMPUTED.format(path)] = partial(by, path, True)
    return ways


def _evaluations(workload: Workload, learner: Learner, paths: tuple[str, ...]) -> dict[str, Way]:
    """Of the first episodes of the test part, as testing asks for them."""
    tasks, spec, count = learner.tasks, learner.spec, workload.tasks
    adaptation = test_adaptation(spec).model_copy(update={"steps": workload.steps})
    index = torch.arange(count)

    def by(path: str) -> Parameters:
        learner.take(path)
        found = scores(learner, adaptation, "test", count, "query", [workload.steps])
        return {"accuracy": found.squeeze(1)}

    def loop() -> Parameters:
        episodes = tasks.episodes("test", index)
        return {"accuracy": plain_scores(spec, learner.meta_parameters, episodes)}

    return {LOOP: loop} | {path: partial(by, path) for path in paths}


def _check(workload: Workload, ways: dict[str, Way]) -> None:
    theirs = ways[LOOP]()
    for path, work in ways.items():
        if path == LOOP:
            continue
        ours = work()
        for name, right in theirs.items():
            # Said this way round, what is not a number disagrees.
            if not (right - ours[name]).norm() <= 1e-6 * right.norm() + 1e-9:
                raise RuntimeError(f"{workload.name}: {path} and the plain loop disagree on {name}")
