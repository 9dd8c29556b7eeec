"""Checkpoints as bytes: what a training needs to go on to the same numbers, loaded without running code from
the file."""

import io
from typing import Any

import torch

from engine.errors import RequestError

FORMAT = 3
"""Raised whenever other things stand in a checkpoint; then `NUMERICS_VERSION` rises too."""


def pack(state: dict[str, Any]) -> bytes:
    """A checkpoint's bytes."""
    buffer = io.BytesIO()
    torch.save(state | {"format": FORMAT}, buffer)
    return buffer.getvalue()


def unpack(data: bytes, device: torch.device, what: str) -> dict[str, Any]:
    """A checkpoint's content from its verified bytes, its tensors on `device`.

    Raises:
        RequestError: the bytes are no checkpoint of ours; `what` names them.
    """
    try:
        state = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    except Exception as error:  # what torch raises for broken bytes has no common class
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise RequestError(f"{what} is no checkpoint that can be loaded: {reason}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise RequestError(f"{what} was written by another version of kshot; train again (--fresh)")
    return state
