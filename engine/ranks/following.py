"""The job of the ranks that write nothing: they hear what rank 0 trains, and make every iteration with it."""

from collections.abc import Callable, Set
from contextlib import AbstractContextManager
from typing import Any

import torch

from engine.checkpoint import unpack
from engine.data import data_folder
from engine.devices import device_name
from engine.divergence import Diverged
from engine.learner import Learner
from engine.paths import FUSED
from engine.presets import Spec
from engine.ranks.alone import OVER
from engine.ranks.group import Group
from engine.ranks.telling import heard
from engine.tasks import build_tasks
from engine.torch_device import torch_device
from engine.training import Trainer

Held = Callable[[str], AbstractContextManager[object]]
"""Holds what a process on a device must hold while it computes."""


def follow(group: Group, device_of: Callable[[str], str], held: Held, asks: Callable[[], Set[str]]) -> int:
    """Makes every iteration with the others, to the end or to where one asks for it; nothing is written.

    `device_of` says which device is this process's where the training's is known.
    """
    said, checkpoint = heard(group)
    spec: Spec = said["spec"]
    name = device_of(device_name(spec.device))
    with held(name):
        device = torch_device(name, spec.device)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        torch.set_num_threads(said["threads"])
        trainer = _trainer(group, spec, said["path"], checkpoint, device)
        trainer.agree()
        group.asks = asks
        try:
            _loop(trainer, group, said)
        except Diverged:
            return 0
    return 0


def _trainer(group: Group, spec: Spec, path: str, checkpoint: bytes, device: torch.device) -> Trainer:
    trainer = Trainer(Learner(spec, build_tasks(spec, data_folder(), device), device), group)
    if checkpoint:
        trainer.load(unpack(checkpoint, device, "the checkpoint of process 0"))
    if trainer.learner.path == FUSED != path:
        trainer.learner.take(path)
    return trainer


def _loop(trainer: Trainer, group: Group, said: dict[str, Any]) -> None:
    """The calls of rank 0's loop that all ranks make together."""
    if said["unvalidated"]:
        trainer.validate()
    while trainer.iteration < trainer.iterations and not said["over"]:
        trainer.step()
        words = group.words()
        last = trainer.iteration == trainer.iterations or OVER in words
        if last or trainer.iteration % trainer.spec.training.validation.every == 0:
            trainer.validate()
        if last or words & {"stop", "pause"}:
            return
