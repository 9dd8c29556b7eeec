"""Which device a spec means, told without torch, so that its slot is held before torch is imported."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RequestError
from engine.runs.slots import slots_per_device

if TYPE_CHECKING:  # the schema takes long to import, and lists of runs need a device's name alone
    from engine.presets.schema import Model, Spec

INSTALL_TORCHVISION = (
    "torchvision is not installed: in a checkout say `uv sync --extra fetch`, elsewhere install torchvision "
    "beside kshot"
)
CUDA_ALONE = (
    "training.precision {precision} is for CUDA alone, and the device is {device}; full works everywhere"
)


def device_name(wanted: str) -> str:
    """`cpu`, `mps` or `cuda:N` for a spec's `device`; `auto` takes the first NVIDIA device, else the CPU."""
    if wanted == "auto":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
        return "cuda:0" if visible not in ("", "-1") and Path("/dev/nvidia0").exists() else "cpu"
    return "cuda:0" if wanted == "cuda" else wanted


def check_device(wanted: str, precision: str = "full") -> None:
    """Refuses a device that cannot be on this machine, as far as that can be told without torch, and a
    `training.precision` that would do nothing there.

    Raises:
        RequestError: CUDA without an NVIDIA or AMD device file, MPS off macOS; less than full precision
            elsewhere than on CUDA.
    """
    files = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd", "/dev/nvhost-gpu")
    if wanted.startswith("cuda") and not any(Path(file).exists() for file in files):
        raise RequestError(f"device {wanted}: there is no GPU here that CUDA could use; cpu works everywhere")
    if wanted == "mps" and sys.platform != "darwin":
        raise RequestError("device mps is there on macOS alone; cpu works everywhere")
    if precision != "full" and not (found := device_name(wanted)).startswith("cuda"):
        raise RequestError(CUDA_ALONE.format(precision=precision, device=found))


def check_model(model: "Model") -> None:
    """Refuses a body whose library is not here, before anything starts; the library is not imported.

    Raises:
        RequestError: model.name torchvision without torchvision.
    """
    if model.name == "torchvision" and find_spec("torchvision") is None:
        raise RequestError(f"model.name torchvision: {INSTALL_TORCHVISION}")


def threads(spec: "Spec", processes: int = 1) -> int:
    """Threads of each of a training's processes here: the cores at hand, shared among the slots and them.
    Raises RequestError.

    Waves need one: their matrices are so small that handing them to a second thread costs more than it saves,
    and on a busy machine waiting for it costs ten times the work.
    """
    if spec.task.dataset == "sine":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // slots_per_device() // processes)
