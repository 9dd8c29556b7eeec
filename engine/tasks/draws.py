"""Random numbers as a pure function of (key, index, position): no state, so nothing to save or to repeat.

Each number is SplitMix64's output function (Steele, Lea & Flood 2014) applied to a key, then an index, then a
position. A task's draws therefore depend on its index alone, not on the device, the batch or the process.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


Stream = tuple[str | int, ...]
"""What a stream of draws goes by besides its purpose: a part of the data and a seed."""


def _signed(value: int) -> int:
    """The same 64 bits as a signed number, as torch holds them."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _shifted(z: Tensor, places: int) -> Tensor:
    """A logical shift to the right (torch's own is arithmetic)."""
    return (z >> places).bitwise_and_((1 << (64 - places)) - 1)


def _mix(z: Tensor) -> Tensor:
    """SplitMix64's output function; it works in the memory of what it is given."""
    if z.device.type == "cpu":
        # NumPy has unsigned numbers, whose shifts need no mask: half the passes.
        unsigned = z.numpy().view(np.uint64)
        shifted = np.empty_like(unsigned)
        for places, factor in ((30, _FIRST), (27, _SECOND), (31, 1)):
            np.right_shift(unsigned, np.uint64(places), out=shifted)
            np.bitwise_xor(unsigned, shifted, out=unsigned)
            if factor != 1:
                np.multiply(unsigned, np.uint64(factor), out=unsigned)
        return z
    z.bitwise_xor_(_shifted(z, 30)).mul_(_signed(_FIRST))
    z.bitwise_xor_(_shifted(z, 27)).mul_(_signed(_SECOND))
    return z.bitwise_xor_(_shifted(z, 31))


def stream_key(*parts: str | int) -> int:
    """A key for one purpose: 64 bits of the SHA-256 of the parts."""
    text = "\0".join(map(str, parts)).encode()
    return _signed(int.from_bytes(hashlib.sha256(text).digest()[:8], "little"))


def bits(key: int, index: Tensor, count: int) -> Tensor:
    """`count` numbers of 64 random bits for each index: int64 `[..., count]` for `index [...]`."""
    return _bits([key], index, [count])


def _bits(keys: Sequence[int], index: Tensor, counts: Sequence[int]) -> Tensor:
    """The bits of several keys side by side, in one pass: int64 `[..., sum of counts]`."""
    every, column, position = _columns(tuple(keys), tuple(counts), index.device)
    seeds = _mix((index * _signed(_GOLDEN)).unsqueeze(-1) + every)
    return _mix(_mix(seeds.index_select(-1, column).add_(position)))


@lru_cache(maxsize=64)
def _columns(
    keys: tuple[int, ...], counts: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """The keys, and for each column of bits the key that it belongs to and its position, scrambled."""
    column = [at for at, count in enumerate(counts) for _ in range(count)]
    position = [_signed(place * _GOLDEN) for count in counts for place in range(1, count + 1)]
    made = (torch.tensor(values, dtype=torch.int64, device=device) for values in (keys, column, position))
    every, columns, positions = made
    return every, columns, positions


def uniform(key: int, index: Tensor, count: int) -> Tensor:
    """`count` numbers in [0, 1) for each index: float64 `[..., count]` (on the CPU for MPS)."""
    return uniforms([key], index, [count])[0]


def uniforms(keys: Sequence[int], index: Tensor, counts: Sequence[int]) -> tuple[Tensor, ...]:
    """What `uniform` gives for each key and its count."""
    drawn = _shifted(_bits(keys, index, counts), 11)
    # MPS has no float64.
    fractions = (drawn.cpu() if drawn.device.type == "mps" else drawn).to(torch.float64).mul_(2.0**-53)
    return fractions.split(list(counts), -1)


def normal(key: int, index: Tensor, count: int) -> Tensor:
    """`count` standard normal numbers for each index (Box–Muller): float64 `[..., count]`."""
    half = (count + 1) // 2
    pair = uniform(key, index, 2 * half)
    radius = torch.sqrt(-2 * torch.log1p(-pair[..., :half]))
    angle = 2 * torch.pi * pair[..., half:]
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], -1)[..., :count]


def integers(key: int, index: Tensor, count: int, bound: int | Tensor) -> Tensor:
    """`count` whole numbers in [0, bound) for each index: int64 `[..., count]` (bias below 2^-30 for bounds
    below 2^32)."""
    return _shifted(bits(key, index, count), 1) % bound
