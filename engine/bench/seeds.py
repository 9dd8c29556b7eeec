"""Seconds of an iteration of training: of one seed by itself, and of several in lockstep, in turns."""

from collections.abc import Callable, Sequence
from functools import partial

import torch

from engine.bench.measuring import median_seconds
from engine.data import data_folder
from engine.devices import threads
from engine.learner import Learner
from engine.presets.schema import Spec
from engine.runs.slots import cores_per_slot
from engine.tasks import build_tasks
from engine.together.lockstep import Lockstep, unfit
from engine.training import Trainer

NAME, SEEDS = "sine-10shot-5seeds", 5
_CPU = torch.device("cpu")
ITERATIONS = 320
"""Of one timing: five blocks of waves drawn ahead, and the records among them."""


def measure_seeds(spec: Spec, least: float) -> list[dict[str, object]]:
    """Rows of an iteration of five seeds, draws, outer steps and records included: together, on the cores
    that a worker has, and one by one, which is five times what one takes on its single thread and stands in
    the loop's place. Nothing where the kernels cannot serve them."""
    torch.set_num_threads(threads(spec))
    # None of them comes to its end.
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"iterations": 10**9})})
    one, *group = [_trainer(spec.model_copy(update={"seed": seed})) for seed in (0, *range(SEEDS))]
    if unfit(group) is not None:
        return []
    lockstep = Lockstep(group, cores_per_slot())
    ways: Sequence[tuple[str, Callable[[], object]]]
    ways = (("one by one", one.step), ("together", lockstep.step))
    works = [partial(_iterate, step) for _, step in ways]
    turns = [[median_seconds(work, _CPU, least / 2) for work in works] for _ in range(2)]
    alone, together = (min(column) / ITERATIONS for column in zip(*turns, strict=True))
    seconds = (SEEDS * alone, together)
    return [
        {
            "workload": NAME,
            "path": path,
            "seconds_per_iteration": own,
            "ratio_to_loop": seconds[0] / own,
            "peak_bytes": None,
        }
        for (path, _), own in zip(ways, seconds, strict=True)
    ]


def _iterate(step: Callable[[], object]) -> None:
    for _ in range(ITERATIONS):
        step()


def _trainer(spec: Spec) -> Trainer:
    return Trainer(Learner(spec, build_tasks(spec, data_folder(), _CPU), _CPU))
