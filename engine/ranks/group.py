"""Several processes of one training, by torch.distributed: gloo on the CPU, NCCL on CUDA.

A task is a function of its index, so every rank knows the whole batch and learns from its own slice of it.
Slopes are added up in one flat buffer an iteration, and every rank makes the same outer step with the sum.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as distributed
from torch import Tensor

from engine.errors import RequestError
from engine.models import Parameters
from engine.ranks.alone import WORDS, Ranks

PATIENCE = timedelta(days=7)
"""Processes may wait for one another as long as a queue lasts; one that dies is noticed by its connection."""


class Lost(RequestError):
    """Another process of the training has ended, so that this one cannot go on."""


class Group(Ranks):
    """Rank `rank` of `count`. `who` names the process that was lost, where somebody watches them."""

    def __init__(self, rank: int, count: int, who: Callable[[], str | None] = lambda: None) -> None:
        super().__init__()
        self.rank, self.count, self.who = rank, count, who
        self._words: Set[str] = frozenset()

    def own(self, size: int) -> tuple[int, int]:
        """A slice of the batch; slices differ by one where ranks do not divide it."""
        return self.rank * size // self.count, (self.rank + 1) * size // self.count

    def _share(self, size: int) -> float:
        begin, end = self.own(size)
        return (end - begin) / size

    def merged(self, slopes: Parameters, loss: float, size: int) -> tuple[Parameters, float]:
        """One sum over ranks, in the slopes' own type; what any rank asks for travels with it, so that all
        obey at the same iteration."""
        share, asked = self._share(size), self.asks()
        like = next(iter(slopes.values()))
        said = like.new_tensor([loss * share, *(float(word in asked) for word in WORDS)])
        flat = torch.cat([*(slope.reshape(-1) * share for slope in slopes.values()), said])
        self._sum(flat)
        *parts, said = flat.split([*(slope.numel() for slope in slopes.values()), len(said)])
        whole, *counts = said.tolist()
        self._words = frozenset(word for word, asking in zip(WORDS, counts, strict=True) if asking)
        named = zip(slopes.items(), parts, strict=True)
        return {name: part.view(slope.shape) for (name, slope), part in named}, whole

    def words(self) -> Set[str]:
        """What came with the last iteration's slopes."""
        return self._words

    def mean(self, tensors: Sequence[Tensor], size: int) -> Sequence[Tensor]:
        """Sums weighted by the ranks' shares."""
        share = self._share(size)
        return self.summed([tensor * share for tensor in tensors])

    def summed(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """In float64, given back in the tensors' own types."""
        if not tensors:
            return tensors
        flat = torch.cat([tensor.reshape(-1).double() for tensor in tensors])
        self._sum(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view(t.shape).to(t.dtype) for part, t in zip(parts, tensors, strict=True)]

    def rows(self, tensors: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
        """Each rank adds its rows to zeros, which changes no number."""
        begin, end = self.own(size)
        placed = []
        for tensor in tensors.values():
            placed.append(tensor.new_zeros(size, *tensor.shape[1:]))
            placed[-1][begin:end] = tensor
        return dict(zip(tensors, self.summed(placed), strict=True))

    def agree(self, tensors: Iterable[Tensor], iteration: int) -> None:
        """By their digests. They can differ where machines do: processors of two kinds round differently."""
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        found = torch.zeros(self.count, dtype=torch.int64)
        found[self.rank] = int.from_bytes(digest.digest()[:7], "big")
        self._sum(found)
        if strange := (found != found[0]).nonzero().flatten().tolist():
            raise RequestError(
                f"after iteration {iteration} process {strange[0]} has other numbers than process 0; "
                "a training wants machines of one kind"
            )

    def told(self, message: bytes = b"") -> bytes:
        """What rank 0 says to all, there and here."""
        with _noticing(self.who):
            size = torch.tensor([len(message)])
            distributed.broadcast(size, 0)
            said = torch.zeros(int(size), dtype=torch.uint8)
            if self.rank == 0:
                said.copy_(torch.frombuffer(bytearray(message), dtype=torch.uint8))
            distributed.broadcast(said, 0)
        return said.numpy().tobytes()

    def _sum(self, flat: Tensor) -> None:
        with _noticing(self.who):
            distributed.all_reduce(flat)


class _noticing:
    """What a broken connection raises becomes `Lost`, with who it was."""

    def __init__(self, who: Callable[[], str | None]) -> None:
        self.who = who

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError):
            reason = str(error).partition("\n")[0]
            unknown = f"another process of this training ended or cannot be reached ({reason})"
            raise Lost(f"{self.who() or unknown}; resuming goes on from the last checkpoint") from error


def joined(
    rank: int,
    count: int,
    store: Path | None,
    who: Callable[[], str | None] = lambda: None,
    patience: timedelta = PATIENCE,
) -> Group:
    """Joins the processes of a training and waits for all of them: by a file that they share on one machine,
    or (`store` none) as torchrun's environment says.

    Raises:
        Lost: they did not all come.
    """
    if store is not None:
        # On one machine nothing needs to be heard beyond it.
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        for library in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", loopback)
    nccl = torch.cuda.is_available() and distributed.is_nccl_available()
    with _noticing(who):
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if nccl else "gloo",
            init_method="env://" if store is None else f"file://{store}",
            rank=rank,
            world_size=count,
            timeout=patience,
        )
    return Group(rank, count, who)
