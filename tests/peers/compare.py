"""Measures other libraries beside kshot: python tests/peers/compare.py [--workload NAME] [--seconds S].

One second-order MAML meta-iteration in float32, without the outer optimizer's step, on two cores: the plain
loop over tasks, learn2learn, higher, TorchOpt, JAX (jit and vmap, compile time left out), and kshot's generic
and fused paths. Every program solves the same problem, with the same episodes and parameters, and its
meta-gradient must agree with the plain loop's within 2 % before it is timed. All stay in memory and are timed
in turns: twice each, the median of at least three calls and S / 2 seconds, and the smaller of the two counts.
The plain loop and kshot draw their episodes anew each time; the others have theirs in memory.

Peers run as their users run them, each in its own environment (kept under KSHOT_CACHE where that is set);
`--same-environment` gives them the settings of kshot's workers for allocator and threads as well. `--tiny`
takes 2 tasks and 16 filters, to see that all of it works. Run it from the repository's root, on a quiet
machine.
"""

import argparse
import contextlib
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from environments import PEERS, NoPeerError, Peer, environment
from peer import gradient_file

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORKLOADS = (
    "omniglot-5way-1shot-1step-1query",
    "omniglot-5way-1shot-1step-15query",
    "omniglot-20way-1shot-5step-1query",
    "omniglot-20way-1shot-5step-15query",
    "sine-10shot-1step",
)
CALLED = {"loop": "plain loop", "generic": "kshot generic", "fused": "kshot fused"}
THREADS = 2
TOLERANCE = 0.02
Row = dict[str, float | str]
"""Seconds of a meta-iteration by each way's name, or why there are none."""


class Program:
    """A measured program that has solved the problem and waits to be asked for its time."""

    def __init__(self, child: subprocess.Popen[str], said: IO[str]) -> None:
        """Raises RuntimeError where it ends before it is ready."""
        self.child, self.said = child, said
        ready = self._answer()
        self.ways: list[str] = ready["ways"]
        self.version: str = ready["version"]
        self.note: str = ready["note"]

    def seconds(self, way: str, least: float) -> float:
        """What a meta-iteration takes by this way. Raises RuntimeError where the program ends instead."""
        assert self.child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.write(f"{way} {least}\n")
            self.child.stdin.flush()
        return float(self._answer()["seconds"])

    def _answer(self) -> dict[str, Any]:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        code = self.child.wait()
        self.said.seek(0)
        lines = self.said.read().strip().splitlines()
        raise RuntimeError(lines[-1][:300] if lines else f"it ended with code {code} and said nothing")


@contextlib.contextmanager
def running(command: list[str], surroundings: Mapping[str, str]) -> Iterator[Program]:
    """A program for as long as it is needed. Raises RuntimeError with its last word where it fails."""
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            command, env=surroundings, text=True, stdin=pipe, stdout=pipe, stderr=said
        ) as child,
    ):
        try:
            yield Program(child, said)
        finally:
            child.terminate()


def disagreement(problem: Path, way: str) -> str | None:
    """What a way's meta-gradient has otherwise than the plain loop's; None where they agree."""
    with np.load(gradient_file(problem, "loop")) as right, np.load(gradient_file(problem, way)) as found:
        if set(right.files) != set(found.files):
            return f"it has other parameters: {', '.join(sorted(set(right.files) ^ set(found.files)))}"
        for name in right.files:
            apart, size = np.linalg.norm(right[name] - found[name]), np.linalg.norm(right[name])
            if not apart <= TOLERANCE * size + 1e-5:
                return f"its meta-gradient of {name} is {apart / size:.1%} off"
    return None


def measured(workload: str, pythons: Mapping[str, Path | str], options: argparse.Namespace) -> Row:
    """Seconds by every way for one workload."""
    row: Row = {name: why for name, why in pythons.items() if isinstance(why, str)}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as open_ones:
        problem = Path(folder) / "problem.npz"
        sizes = ["2", "16"] if options.tiny else ["0", "0"]
        own = [sys.executable, str(HERE / "with_kshot.py"), str(problem), workload, *sizes]
        programs = [open_ones.enter_context(running(own, _own()))]
        if programs[0].note:
            row["fused"] = programs[0].note
        print(f"{workload}: kshot ({programs[0].version}) is ready", file=sys.stderr, flush=True)
        # As kshot does: matrices of waves are so small that a second thread costs more than it gives.
        threads = 1 if workload.startswith("sine") else THREADS
        surroundings = _others(options.same_environment, threads)
        for peer in PEERS:
            python = pythons[peer.name]
            if isinstance(python, str):
                continue
            command = [str(python), str(HERE / peer.program), str(problem), str(threads)]
            try:
                program = open_ones.enter_context(running(command, surroundings))
            except RuntimeError as reason:
                row[peer.name] = f"it failed: {reason}"
                continue
            print(f"{workload}: {peer.name} {program.version} {program.note}", file=sys.stderr, flush=True)
            differs = disagreement(problem, peer.name)
            if differs is None:
                programs.append(program)
            else:
                row[peer.name] = f"not timed: {differs}"
        ways = [(program, way) for program in programs for way in program.ways]
        for program, way in ways * 2:
            before = row.get(way, math.inf)
            if isinstance(before, float):
                try:
                    row[way] = min(before, program.seconds(way, options.seconds / 2))
                except RuntimeError as reason:
                    row[way] = f"it failed: {reason}"
    return row


def _own() -> dict[str, str]:
    """The environment that kshot's workers get."""
    from engine.runs.processes import worker_environment

    return worker_environment() | {"KSHOT_SLOTS": "1"}


def _others(as_workers: bool, threads: int) -> dict[str, str]:
    """The environment of a peer: the user's, with the settings of kshot's workers only where asked."""
    from engine.runs.processes import SETTINGS

    left_out = {*SETTINGS, "PYTHONPATH"}
    users = {name: value for name, value in os.environ.items() if name not in left_out}
    return users | {"OMP_NUM_THREADS": str(threads)} | (SETTINGS if as_workers else {})


def _pythons(folder: Path) -> dict[str, Path | str]:
    def made(peer: Peer) -> Path | str:
        try:
            return environment(peer, folder)
        except NoPeerError as reason:
            return f"cannot be installed: {reason}"

    return {peer.name: made(peer) for peer in PEERS}


def _tables(rows: Mapping[str, Row]) -> Iterator[str]:
    """The table of seconds, that of ratios, and a line for each time that is missing."""
    ways = ["loop", *(peer.name for peer in PEERS), "generic", "fused"]
    heads = [CALLED.get(way, way) for way in ways]
    yield f"| seconds per meta-iteration | {' | '.join(heads)} |"
    yield "|---" * (len(ways) + 1) + "|"
    for workload, row in rows.items():
        yield f"| {workload} | {' | '.join(_cell(row.get(way)) for way in ways)} |"
    yield ""
    yield f"| times the speed of | {' | '.join(heads[:-2])} |"
    yield "|---" * (len(ways) - 1) + "|"
    for workload, row in rows.items():
        for own in ("generic", "fused"):
            at = row.get(own)
            if isinstance(at, float):
                others = (row.get(way) for way in ways[:-2])
                cells = (f"{o / at:.2f}" if isinstance(o, float) else "–" for o in others)
                yield f"| {workload}, {CALLED[own]} | {' | '.join(cells)} |"
    yield ""
    missing = {(way, why) for row in rows.values() for way, why in row.items() if isinstance(why, str)}
    for way, why in sorted(missing):
        where = [workload for workload, row in rows.items() if row.get(way) == why]
        yield f"{CALLED.get(way, way)} ({', '.join(where)}): {why}"


def _cell(seconds: float | str | None) -> str:
    return f"{seconds:.3g}" if isinstance(seconds, float) else "–"


def _machine() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    """Measures and prints the tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", default="", metavar="NAME", help="only workloads whose name holds this")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S", help="how long to time each way")
    parser.add_argument("--same-environment", action="store_true", help="kshot's settings for the peers too")
    parser.add_argument("--tiny", action="store_true", help="2 tasks and 16 filters")
    options = parser.parse_args()
    chosen = [name for name in WORKLOADS if options.workload in name]
    if not chosen:
        parser.error(f"there are the workloads {', '.join(WORKLOADS)}")
    if hasattr(os, "sched_setaffinity"):
        # JAX takes as many threads as there are cores to run on.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    cache = os.environ.get("KSHOT_CACHE")
    with tempfile.TemporaryDirectory() as temporary:
        pythons = _pythons(Path(cache or temporary).expanduser().absolute() / "peers")
        rows = {workload: measured(workload, pythons, options) for workload in chosen}
    load = os.getloadavg()[0]
    print(f"{_machine()}, {THREADS} threads each (waves: 1); the load was {load:.1f} at the end\n")
    print("\n".join(_tables(rows)))


if __name__ == "__main__":
    # The settings of kshot's workers are read from the engine of this very checkout.
    sys.path.insert(1, str(ROOT))
    main()
