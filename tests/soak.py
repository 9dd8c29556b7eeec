"""What a long training holds on to: python tests/soak.py [--minutes M] [--task T] [--algorithm A].

A training runs in a folder of its own. Every so often its worker's resident memory, file handles and threads
are read, and the bytes of the run's folder by kind of file. Printed are these lines, and at the end how the
last tenth compares with the first one after a warm-up of a tenth: memory and handles should be flat, the disk
grows by the events that were written. It exits with 1 where memory grew by more than 1 % or handles changed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
Sample = dict[str, float]
LOOKS = 240
WANTED_GROWTH = 0.01


def look(run: Path, pid: int, begun: float) -> Sample | None:
    """What a worker holds now; None where it has ended."""
    process = Path(f"/proc/{pid}")
    try:
        fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        handles = len(list((process / "fd").iterdir()))
    except OSError:
        return None
    step = json.loads((run / "status.json").read_text())["step"]
    return {
        "seconds": time.monotonic() - begun,
        "step": step,
        "memory": 1024 * float(fields["VmRSS"].split()[0]),
        "threads": float(fields["Threads"]),
        "handles": float(handles),
        **{f"disk {kind}": float(size) for kind, size in disk(run).items()},
    }


def disk(run: Path) -> Counter[str]:
    """Bytes of a run's folder: checkpoints, events, and the rest."""
    sizes: Counter[str] = Counter(checkpoints=0, events=0, rest=0)
    for path in run.rglob("*"):
        try:
            size = path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
        kind = "checkpoints" if "checkpoints" in path.parts else "events" if "events" in path.name else "rest"
        sizes[kind] += size
    return sizes


def soaked(runs: Path, minutes: float, task: str, algorithm: str) -> list[Sample]:
    """The looks at one training of so many minutes."""
    command = [sys.executable, "-c", "from tui.cli import main; main()", "train", task, algorithm]
    command += ["--set", "training.iterations=100000000", "--time-limit", f"{60 * minutes:.0f}s"]
    own = runs / "own"
    own.mkdir(mode=0o700)
    environment = {**os.environ, "KSHOT_RUNS": str(runs / "runs"), "XDG_RUNTIME_DIR": str(own)}
    begun, every = time.monotonic(), max(0.5, 60 * minutes / LOOKS)
    samples: list[Sample] = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as training:
        while training.poll() is None:
            time.sleep(every)
            for run in (runs / "runs").glob("*/status.json"):
                status = json.loads(run.read_text())
                found = look(run.parent, status["pid"], begun) if status["state"] == "running" else None
                if found is not None and found["step"] > 0:
                    samples.append(found)
                    print("  ".join(f"{name} {value:,.0f}" for name, value in found.items()), flush=True)
    if training.returncode:
        raise SystemExit(f"the training ended with {training.returncode}")
    return samples


def growth(samples: list[Sample], name: str) -> tuple[float, float]:
    """The median of a value in the tenth after a warm-up of a tenth, and in the last tenth."""
    tenth = len(samples) // 10
    early, late = samples[tenth : 2 * tenth], samples[-tenth:]
    return median(each[name] for each in early), median(each[name] for each in late)


def main() -> int:
    """Soaks, prints, and judges."""
    parser = argparse.ArgumentParser(description="What a long training holds on to.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--task", default="glyphs-5way-1shot")
    parser.add_argument("--algorithm", default="maml")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = soaked(Path(folder), given.minutes, given.task, given.algorithm)
    if len(samples) < 20:
        raise SystemExit(f"only {len(samples)} looks at the training: give it more minutes")
    print(f"{given.minutes:g} minutes, {samples[-1]['step']:,.0f} iterations, {len(samples)} looks")
    for name in samples[0]:
        if name not in ("seconds", "step"):
            early, late = growth(samples, name)
            change = "" if not early else f" ({100 * (late / early - 1):+.2f} %)"
            print(f"{name:<18} {early:>16,.0f} -> {late:>16,.0f}{change}")
    before, after = growth(samples, "memory")
    handles = {name: growth(samples, name) for name in ("handles", "threads")}
    flat = after <= before * (1 + WANTED_GROWTH) and all(early == late for early, late in handles.values())
    print("flat" if flat else "it grew")
    return 0 if flat else 1


if __name__ == "__main__":
    raise SystemExit(main())
