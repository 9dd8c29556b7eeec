"""Checkpoints as bytes: what a training needs to go on to the same numbers, loaded without running code from
the file."""

import io
import pickle
from typing import Any

import torch

from engine.errors import RequestError


def pack(state: dict[str, Any]) -> bytes:
    """A checkpoint's bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(data: bytes, device: torch.device, what: str) -> dict[str, Any]:
    """A checkpoint's content from its verified bytes, its tensors on `device`.

    Raises:
        RequestError: the bytes are no checkpoint of ours; `what` names them.
    """
    try:
        return torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise RequestError(
            f"{what} is no checkpoint that can be loaded: {str(error).splitlines()[0]}"
        ) from error
