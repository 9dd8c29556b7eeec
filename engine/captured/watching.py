"""What a span of computing reads from outside, and what in it no graph of kernels could hold."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ASKING = (
    "_local_scalar_dense",
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "_linalg_check_errors",
    "lift_fresh",
)
"""Operations for which the host waits for the device, or that bring the device a constant of the host's
(`lift_fresh`: a tensor made from Python numbers)."""
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class CannotCaptureError(Exception):
    """No graph can hold a computation; the text says what in it."""


class Watched(TorchDispatchMode):
    """Looks on while the span computes; it changes nothing.

    `held` are the tensors that were there before and were read or written, one for each memory: whoever
    replays a graph of the span keeps them alive.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[int, Tensor] = {}
        self.asked: list[str] = []
        """Operations that no graph can hold, in their order."""
        # What is freed in the span and given out again is the span's own both times.
        self._made: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = [*_tensors((args, kwargs))]
        for tensor in given:
            if (where := _memory(tensor)) not in self._made:
                self.held.setdefault(where, tensor)
        found = func(*args, **(kwargs or {}))
        made = [*_tensors(found)]
        self._made.update(where for tensor in made if (where := _memory(tensor)) not in self.held)
        name = func.overloadpacket.__name__
        # Numbers without axes come from the host as arguments of kernels.
        between = len({tensor.device for tensor in given + made if tensor.dim()}) > 1
        if name in ASKING or between or _by_mask(name, args):
            self.asked.append(str(func))
        return found

    def refuse(self) -> None:
        """Raises CannotCaptureError where there is something that no graph can hold."""
        if self.asked:
            raise CannotCaptureError(f"it asks the device ({self.asked[0]})")


def watched(work: Callable[[], None]) -> list[Tensor]:
    """Does the work; what it read from outside. Raises CannotCaptureError."""
    with Watched() as seen:
        work()
    seen.refuse()
    return [*seen.held.values()]


def _by_mask(name: str, args: tuple[Any, ...]) -> bool:
    """Whether elements are picked by a mask: how many there are, the device alone knows."""
    return name in INDEXING and any(t.dtype in (torch.bool, torch.uint8) for t in _tensors(args[1]))


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, Tensor))


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
