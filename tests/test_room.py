"""Memory for maps: kept when they go, never lent twice at once."""

import gc
import mmap

import pytest
import torch

from engine.fused import room as module
from engine.fused.room import BLOCKS, LEAST, room


@pytest.fixture(autouse=True)
def _none_idle():
    BLOCKS.release()
    yield
    BLOCKS.release()


def test_what_goes_is_given_to_the_next() -> None:
    first = room((4, LEAST // 4), torch.float32)
    place = first.data_ptr()
    del first
    assert room((LEAST // 2, 2), torch.float32).data_ptr() == place


def test_a_view_holds_the_memory() -> None:
    first = room((2, LEAST), torch.float64)
    place, part = first.data_ptr(), first[1, 3:7]
    part.fill_(7.0)
    del first
    gc.collect()
    second = room((2, LEAST), torch.float64)
    assert second.data_ptr() != place
    second.zero_()
    assert part.tolist() == [7.0] * 4


def test_what_lives_shares_nothing() -> None:
    held = [room((LEAST + 512 * n,), torch.float32) for n in range(6)]
    for number, tensor in enumerate(held):
        assert tensor.is_contiguous() and tensor.data_ptr() % 64 == 0
        tensor.fill_(number)
    del held[2], held[3]
    held += [room((LEAST + 100,), torch.float32).fill_(9) for _ in range(3)]
    assert [t.unique().tolist() for t in held] == [[0.0], [1.0], [3.0], [5.0], [9.0], [9.0], [9.0]]


def test_a_block_of_many_times_the_size_stays_idle() -> None:
    large = room((8 * LEAST,), torch.uint8)
    place = large.data_ptr()
    del large
    assert room((LEAST,), torch.uint8).data_ptr() != place
    assert room((5 * LEAST,), torch.uint8).data_ptr() == place


def test_what_lies_idle_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 5 * LEAST)
    held = [room((2 * LEAST,), torch.uint8) for _ in range(4)]
    del held
    assert BLOCKS.take(100 * LEAST) is None
    found = [BLOCKS.take(2 * LEAST) for _ in range(3)]
    assert [None if block is None else len(block) for block in found] == [2 * LEAST, 2 * LEAST, None]


def test_released_memory_is_gone() -> None:
    room((LEAST,), torch.uint8)
    BLOCKS.release()
    assert BLOCKS.take(LEAST) is None


def test_without_memory_pytorch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> mmap.mmap:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(module.mmap, "mmap", full)
    assert room((2, LEAST), torch.float32).shape == (2, LEAST)
