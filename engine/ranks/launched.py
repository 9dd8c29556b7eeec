"""What torchrun starts, on any machines: `torchrun ... -m engine.worker ranks TASK ALGORITHM | RUN`.

Rank 0 makes the run's directory and writes it, or resumes it; only its machine must see it.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from engine.data import check_task_fits, data_folder
from engine.devices import check_device, check_model
from engine.errors import RequestError
from engine.folders import at_home
from engine.presets import Spec, load_spec, resolve
from engine.ranks.companions import Signals
from engine.ranks.refusals import check_processes, devices_of
from engine.runs import Run, create_run, find_run, hold_slot, runs_folder
from engine.runs.processes import reopened, worker_command, worker_environment

READY = "KSHOT_RANK_READY"


class Place(NamedTuple):
    """Which of a training's `processes` this is, and which of the `here` on its machine."""

    rank: int
    processes: int
    here: int
    number_here: int


def place() -> Place:
    """By torchrun's environment. Raises RequestError where there is none."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "LOCAL_RANK")
    try:
        return Place(*(int(os.environ[name]) for name in names))
    except (KeyError, ValueError):
        hint = "on one machine, kshot train --processes N starts all"
        raise RequestError(f"engine.worker ranks is started by torchrun; {hint}") from None


def settle(options: Sequence[str]) -> None:
    """Replaces this process by one with the environment that kshot gives its workers, once."""
    if not os.environ.get(READY):
        sys.stdout.flush()
        command = worker_command("ranks", *options)
        os.execve(command[0], command, worker_environment() | {READY: "1"})


def parsed(options: Sequence[str]) -> argparse.Namespace:
    """The options of `kshot train` that a run needs."""
    parser = argparse.ArgumentParser("torchrun ... -m engine.worker ranks", allow_abbrev=False)
    parser.add_argument("what", nargs="+", metavar="TASK ALGORITHM | SPEC.yaml | RUN")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--budget", default="quick", metavar="quick|paper")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", metavar="auto|cpu|cuda")
    parser.add_argument("--name")
    parser.add_argument("--runs-dir", type=Path, metavar="DIR")
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    return parser.parse_args(options)


def opened(asked: argparse.Namespace, where: Place) -> tuple[Run, int]:
    """The run, made or to be resumed, and the descriptor that holds its lock. Raises RequestError."""
    folder = runs_folder(asked.runs_dir)
    resumes = len(asked.what) == 1 and not asked.what[0].endswith((".yaml", ".yml"))
    if resumes:
        run = find_run(folder, asked.what[0])
        _check(load_spec(run.spec_path), where)
        return run, reopened(run)
    spec = _spec(asked)
    _check(spec, where)
    return create_run(folder, spec, asked.name)


def _check(spec: Spec, where: Place) -> None:
    check_processes(spec, where.processes, where.here)
    check_device(spec.device, spec.training.precision)
    check_model(spec.model)
    check_task_fits(spec, data_folder())


def _spec(asked: argparse.Namespace) -> Spec:
    if len(asked.what) == 1:
        laid_over = [*asked.set]
        laid_over += [] if asked.seed is None else [f"seed={asked.seed}"]
        laid_over += [] if asked.device is None else [f"device={asked.device}"]
        return load_spec(at_home(asked.what[0]), overrides=laid_over)
    if len(asked.what) != 2:
        raise RequestError("engine.worker ranks takes TASK ALGORITHM, one SPEC.yaml or one RUN")
    settings = {"budget": asked.budget, "seed": asked.seed, "device": asked.device}
    return resolve(*asked.what, overrides=asked.set, own=asked.set, **settings).spec


def follow(where: Place) -> int:
    """Computes this rank's share. Raises RequestError where the training ends without its last word."""
    signals = Signals()
    from engine.ranks.following import follow
    from engine.ranks.group import joined

    group = joined(where.rank, where.processes, None)

    def device_of(first: str) -> str:
        return devices_of(first, where.here)[where.number_here]

    @contextmanager
    def held(device: str) -> Iterator[None]:
        # The CPU's processes share one slot, which the first of a machine holds.
        if device == "cpu" and where.number_here:
            yield
            return
        with hold_slot(device, time.time(), lambda: signals.ended, "a shared training"):
            yield

    return follow(group, device_of, held, signals.words)
