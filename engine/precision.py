"""What training's products and convolutions are computed in: float32 as it is, or with less of it on GPUs.

`full` is float32 throughout. `tf32` lets CUDA's matrix products and convolutions read ten bits of a number's
mantissa in place of 23; `bf16` computes them in bfloat16 by autocast, with parameters, sums of losses and
the outer step in float32. Records, validation and testing are computed in full.
"""

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

import torch

from engine.devices import CUDA_ALONE
from engine.errors import RequestError


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Where passes of training are computed as `training.precision` says; entered again and again.

    Raises:
        RequestError: less than full precision elsewhere than on CUDA.
    """
    if precision != "full" and device.type != "cuda":
        raise RequestError(CUDA_ALONE.format(precision=precision, device=device.type))
    if precision == "tf32":
        return Tf32()
    if precision == "bf16":
        # Casts of parameters are not kept: a graph that is replayed would know those of its capture alone.
        return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
    return nullcontext()


def in_full() -> None:
    """Float32 throughout for this process's CUDA; convolutions are given less of it by PyTorch's default."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


class Tf32:
    """A span in which CUDA's matrix products and convolutions may round what they read to TF32."""

    def __enter__(self) -> None:
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        self.before = (matmul.allow_tf32, cudnn.allow_tf32)
        matmul.allow_tf32 = cudnn.allow_tf32 = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = self.before
