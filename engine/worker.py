"""The background process on run directories: `python -P -m engine.worker train RUN LOCK [RUN LOCK ...] |
evaluate RUN... | attend RUNS LOCK | replay RUN STEP | bench`, and what those and torchrun start:
`follow ... | ranks ...`.

torch is imported once the device's slot is held; until then a worker waits in the queue and costs nothing.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

import engine.batch_signals  # noqa: F401  before all that takes time
from engine.devices import device_name
from engine.errors import RequestError
from engine.folders import at_home
from engine.fused.library import NoKernelsError, compiled
from engine.presets import load_spec
from engine.ranks.companions import LEFT_ALONE, Companions, Sharing, Signals, end_with
from engine.ranks.refusals import check_processes, devices_of, processes_of
from engine.requests import ENDED, Asked, evaluations
from engine.runs import (
    Run,
    StatusWriter,
    adopt,
    clear,
    episodes,
    hold_slot,
    plain,
    read_status,
)
from engine.runs.faults import disk_fault, failed
from engine.runs.slots import waiting_text
from engine.runs.store import check_unchanged
from engine.stopping import Stop


def train(folder: Path, descriptor: int, sharing: Sharing | None = None) -> int:
    """Trains the run in `folder`, whose lock is held by `descriptor`; its state says how it ended.

    The other processes of its training are begun here, or are there already: `sharing`.
    """
    run = Run(folder)
    adopt(run.lock_path, descriptor)
    before = read_status(run)
    created = before.created or 0.0
    with StatusWriter(run, descriptor, state="queued", phase="queued") as status, _told(status):
        stop = Stop(run, status)
        stop.computing.begin()
        stop.last_words = lambda: status.update(state="stopped", phase="")
        spec = load_spec(run.spec_path)
        check_unchanged(run, spec, status.status.summary)
        device = device_name(spec.device)
        devices = devices_of(device, 1 if sharing is not None else processes_of(before))
        check_processes(spec, len(devices) if sharing is None else sharing.processes, len(devices))
        _say_processes(status, sharing, len(devices))
        with _slots(devices, created, stop.ending, f"run {run.id}") as held:
            if not held:
                status.update(state="paused" if stop.word() == "pause" else "stopped", phase="")
                clear(run)
                return 0
            status.update(state="starting", phase="importing torch", device=device)
            if device == "cpu":
                threading.Thread(target=_compile_ahead, args=(spec.model.name,), daemon=True).start()
            with _others(devices, status) as begun:
                with stop.computing:
                    from engine.train_job import train_run

                return train_run(run, spec, device, status, stop, sharing or begun)
    return 1


def _say_processes(status: StatusWriter, sharing: Sharing | None, here: int) -> None:
    """Who resumes the run must know: what torchrun began, it alone can begin again with as many."""
    if sharing is not None:
        status.update(processes=sharing.processes, launched="torchrun")
    elif here > 1 or "processes" in status.status.more:
        status.update(processes=here, launched=None)


@contextmanager
def _slots(
    devices: list[str], created: float, ending: Callable[[], bool], what: str
) -> Iterator[bool]:
    """Holds a slot of each device, one after another; gives False where `ending()` came first."""
    with ExitStack() as stack:
        wanted = dict.fromkeys(devices)
        yield all(stack.enter_context(hold_slot(device, created, ending, what)) for device in wanted)


@contextmanager
def _others(devices: list[str], status: StatusWriter) -> Iterator[Sharing | None]:
    """The processes that compute on all devices but the first, where there are several."""
    if len(devices) == 1:
        yield None
        return

    def give_up(reason: str) -> None:
        failed(status, f"{reason}; kshot runs resume {status.run.id} goes on from its last checkpoint")
        os._exit(1)

    with Companions(devices, give_up) as others:
        yield Sharing(len(devices), len(devices), others.store, others.lost)


def follow(store: Path, rank: int, count: int, device: str, reading: int) -> int:
    """Computes one rank's share of another process's training, for as long as that lives."""
    end_with(reading, store.parent)
    signals = Signals()
    from engine.ranks.following import follow
    from engine.ranks.group import Lost, joined

    try:
        group = joined(rank, count, store)
        return follow(group, lambda name: device, lambda name: nullcontext(), signals.words)
    except Lost:
        return LEFT_ALONE


def _compile_ahead(model: str) -> None:
    """Has the kernels of a model compiled while torch is imported; whoever needs them says what was wrong."""
    name = {"conv4": "kernels", "mlp": "mlp"}.get(model)
    with suppress(NoKernelsError):
        if name is not None:
            compiled(name)


def ranks(options: list[str]) -> int:
    """One process of a training that torchrun has started on any number of machines."""
    from engine.ranks import launched

    where, asked = launched.place(), launched.parsed(options)
    launched.settle(options)
    if asked.data_dir is not None:
        os.environ["KSHOT_DATA"] = str(at_home(asked.data_dir).absolute())
    if where.rank:
        return launched.follow(where)
    run, descriptor = launched.opened(asked, where)
    print(run.id, flush=True)
    print(f"kshot runs watch {run.id} follows it", file=sys.stderr, flush=True)
    code = train(run.path, descriptor, Sharing(where.processes, where.here, None, lambda: None))
    status = read_status(run)
    print(f"{run.id}: {status.state}{f', {status.error}' if status.error else ''}", file=sys.stderr)
    return code


@contextmanager
def _told(status: StatusWriter) -> Iterator[None]:
    """Whatever goes wrong becomes the run's `failed` with one line; the whole story goes to the log."""
    try:
        yield
    except RequestError as error:
        failed(status, str(error))
    except OSError as error:
        failed(status, disk_fault(status.run, error))
    except Exception as error:
        # The log may lie on a full disk.
        with suppress(OSError):
            traceback.print_exc()
        failed(status, plain(f"{type(error).__name__}: {error}", 500))


def evaluate(folders: list[Path]) -> int:
    """Answers the pending evaluation requests of these runs, device by device.

    Checkpoints are read at once: while this worker waits for a device, a training may let go of them.
    """
    stop = Stop(ended=ENDED)
    code = 0
    asked = [Asked.read(Run(folder), name) for folder in folders for name in evaluations(Run(folder))]
    for device in dict.fromkeys(each.device for each in asked):
        here = [each for each in asked if each.device == device]
        with hold_slot(device, time.time(), stop.ending, f"a test of {here[0].run.id}") as held:
            if not held:
                return ENDED
            here[0].tell("importing torch")
            from engine.evaluate_job import answer

            code = max(code, answer(here, stop.ending))
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
            print(json.dumps({"note": waiting_text(device)}), flush=True)
        return False

    with hold_slot(device, time.time(), waiting, "kshot bench"):
        from engine.bench import main as measure

        return measure(options)


def main(arguments: list[str]) -> int:
    """Runs one of the worker's jobs; exit code 2 for a request that is none."""
    try:
        match arguments:
            case ["train", folder, descriptor] if descriptor.isdigit():
                return train(Path(folder), int(descriptor))
            case ["train", *pairs] if pairs and len(pairs) % 2 == 0 and all(map(str.isdigit, pairs[1::2])):
                from engine.together.members import train as train_together

                folders, locks = map(Path, pairs[::2]), map(int, pairs[1::2])
                return train_together([*zip(folders, locks, strict=True)])
            case ["evaluate", *folders] if folders:
                return evaluate([Path(folder) for folder in folders])
            case ["follow", store, *numbers, device, reading] if len(numbers) == 2:
                rank, count = map(int, numbers)
                return follow(Path(store), rank, count, device, int(reading))
            case ["ranks", *options]:
                return ranks(options)
            case ["attend", folder, descriptor] if descriptor.isdigit():
                return attend(Path(folder), int(descriptor))
            case ["replay", folder, step] if step.isdigit():
                from engine.replay_job import replay

                return replay(Run(Path(folder)), int(step))
            case ["bench", *options]:
                return bench(options)
    except RequestError as error:
        print(f"kshot: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        with suppress(OSError):
            print(f"kshot: {error}", file=sys.stderr)
        return 1
    print(
        "kshot: engine.worker is started by kshot: train RUN LOCK, evaluate RUN..., attend RUNS LOCK, "
        "replay RUN STEP, bench",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    code = main(sys.argv[1:])
    with suppress(OSError):
        sys.stdout.flush()
    # Threads of native libraries may hang on the way out; everything of ours is on disk by now.
    os._exit(code)
