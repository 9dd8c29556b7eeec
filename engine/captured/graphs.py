"""Graphs of kernels: work that is recorded once and launched as a whole, and the CPU's stand-in for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from engine.captured.watching import watched

Work = Callable[[], None]
WARM_UPS = 3
"""Runs before a capture: libraries choose their kernels and make their workspaces in the first."""


class Landed(Protocol):
    """Whether what was launched so far is done: asked without waiting, or waited for."""

    def query(self) -> bool: ...

    def synchronize(self) -> None: ...


class Graphs(Protocol):
    """Makes work that can be done again: `capture` does it a few times, and gives what does it again."""

    def capture(self, work: Work) -> Work:
        """Raises CannotCaptureError, torch.OutOfMemoryError, or RuntimeError of CUDA's own."""
        ...

    def landed(self) -> Landed:
        """Looks at the place in the stream of work where it is called."""
        ...


class CudaGraphs:
    """CUDA graphs of one device, which share their scratch memory: of each, nothing is read after its replay
    but what was there before the capture, and one runs at a time."""

    def __init__(self, device: torch.device) -> None:
        self.device = torch.device(
            "cuda", torch.cuda.current_device() if device.index is None else device.index
        )
        self.stream = torch.cuda.Stream(self.device)
        self.pool = torch.cuda.graph_pool_handle()

    def capture(self, work: Work) -> Work:
        """Records work on a stream of its own; what is given launches it on the current one."""
        with torch.cuda.device(self.device):
            usual = torch.cuda.current_stream()
            self.stream.wait_stream(usual)
            with torch.cuda.stream(self.stream):
                for _ in range(WARM_UPS):
                    work()
                held = watched(work)
            usual.wait_stream(self.stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                work()
        return _Replay(graph, held)

    def landed(self) -> torch.cuda.Event:
        """An event on the device's current stream."""
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.device))
        return event


@dataclass(frozen=True)
class _Replay:
    """Launches a graph, which knows addresses alone: what lies there is held here."""

    graph: torch.cuda.CUDAGraph
    held: list[torch.Tensor]

    def __call__(self) -> None:
        self.graph.replay()


class Called:
    """The stand-in where there are no graphs: work is done again by calling it. So tests without a GPU see
    what a recipe reads and writes."""

    def __init__(self) -> None:
        self.held: list[torch.Tensor] = []
        """What the last captured work reads from outside."""

    def capture(self, work: Work) -> Work:
        """Does the work twice, the second time watched, and gives it back."""
        work()
        self.held = watched(work)
        return work

    def landed(self) -> Landed:
        """Everything is done at once."""
        return _Done()


class _Done:
    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        return None
