"""Does one iteration of a run again, from its newest checkpoint before it, and prints what it finds as a line
of JSON."""

import json

import torch

from engine.building import loaded
from engine.data import data_folder
from engine.devices import device_name, threads
from engine.divergence import Diverged
from engine.errors import RequestError
from engine.learner import Learner
from engine.paths import FUSED
from engine.presets import load_spec
from engine.replay import replayed, told
from engine.runs import Run, list_checkpoints, read_verified
from engine.runs.checkpoints import Checkpoint, CheckpointError
from engine.runs.files import to_json
from engine.tasks import build_tasks
from engine.torch_device import torch_device
from engine.training import Trainer


def replay(run: Run, step: int) -> int:
    """Prints the report of `engine.replay` on iteration `step`, with `words`, where it began, and `path`.

    The run's folder stays as it is. Raises RequestError for an iteration that the run does not have.
    """
    spec = load_spec(run.spec_path)
    torch.set_num_threads(threads(spec))
    device = torch_device(device_name(spec.device), spec.device)
    trainer = Trainer(Learner(spec, build_tasks(spec, data_folder(), device), device))
    if not 1 <= step <= trainer.iterations:
        raise RequestError(f"run {run.id} has no iteration {step:,}; it has {trainer.iterations:,}")
    before = _newest_before(run, step)
    if before is not None:
        state = loaded(trainer, before.path, device)
        if trainer.learner.path == FUSED != state["path"]:
            trainer.learner.take(state["path"])
    if step - 1 > trainer.iteration:
        again = f"doing {step - 1 - trainer.iteration:,} iterations again, from {trainer.iteration:,}"
        print(json.dumps({"note": again}), flush=True)
    fault: Diverged | None = None
    try:
        while trainer.iteration < step - 1:
            trainer.step()
    except Diverged as found:
        fault = found
    report = replayed(trainer, fault or _fault(trainer))
    print(to_json(report | {"words": told(report), "path": trainer.learner.path}).decode(), flush=True)
    return 0


def _newest_before(run: Run, step: int) -> Checkpoint | None:
    """The newest good checkpoint from before iteration `step`."""
    for checkpoint in reversed(list_checkpoints(run)):
        if checkpoint.step < step:
            try:
                read_verified(checkpoint.path)
            except CheckpointError:
                continue
            return checkpoint
    return None


def _fault(trainer: Trainer) -> Diverged | None:
    """What the next iteration is stopped by; None where it goes well, and is then taken back."""
    state = trainer.copied()
    try:
        trainer.step()
    except Diverged as found:
        return found
    trainer.load(state)
    return None
