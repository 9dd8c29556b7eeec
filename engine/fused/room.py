"""Memory for maps, kept when they go and given to the next: to get a page from the system takes longer than
to fill it, and a batch's passes make gigabytes of maps."""

import math
import mmap
import weakref
from collections import deque
from threading import Lock

import numpy
import torch
from torch import Tensor

LEAST = 2**18
"""Bytes from which on memory is kept; the C library keeps smaller pieces itself."""
IDLE = 3 * 2**29
"""Bytes that may lie idle; beyond that what has lain longest goes back to the system."""
HUGE = 2**21
"""A huge page: large blocks are made of whole ones."""
_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


class Blocks:
    """Idle blocks of memory, those that have lain longest first."""

    def __init__(self) -> None:
        self._idle: list[mmap.mmap] = []
        # What comes back, from whatever thread and in the midst of whatever: only `take` sorts it in.
        self._returned: deque[mmap.mmap] = deque()
        self._lock = Lock()

    def take(self, size: int) -> mmap.mmap | None:
        """The smallest idle block of `size` bytes or more, at most twice as many, if there is one."""
        with self._lock:
            while self._returned:
                self._idle.append(self._returned.popleft())
            best = None
            for place in range(len(self._idle) - 1, -1, -1):
                held = len(self._idle[place])
                if size <= held <= 2 * size and (best is None or held < len(self._idle[best])):
                    best = place
                    if held == size:
                        break
            taken = None if best is None else self._idle.pop(best)
            idle = sum(map(len, self._idle))
            while idle > IDLE:
                idle -= len(self._idle.pop(0))
            return taken

    def give_back(self, block: mmap.mmap) -> None:
        """Once nothing refers to its bytes any more."""
        self._returned.append(block)

    def release(self) -> None:
        """Gives all that lies idle back to the system."""
        with self._lock:
            self._returned.clear()
            self._idle.clear()


BLOCKS = Blocks()


def room(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A contiguous tensor on the CPU, whatever stands there; its memory is kept when its storage goes."""
    count = math.prod(shape)
    size = count * dtype.itemsize
    if size < LEAST:
        return torch.empty(shape, dtype=dtype)
    page = HUGE if size >= 4 * HUGE else mmap.PAGESIZE
    size = -(-size // page) * page
    block = BLOCKS.take(size)
    if block is None:
        try:
            block = mmap.mmap(-1, size, flags=_PRIVATE)
        except OSError:
            # PyTorch says what is to be said of it.
            BLOCKS.release()
            return torch.empty(shape, dtype=dtype)
        if page == HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
            block.madvise(mmap.MADV_HUGEPAGE)
    # The tensor's storage holds this array, and when it goes so does the array.
    lent = numpy.frombuffer(block, numpy.uint8, count * dtype.itemsize)
    weakref.finalize(lent, BLOCKS.give_back, block).atexit = False
    return torch.from_numpy(lent).view(dtype).view(shape)
