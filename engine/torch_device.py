"""A device as torch has it, which `engine.devices` names without torch."""

import torch

from engine.errors import RequestError
from engine.precision import in_full


def torch_device(name: str, wanted: str) -> torch.device:
    """A device by its name; `auto` falls back to the CPU where torch cannot use what was found without it.
    Whatever says nothing else computes in full precision there.

    Raises:
        RequestError: a device that was asked for by name cannot be used here.
    """
    device = torch.device(name)
    if device.type == "cpu":
        return device
    if (
        device.type == "cuda"
        and torch.cuda.is_available()
        and (device.index or 0) < torch.cuda.device_count()
    ):
        in_full()
        return device
    if device.type == "mps" and torch.backends.mps.is_available():
        return device
    if wanted == "auto":
        return torch.device("cpu")
    raise RequestError(f"device {name} cannot be used here; --device cpu works everywhere")
