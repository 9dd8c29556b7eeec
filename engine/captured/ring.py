"""What iterations saw, kept on the device until the host comes for it: a ring of rows."""

from math import prod
from typing import Any

import torch
from torch import Tensor

SLOTS = 16
"""Rows of the ring, and so how many recorded iterations the host may be ahead of the device."""


class Ring:
    """Rows of numbers by name, in float64: it holds any float32 and any iteration's number."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.written = torch.zeros((), dtype=torch.int64, device=device)
        """Rows written so far; counted by the device, where a replay writes them."""
        self.layout: dict[str, tuple[int, ...]] = {}
        self.rows: Tensor | None = None
        self.host: Tensor | None = None

    def write(self, values: dict[str, Tensor]) -> None:
        """Writes the next row. The first one ever decides what rows hold."""
        row = torch.cat([value.detach().flatten().to(torch.float64) for value in values.values()])
        if self.rows is None:
            self.layout = {name: tuple(value.shape) for name, value in values.items()}
            self.rows = row.new_zeros(SLOTS, len(row))
            # Pinned: a copy to other memory would be waited for.
            self.host = torch.zeros(self.rows.shape, dtype=row.dtype, pin_memory=self.device.type == "cuda")
        self.rows.index_copy_(0, (self.written % SLOTS).view(1), row.unsqueeze(0))
        self.written.add_(1)

    def fetch(self, number: int) -> None:
        """Sends for row `number` (from 0), without waiting for it."""
        assert self.rows is not None and self.host is not None
        self.host[number % SLOTS].copy_(self.rows[number % SLOTS], non_blocking=True)

    def read(self, number: int) -> dict[str, Any]:
        """Row `number`, once it has come: numbers, and lists for what has an axis."""
        assert self.host is not None
        values = self.host[number % SLOTS].tolist()
        found: dict[str, Any] = {}
        for name, shape in self.layout.items():
            size = prod(shape)
            taken, values = values[:size], values[size:]
            found[name] = taken if shape else taken[0]
        return found
