"""What every measured program shares: the problem that it solves, and how it is asked.

A program is started with the problem's file and a number of threads. It computes the meta-gradient once by
each of its ways, writes them beside the problem, says in a line of JSON what it is, and then times a way for
every line `WAY SECONDS` that it reads. Nothing but numpy is needed: each peer has an environment of its own.
"""

import contextlib
import ctypes
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]


class Problem(NamedTuple):
    """One meta-iteration of second-order MAML: the episodes, the meta-parameters and the inner loop.

    Images are `[T, B, C, H, W]` float32 with labels `[T, B]` int64; waves `[T, B, 1]` and `[T, B, 1]`.
    """

    images: bool
    strided: bool
    steps: int
    rate: float
    support: tuple[np.ndarray, np.ndarray]
    query: tuple[np.ndarray, np.ndarray]
    parameters: Arrays
    """`convN.weight [O, C, 3, 3]`, `normN.scale`, `normN.shift`, `linearN.weight [O, I]`, `linearN.bias`,
    and the same of `head`."""

    @property
    def tasks(self) -> int:
        """How many tasks a meta-iteration has."""
        return len(self.support[0])


def write_problem(path: Path, problem: Problem) -> None:
    """Writes a problem for `read_problem`."""
    facts = {"images": problem.images, "strided": problem.strided, "steps": problem.steps}
    arrays = {f"parameter {name}": value for name, value in problem.parameters.items()}
    np.savez(
        path,
        facts=json.dumps(facts | {"rate": problem.rate}),
        support_x=problem.support[0],
        support_y=problem.support[1],
        query_x=problem.query[0],
        query_y=problem.query[1],
        **arrays,
    )


def read_problem(path: Path) -> Problem:
    """The problem in a file."""
    with np.load(path) as kept:
        parameters = {n.removeprefix("parameter "): kept[n] for n in kept.files if n.startswith("parameter ")}
        support, query = ((kept[f"{part}_x"], kept[f"{part}_y"]) for part in ("support", "query"))
        return Problem(
            **json.loads(str(kept["facts"])), support=support, query=query, parameters=parameters
        )


def gradient_file(problem: Path, way: str) -> Path:
    """Where the meta-gradient that a way found is written."""
    return problem.with_name(f"{problem.stem} by {way}.npz")


def asked() -> tuple[Path, Problem, int]:
    """The problem's file, the problem and the number of threads, as they were given to this program."""
    path = Path(sys.argv[1])
    return path, read_problem(path), int(sys.argv[2])


def median_seconds(work: Callable[[], object], least: float) -> float:
    """The median time of a call, over at least three calls and `least` seconds, as `kshot bench` has it."""
    work()
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2]


def serve(
    problem: Path,
    version: str,
    ways: Mapping[str, Callable[[], object]],
    arrays: Callable[[object], Arrays],
    note: str = "",
) -> None:
    """Writes the meta-gradient of each way as `arrays` reads it off what the way returns, and then times the
    ways as asked, until nobody asks any more."""
    for way, work in ways.items():
        np.savez(gradient_file(problem, way), **arrays(work()))
    print(json.dumps({"ways": list(ways), "version": version, "note": note}), flush=True)
    for line in sys.stdin:
        way, seconds = line.split()
        print(json.dumps({"seconds": median_seconds(ways[way], float(seconds))}), flush=True)
        with contextlib.suppress(OSError, AttributeError):
            # What an allocator keeps would be missing where the next program needs it.
            ctypes.CDLL(None).malloc_trim(0)
