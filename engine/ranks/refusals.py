"""Which trainings cannot be shared by processes, told without torch, before anything starts."""

import os
import re
from pathlib import Path

from engine.devices import device_name
from engine.errors import RequestError
from engine.presets import Spec
from engine.presets.shapes import training_shape
from engine.runs.status import Status


def check_processes(spec: Spec, processes: int, here: int | None = None) -> None:
    """Refuses more processes than a training can use; `here` are those on this machine (none: all).

    Raises:
        RequestError: it says why, and what would be right.
    """
    if processes == 1:
        return
    device = device_name(spec.device)
    reason = unshared(spec, processes)
    if reason is None and device == "mps":
        reason = "device mps is one device; --device cpu can be shared"
    if reason is None and device.startswith("cuda"):
        reason = _too_few_gpus(device, processes if here is None else here)
    if reason is not None:
        raise RequestError(f"{processes} processes cannot share this training: {reason}")


def unshared(spec: Spec, processes: int) -> str | None:
    """Why this training's batches cannot be shared by so many processes; None where they can."""
    training = spec.training
    if spec.outer.rule == "none":
        return "outer.rule none trains nothing"
    if spec.outer.rule != "joint":
        if processes > training.tasks_per_batch:
            return f"a meta-batch has {training.tasks_per_batch} tasks (training.tasks_per_batch)"
        return None
    if spec.model.norm == "batch":
        return "outer.rule joint normalises the whole batch together; shared, it would be another training"
    examples = training.examples_per_batch or training.tasks_per_batch * training_shape(spec).examples
    return f"a batch has {examples} examples" if processes > examples else None


def processes_of(status: Status) -> int:
    """How many processes a run was last begun with; of those that torchrun began, it alone can begin as
    many again."""
    count, launched = (status.more.get(name) for name in ("processes", "launched"))
    return count if type(count) is int and count > 1 and launched is None else 1


def devices_of(device: str, processes: int) -> list[str]:
    """Each process's device: the CPU for all, or consecutive GPUs from `device` on."""
    if not device.startswith("cuda"):
        return [device] * processes
    first = int(device.partition(":")[2] or 0)
    return [f"cuda:{first + number}" for number in range(processes)]


def _too_few_gpus(device: str, processes: int) -> str | None:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        count = len([each for each in visible.split(",") if each.strip()])
    else:
        count = sum(bool(re.fullmatch(r"nvidia\d+", path.name)) for path in Path("/dev").glob("nvidia*"))
    free = count - int(device.partition(":")[2] or 0)
    if not count or processes <= free:  # none that could be counted without torch: the worker will see
        return None
    return f"each wants a GPU of its own, and from {device} on there {'is' if free == 1 else 'are'} {free}"
