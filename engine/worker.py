"""The background process on run directories: `python -P -m engine.worker train RUN LOCK | evaluate RUN... |
attend RUNS LOCK | bench`.

torch is imported once the device's slot is held; until then a worker waits in the queue and costs nothing.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.devices import device_name
from engine.errors import RequestError
from engine.fused.library import NoKernelsError, compiled
from engine.presets import load_spec
from engine.requests import ENDED, Asked, evaluations
from engine.runs import (
    Run,
    StatusWriter,
    adopt,
    asked,
    clear,
    episodes,
    hold_slot,
    plain,
    read_status,
)


class Stop:
    """Whether this process should end: a signal came, a control file says so, or the run's folder is gone."""

    def __init__(self, run: Run | None = None, status: StatusWriter | None = None) -> None:
        self.run, self.status = run, status
        self.signalled = False
        signal.signal(signal.SIGTERM, self._signal)
        signal.signal(signal.SIGINT, self._signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _signal(self, number: int, frame: object) -> None:
        self.signalled = True

    def word(self) -> str | None:
        """`stop` or `pause` if the worker is to end, `checkpoint` if it is to write one, else None."""
        if self.signalled or (self.status is not None and self.status.gone):
            return "stop"
        words = asked(self.run) if self.run is not None else set()
        return next((word for word in ("stop", "pause", "checkpoint") if word in words), None)

    def ending(self) -> bool:
        """Whether to end."""
        return self.word() in ("stop", "pause")


def train(folder: Path, descriptor: int) -> int:
    """Trains the run in `folder`, whose lock is held by `descriptor`; its state says how it ended."""
    run = Run(folder)
    adopt(run.lock_path, descriptor)
    created = read_status(run).created or 0.0
    with StatusWriter(run, state="queued", phase="queued") as status, _told(status):
        stop = Stop(run, status)
        spec = load_spec(run.spec_path)
        device = device_name(spec.device)
        with hold_slot(device, created, stop.ending) as held:
            if not held:
                status.update(state="paused" if stop.word() == "pause" else "stopped", phase="")
                clear(run)
                return 0
            status.update(state="starting", phase="importing torch", device=device)
            if device == "cpu":
                threading.Thread(target=_compile_ahead, args=(spec.model.name,), daemon=True).start()
            from engine.train_job import train_run

            return train_run(run, spec, device, status, stop)
    return 1


def _compile_ahead(model: str) -> None:
    """Has the kernels of a model compiled while torch is imported; whoever needs them says what was wrong."""
    name = {"conv4": "kernels", "mlp": "mlp"}.get(model)
    with suppress(NoKernelsError):
        if name is not None:
            compiled(name)


@contextmanager
def _told(status: StatusWriter) -> Iterator[None]:
    """Whatever goes wrong becomes the run's `failed` with one line; the whole story goes to the log."""
    try:
        yield
    except RequestError as error:
        status.update(state="failed", phase="", error=str(error))
    except Exception as error:
        traceback.print_exc()
        status.update(state="failed", phase="", error=plain(f"{type(error).__name__}: {error}", 500))


def evaluate(folders: list[Path]) -> int:
    """Answers the pending evaluation requests of these runs, device by device.

    Checkpoints are read at once: while this worker waits for a device, a training may let go of them.
    """
    stop = Stop()
    code = 0
    asked = [Asked.read(Run(folder), name) for folder in folders for name in evaluations(Run(folder))]
    for device in dict.fromkeys(each.device for each in asked):
        with hold_slot(device, time.time(), stop.ending) as held:
            if not held:
                return ENDED
            from engine.evaluate_job import answer

            code = max(code, answer([each for each in asked if each.device == device], stop.ending))
    return code


def attend(runs_dir: Path, descriptor: int) -> int:
    """Answers questions about episodes of any run in a runs folder until none has come for a while.

    It holds no slot: it works for a moment at each question, on one thread of the CPU, and would otherwise
    keep a training from its device all the time that somebody merely looks.
    """
    adopt(episodes.attendance_lock(runs_dir), descriptor)
    stop = Stop()
    for run, name in episodes.waiting(runs_dir):
        episodes.tell(run, name, "importing torch")
    from engine.episode_job import answer_until_idle

    answer_until_idle(runs_dir, stop.ending)
    return 0


def bench(options: list[str]) -> int:
    """Times the engine's workloads, holding the device's slot: timings beside a training mean nothing."""
    settings = dict(zip(options[::2], options[1::2], strict=False))
    device = device_name(settings.get("--device", "auto"))
    due = time.monotonic() + 2
    told = False

    def waiting() -> bool:
        nonlocal told
        if not told and time.monotonic() > due:
            told = True
            print(json.dumps({"note": f"a training holds {device}; waiting for its end"}), flush=True)
        return False

    with hold_slot(device, time.time(), waiting):
        from engine.bench import main as measure

        return measure(options)


def main(arguments: list[str]) -> int:
    """Runs one of the worker's jobs; exit code 2 for a request that is none."""
    try:
        match arguments:
            case ["train", folder, descriptor] if descriptor.isdigit():
                return train(Path(folder), int(descriptor))
            case ["evaluate", *folders] if folders:
                return evaluate([Path(folder) for folder in folders])
            case ["attend", folder, descriptor] if descriptor.isdigit():
                return attend(Path(folder), int(descriptor))
            case ["bench", *options]:
                return bench(options)
    except RequestError as error:
        print(f"kshot: {error}", file=sys.stderr)
        return 2
    print(
        "kshot: engine.worker is started by kshot: train RUN LOCK, evaluate RUN..., attend RUNS LOCK, bench",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    code = main(sys.argv[1:])
    with suppress(OSError):
        sys.stdout.flush()
    # Threads of native libraries may hang on the way out; everything of ours is on disk by now.
    os._exit(code)
