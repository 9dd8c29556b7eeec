"""Small trainings whose batches are shared; run as a program, it is rank 1 of 2 of all of them."""

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from plain_loop import CPU, image_tasks

from engine.checkpoint import pack
from engine.errors import RequestError
from engine.learner import Learner
from engine.presets import ImageTask, Spec, resolve
from engine.ranks.alone import OVER, Ranks
from engine.ranks.group import Group, joined
from engine.tasks import build_tasks
from engine.training import Trainer

PATIENCE = timedelta(seconds=90)
# Five tasks on two ranks: their shares differ.
EVERY = [
    "training.iterations=20",
    "training.record_every=10",
    "training.tasks_per_batch=5",
    "training.queries=2",
    "training.validation.episodes=3",
]
WAVES = [*EVERY, "training.shots=5", "model.hidden=[8, 8]"]
IMAGES = [*EVERY, "task.ways=3", "training.ways=3", "model.filters=3", "model.pooling=stride"]
HALF = 10
Case = tuple[str, str, tuple[str, ...], torch.dtype]
WAVE, CHARACTER, DOUBLE = "sine-10shot", "glyphs-5way-1shot", torch.float64
CASES: dict[str, Case] = {
    "maml": (WAVE, "maml", ("adaptation.steps=2",), DOUBLE),
    "maml in portions": (WAVE, "maml", ("adaptation.steps=2", "training.tasks_at_once=2"), DOUBLE),
    "fomaml": (CHARACTER, "fomaml", ("adaptation.steps=2",), DOUBLE),
    "reptile": (WAVE, "reptile", ("adaptation.steps=3",), DOUBLE),
    "meta-sgd": (CHARACTER, "meta-sgd", (), DOUBLE),
    "maml++": (CHARACTER, "maml++", ("adaptation.steps=2", "evaluation.ensemble=1"), DOUBLE),
    "anil": (CHARACTER, "anil", ("adaptation.steps=2",), DOUBLE),
    "protonet": (CHARACTER, "protonet", (), DOUBLE),
    "r2d2": (CHARACTER, "r2d2", (), DOUBLE),
    "stored heads": (WAVE, "maml", ("adaptation.head=stored", "training.tasks=4"), DOUBLE),
    "union": (CHARACTER, "multitask-union", ("training.tasks=6",), DOUBLE),
    "pretrain": (WAVE, "pretrain", ("training.examples_per_batch=11",), DOUBLE),
    "maml in float32": (CHARACTER, "maml", ("training.iterations=5", "model.filters=8"), torch.float32),
}


def spec_of(task: str, algorithm: str, changes: tuple[str, ...] = ()) -> Spec:
    small = WAVES if task == WAVE else IMAGES
    return resolve(task, algorithm, overrides=[*small, *changes]).spec


@dataclass
class Trained:
    """A trainer after all its iterations, what it recorded (its validation last), and its state half-way."""

    trainer: Trainer
    records: list[dict[str, Any]]
    half: bytes


def trainer_of(case: Case, ranks: Ranks | None = None) -> Trainer:
    task, algorithm, changes, dtype = case
    spec = spec_of(task, algorithm, changes)
    images = isinstance(spec.task, ImageTask)
    tasks = image_tasks(spec, dtype=dtype) if images else build_tasks(spec, Path("/nowhere"), CPU, dtype)
    return Trainer(Learner(spec, tasks, CPU, dtype), ranks)


def trained(case: Case, ranks: Ranks | None = None) -> Trained:
    trainer, records, half = trainer_of(case, ranks), [], b""
    while trainer.iteration < trainer.iterations:
        records.append(trainer.step())
        if trainer.iteration == HALF:
            half = pack(trainer.state())
    return Trained(trainer, [*filter(None, records), trainer.validate()], half)


def all_trained(group: Group) -> dict[str, Trained]:
    return {name: trained(case, group) for name, case in CASES.items()}


def merged(group: Group) -> tuple[list[float], float]:
    """The mean of [rank] and of ten times it over 2 and 3 tasks, with a word from each rank."""
    group.asks = lambda: {"checkpoint"} if group.rank else {OVER}
    slopes, loss = group.merged({"slope": torch.tensor([float(group.rank)])}, 10.0 * group.rank, 5)
    return slopes["slope"].tolist(), loss


def disagreement(group: Group) -> str:
    """What is said where ranks hold other numbers."""
    group.agree([torch.ones(3)], 7)
    try:
        group.agree([torch.ones(3), torch.full((2,), group.rank)], 8)
    except RequestError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    torch.set_num_threads(1)
    everyone = joined(1, 2, Path(sys.argv[1]), patience=PATIENCE)
    merged(everyone)
    disagreement(everyone)
    all_trained(everyone)
