"""One training run from its directory: builds or resumes, trains, validates, writes events and
checkpoints."""

import resource
import sys
import time
from collections.abc import Callable, Set
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from engine.checkpoint import pack, unpack
from engine.data import data_folder
from engine.devices import threads
from engine.divergence import Diverged, not_finite
from engine.errors import RequestError
from engine.learner import Learner
from engine.paths import FUSED
from engine.presets import Spec
from engine.ranks.alone import OVER, Ranks
from engine.ranks.companions import Sharing
from engine.ranks.telling import met, tell
from engine.runs import (
    EventWriter,
    Run,
    StatusWriter,
    clear,
    damaged_checkpoints,
    list_checkpoints,
    newest_good_checkpoint,
    prune_checkpoints,
    read_events,
    read_verified,
    write_checkpoint,
)
from engine.tasks import build_tasks
from engine.training import Trainer

SPEED_EVERY = 5


class Stopping(Protocol):
    """Tells whether a run is asked to end or to write a checkpoint, and ends it where it only computes, after
    its last words (`engine.stopping`)."""

    last_words: Callable[[], None]

    @property
    def computing(self) -> AbstractContextManager[None]: ...

    def word(self) -> str | None: ...

    def saved(self) -> None: ...


class Journal:
    """What a training leaves behind: events, checkpoints and its status."""

    def __init__(self, run: Run, spec: Spec, status: StatusWriter, device: str) -> None:
        self.run, self.spec, self.status, self.device = run, spec, status, device
        self.saved = newest_good_checkpoint(run)
        self.events = EventWriter(run.events_path)
        self.seconds = 0.0
        self.best_files: dict[int, str] = {}
        self.damaged = {each.path.name for each in damaged_checkpoints(run)}
        self.saved_at = -1 if self.saved is None else self.saved.step
        self.unvalidated = False
        """Whether this iteration's validation is due and not done."""
        self.last_step, self.last_seconds = 0, 0.0

    def phase(self, name: str) -> None:
        """Names what the run is doing now."""
        self.status.update(phase=name)
        self.events.append("phase", name=name)

    def record(self, record: dict[str, Any]) -> None:
        """A `train` event, and every fifth time a `speed` event."""
        self.events.append("train", **record)
        step = record["step"]
        if step % (SPEED_EVERY * self.spec.training.record_every) == 0:
            # Of training alone: validations and checkpoints come between.
            speed = (step - self.last_step) / max(self.seconds - self.last_seconds, 1e-9)
            self.last_step, self.last_seconds = step, self.seconds
            memory = memory_bytes(self.device)
            self.events.append("speed", step=step, iterations_per_second=speed, memory_bytes=memory)
            self.status.update(iterations_per_second=round(speed, 3), memory_bytes=memory)

    def checkpoint(self, trainer: Trainer) -> None:
        """Writes a checkpoint, says so, and lets go of those that need not be kept."""
        self.events.sync()
        # No times in here: the same training gives the same bytes, and so the same digest.
        state = trainer.state() | {"threads": torch.get_num_threads(), "path": trainer.learner.path}
        if self.unvalidated:
            state["unvalidated"] = True
        if trainer.ranks.count > 1:
            state["processes"] = trainer.ranks.count
        path = write_checkpoint(self.run, trainer.iteration, pack(state))
        if trainer.best is not None:
            self.best_files[trainer.iteration] = path.name
            self.best_files = {b.step: self.best_files[b.step] for b in trainer.bests}
            self.tell_best(trainer)
        self.tell_checkpoint(trainer.iteration, path.name)
        self.status.update(seconds=round(self.seconds, 3))
        self.damaged.discard(path.name)
        self.prune()
        self.saved_at = trainer.iteration

    def prune(self) -> None:
        """Lets go of checkpoints that need not be kept."""
        prune_checkpoints(self.run, set(self.spec.training.keep), self.best_files.values(), self.damaged)

    def tell_checkpoint(self, step: int, file: str) -> None:
        """An event of a checkpoint that is there."""
        self.events.append("checkpoint", step=step, file=file, seconds=round(self.seconds, 3))

    def tell_best(self, trainer: Trainer) -> None:
        """Which checkpoints are best on validation, where testing looks for them."""
        if trainer.best is not None:
            files = list(self.best_files.values())
            best = {"step": trainer.best.step, "value": trainer.best.value, "file": files[0]}
            # Where several predict together, testing finds them here, the best first.
            self.status.update(best=best | {"files": files})

    def leave(self, trainer: Trainer) -> None:
        """The last words of a training that is ended within its computing: its last whole iteration."""
        if self.unvalidated:
            trainer.bests = [best for best in trainer.bests if best.step != trainer.iteration]
        try:
            if trainer.iteration not in (0, self.saved_at):
                self.checkpoint(trainer)
        finally:
            clear(self.run)
            seconds = round(self.seconds, 3)
            self.status.update(state="stopped", phase="", step=trainer.iteration, seconds=seconds)


def train_run(
    run: Run,
    spec: Spec,
    device_name: str,
    status: StatusWriter,
    stop: Stopping,
    sharing: Sharing | None = None,
) -> int:
    """Trains a run to its end, to a stop, or to a fault; the status says which. With `sharing` others compute
    a part of each batch, and this process is rank 0."""
    torch.set_num_threads(threads(spec, sharing.here if sharing else 1))
    device = torch_device(device_name, spec.device)
    status.update(device=str(device))
    journal = Journal(run, spec, status, str(device))
    with stop.computing:
        ranks = met(sharing, device)
    trainer = _build(journal, spec, device, stop.computing, ranks)
    stop.last_words = partial(journal.leave, trainer)
    ranks.asks = partial(_asked, stop, journal)
    over = out_of_time(spec.training.time_limit, journal)
    with stop.computing:
        checkpoint = None if journal.saved is None else journal.saved.path
        tell(trainer, checkpoint, unvalidated=journal.unvalidated, over=over)
    status.update(state="running", steps=trainer.iterations, step=trainer.iteration, error=None)
    if trainer.iterations == 0:
        journal.checkpoint(trainer)
        status.update(state="finished", phase="")
        return 0
    journal.phase("first iteration")
    try:
        state = _loop(trainer, journal, stop)
    except Diverged as fault:
        _give_up(trainer, journal, fault)
        return 1
    # Words that were obeyed go before the state says so; those to another writer are not ours.
    if not status.gone:
        clear(run)
    status.update(state=state, phase="", step=trainer.iteration, seconds=round(journal.seconds, 3))
    return 0


def _give_up(trainer: Trainer, journal: Journal, fault: Diverged) -> None:
    """Keeps the state from before the iteration that went bad, and says where it went bad."""
    from engine.replay import replayed, told

    run, where, found = journal.run, "", None
    journal.phase("looking for what is not finite")
    with suppress(OSError):  # the older checkpoints are still there
        if trainer.iteration not in (0, journal.saved_at) and not not_finite(trainer.learner.meta_parameters):
            journal.checkpoint(trainer)
    try:
        report = replayed(trainer, fault)
        found = {name: report[name] for name in ("iteration", "what", "task", "index", "inner_step", "layer")}
        where = told(report)
    except (RuntimeError, ValueError, TypeError) as error:
        print(f"cannot tell where: {type(error).__name__}: {error}", file=sys.stderr)
    saved = newest_good_checkpoint(run)
    kept = "there is no checkpoint yet"
    if saved is not None:
        kept = f"the last good checkpoint is of iteration {saved.step:,}"
    text = f"{fault}: {where}" if where else str(fault)
    journal.events.append("note", text=text, diverged=found)
    again = f"kshot runs replay-step {run.id} does the step again"
    journal.status.update(state="failed", phase="", error=f"{text}; {kept}; {again}", diverged=found)


def torch_device(name: str, wanted: str) -> torch.device:
    """A device by its name; `auto` falls back to the CPU where torch cannot use what was found without it.

    Raises:
        RequestError: a device that was asked for by name cannot be used here.
    """
    device = torch.device(name)
    if device.type == "cpu":
        return device
    if (
        device.type == "cuda"
        and torch.cuda.is_available()
        and (device.index or 0) < torch.cuda.device_count()
    ):
        return device
    if device.type == "mps" and torch.backends.mps.is_available():
        return device
    if wanted == "auto":
        return torch.device("cpu")
    raise RequestError(f"device {name} cannot be used here; --device cpu works everywhere")


def _build(
    journal: Journal,
    spec: Spec,
    device: torch.device,
    computing: AbstractContextManager[None],
    ranks: Ranks,
) -> Trainer:
    resumes = journal.events.seq > 0 or journal.saved is not None
    journal.phase("loading data")
    with computing:
        tasks = build_tasks(spec, data_folder(), device)
    # The kernels are compiled here, once on each machine.
    journal.phase("building")
    with computing:
        trainer = Trainer(Learner(spec, tasks, device), ranks)
    trainer.computing = computing
    if journal.saved is not None:
        saved = loaded(trainer, journal.saved.path, device)
        journal.unvalidated = saved.get("unvalidated", False)
        journal.seconds, was_told = _seconds_until(journal.run, journal.saved.path.name)
        if not was_told:  # a kill came between
            journal.tell_checkpoint(trainer.iteration, journal.saved.path.name)
        # So does the path.
        _keep_path(trainer.learner, saved["path"], journal)
        journal.best_files = _files_of(journal, trainer)
        journal.tell_best(trainer)
        journal.prune()
    if resumes:
        journal.events.append("resumed", step=trainer.iteration)
        for name in sorted(journal.damaged):
            journal.events.append("note", text=f"checkpoint {name} is damaged, passed over")
    journal.last_step, journal.last_seconds = trainer.iteration, journal.seconds
    journal.status.update(path=trainer.learner.path)
    return trainer


def loaded(trainer: Trainer, path: Path, device: torch.device) -> dict[str, Any]:
    """Takes a checkpoint's state into the trainer and returns it.

    Raises:
        RequestError: the checkpoint cannot be loaded, or is of another model than the spec's.
    """
    state = unpack(read_verified(path), device, path.name)
    try:
        trainer.load(state)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise RequestError(f"{path.name} is no checkpoint of what spec.yaml says: {reason}") from error
    # The number of threads decides the order of sums, and so the last bits; that of processes does too.
    if state.get("processes", 1) == trainer.ranks.count:
        torch.set_num_threads(state["threads"])
    return state


def _keep_path(learner: Learner, before: str, journal: Journal) -> None:
    """Goes on by the path that the training was begun on, where that can be had here."""
    if before == learner.path or before != FUSED != learner.path:
        return
    if learner.path == FUSED:
        learner.take(before)
    else:
        text = f"begun on the fused path, goes on on the {learner.path}; the last digits will differ"
        journal.events.append("note", text=text)


def _seconds_until(run: Run, file: str) -> tuple[float, bool]:
    """Seconds of training up to a checkpoint, as its event says, or those of the last one that has an event;
    and whether it has one."""
    seconds = 0.0
    for event in read_events(run.events_path)[0]:
        if event["kind"] == "checkpoint" and isinstance(event.get("seconds"), float | int):
            seconds = float(event["seconds"])
            if event.get("file") == file:
                return seconds, True
    return seconds, False


def _files_of(journal: Journal, trainer: Trainer) -> dict[int, str]:
    """The files of the best checkpoints so far, by step; where one has gone, the next takes its place."""
    there = (c for c in list_checkpoints(journal.run) if c.path.name not in journal.damaged)
    files = {c.step: c.path.name for c in there}
    trainer.bests = [best for best in trainer.bests if best.step in files]
    return {best.step: files[best.step] for best in trainer.bests}


def _loop(trainer: Trainer, journal: Journal, stop: Stopping) -> str:
    """Iterates until done or asked to end; returns the state that follows."""
    training, status = journal.spec.training, journal.status
    first = True
    if journal.unvalidated:
        _validate(trainer, journal)
        journal.checkpoint(trainer)
    if out_of_time(training.time_limit, journal):
        return "finished"
    while trainer.iteration < trainer.iterations:
        begun = time.monotonic()
        record = trainer.step()
        journal.seconds += time.monotonic() - begun
        if first:
            journal.phase("training")
            first = False
        for note in trainer.notes:
            journal.events.append("note", text=note)
        trainer.notes.clear()
        if record is not None:
            journal.record(record)
        if (fit := trainer.fit()) is not None:
            journal.events.append("fit", **fit)
        status.update(step=trainer.iteration)
        words = trainer.ranks.words()
        last = trainer.iteration == trainer.iterations or OVER in words
        word = next((each for each in ("stop", "pause", "checkpoint") if each in words), None)
        if status.gone:
            return "stopped"
        validated = last or trainer.iteration % training.validation.every == 0
        if validated:
            _validate(trainer, journal)
        due = trainer.iteration % training.checkpoint_every == 0 or trainer.iteration in training.keep
        if validated or ((due or word is not None) and journal.saved_at != trainer.iteration):
            journal.checkpoint(trainer)
        if word == "checkpoint":
            stop.saved()
        if last:
            break
        if word in ("stop", "pause"):
            return "stopped" if word == "stop" else "paused"
    return "finished"


def _asked(stop: Stopping, journal: Journal) -> Set[str]:
    """What this process is asked to do, of `engine.ranks.alone.WORDS`."""
    over = {OVER} if out_of_time(journal.spec.training.time_limit, journal) else set()
    return over | {word for word in [stop.word()] if word is not None}


def out_of_time(limit: float | None, journal: Journal) -> bool:
    """Whether the training has had the seconds that it was given."""
    return limit is not None and journal.seconds >= limit


def _validate(trainer: Trainer, journal: Journal) -> None:
    journal.status.update(phase="validating")
    journal.unvalidated = True
    with trainer.computing:
        found = trainer.validate()
    journal.unvalidated = False
    journal.events.append("validation", **found)
    journal.status.update(phase="training")


def memory_bytes(device: str) -> int:
    """The most memory held so far: on the device where it has its own, else by the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
