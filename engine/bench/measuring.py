"""Seconds and memory of a workload's ways, in turns on one machine."""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import torch

from engine.bench.ways import prepare
from engine.bench.workloads import Workload
from engine.fused.room import BLOCKS

SLOW_SECONDS = 2.0


def median_seconds(work: Callable[[], object], device: torch.device, least: float) -> float:
    """The median time of a call, over at least three calls and `least` seconds; a call that takes over two
    seconds is timed once."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        times.append(_seconds(work, device))
        if times[0] > SLOW_SECONDS:
            break
    return sorted(times)[len(times) // 2]


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    begun = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def measure(workload: Workload, device: torch.device, least: float) -> list[dict[str, object]]:
    """Rows for the loop and for the engine's paths, timed in turns; where there is no fused path, a note that
    says why.

    Raises:
        RuntimeError: a path computes something else than the loop.
    """
    bench = prepare(workload, device)
    # These calls warm up too.
    peaks = [peak_bytes(work, device) for work in bench.ways.values()]
    turns = [[median_seconds(work, device, least / 2) for work in bench.ways.values()] for _ in range(2)]
    seconds = [min(column) for column in zip(*turns, strict=True)]
    rows = [
        _row(workload, path, own, seconds[0], peak)
        for path, own, peak in zip(bench.ways, seconds, peaks, strict=True)
    ]
    if bench.not_fused is not None:
        rows.append({"note": f"{workload.name}: no row for the fused path: {bench.not_fused}"})
    return rows


def peak_bytes(work: Callable[[], object], device: torch.device) -> int | None:
    """The most memory that a call held beyond what was held before it: on the device, or in the process where
    Linux tells; else None."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        # What earlier calls let go of counts no more.
        BLOCKS.release()
        ctypes.CDLL(None).malloc_trim(0)
        # Writing 5 there resets the high-water mark of resident memory (man 5 proc).
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmRSS:")
        work()
        return max(_resident("VmHWM:") - before, 0)
    except (OSError, AttributeError):
        return None


def _resident(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(field)[2].split()[0]) * 1024


def _row(
    workload: Workload, path: str, seconds: float, loop_seconds: float, memory: int | None
) -> dict[str, object]:
    return {
        "workload": workload.name,
        "path": path,
        "seconds_per_iteration": seconds,
        "ratio_to_loop": loop_seconds / seconds,
        "peak_bytes": memory,
    }
