"""One training run from its directory: builds or resumes, trains, validates, writes events and
checkpoints."""

import resource
import sys
import time
from typing import Any, Protocol

import torch

from engine.checkpoint import pack, unpack
from engine.data import data_folder
from engine.devices import threads
from engine.errors import RequestError
from engine.learner import Learner
from engine.paths import FUSED
from engine.presets import Spec
from engine.runs import (
    EventWriter,
    Run,
    StatusWriter,
    clear,
    list_checkpoints,
    newest_good_checkpoint,
    prune_checkpoints,
    read_events,
    read_verified,
    write_checkpoint,
)
from engine.tasks import build_tasks
from engine.training import Diverged, Trainer

SPEED_EVERY = 5


class Stopping(Protocol):
    """Tells whether a run is asked to end or to write a checkpoint."""

    def word(self) -> str | None: ...


class Journal:
    """What a training leaves behind: events, checkpoints and its status."""

    def __init__(self, run: Run, spec: Spec, status: StatusWriter, device: str) -> None:
        self.run, self.spec, self.status, self.device = run, spec, status, device
        self.saved = newest_good_checkpoint(run)
        self.events = EventWriter(run.events_path)
        self.seconds = 0.0
        self.best_files: dict[int, str] = {}
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
        path = write_checkpoint(self.run, trainer.iteration, pack(state))
        if trainer.best is not None:
            self.best_files[trainer.iteration] = path.name
            self.best_files = {b.step: self.best_files[b.step] for b in trainer.bests}
            files = list(self.best_files.values())
            best = {"step": trainer.best.step, "value": trainer.best.value, "file": files[0]}
            # Where several predict together, testing finds them here, the best first.
            self.status.update(best=best | {"files": files})
        seconds = round(self.seconds, 3)
        self.events.append("checkpoint", step=trainer.iteration, file=path.name, seconds=seconds)
        self.status.update(seconds=seconds)
        prune_checkpoints(self.run, set(self.spec.training.keep), self.best_files.values())


def train_run(run: Run, spec: Spec, device_name: str, status: StatusWriter, stop: Stopping) -> int:
    """Trains a run to its end, to a stop, or to a fault; the status says which."""
    torch.set_num_threads(threads(spec))
    device = torch_device(device_name, spec.device)
    status.update(device=str(device))
    journal = Journal(run, spec, status, str(device))
    trainer = _build(journal, spec, device)
    status.update(state="running", steps=trainer.iterations, step=trainer.iteration, error=None)
    if trainer.iterations == 0:
        journal.checkpoint(trainer)
        status.update(state="finished", phase="")
        return 0
    journal.phase("first iteration")
    try:
        state = _loop(trainer, journal, stop)
    except Diverged as fault:
        saved = newest_good_checkpoint(run)
        kept = (
            f"the last good checkpoint is of iteration {saved.step}"
            if saved
            else "there is no checkpoint yet"
        )
        status.update(state="failed", phase="", error=f"{fault}; {kept}")
        journal.events.append("note", text=str(fault))
        return 1
    # Words that were obeyed go before the state says so.
    clear(run)
    status.update(state=state, phase="", step=trainer.iteration, seconds=round(journal.seconds, 3))
    return 0


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


def _build(journal: Journal, spec: Spec, device: torch.device) -> Trainer:
    resumes = journal.events.seq > 0
    journal.phase("loading data")
    tasks = build_tasks(spec, data_folder(), device)
    # The kernels are compiled here, once on each machine.
    journal.phase("building")
    trainer = Trainer(Learner(spec, tasks, device))
    if journal.saved is not None:
        saved = unpack(read_verified(journal.saved.path), device, journal.saved.path.name)
        trainer.load(saved)
        journal.seconds = _seconds_until(journal.run, journal.saved.path.name)
        # The number of threads decides the order of sums, and so the last bits; so does the path.
        torch.set_num_threads(saved["threads"])
        _keep_path(trainer.learner, saved["path"], journal)
        journal.best_files = _files_of(journal, trainer)
    if resumes:
        journal.events.append("resumed", step=trainer.iteration)
        for damaged in list_checkpoints(journal.run):
            if damaged.step > trainer.iteration:
                journal.events.append("note", text=f"checkpoint {damaged.path.name} is damaged, passed over")
    journal.last_step, journal.last_seconds = trainer.iteration, journal.seconds
    journal.status.update(path=trainer.learner.path)
    return trainer


def _keep_path(learner: Learner, before: str, journal: Journal) -> None:
    """Goes on by the path that the training was begun on, where that can be had here."""
    if before == learner.path or before != FUSED != learner.path:
        return
    if learner.path == FUSED:
        learner.take(before)
    else:
        text = f"begun on the fused path, goes on on the {learner.path}; the last digits will differ"
        journal.events.append("note", text=text)


def _seconds_until(run: Run, file: str) -> float:
    """Seconds of training up to a checkpoint, as its event says, or the one before if a kill came between."""
    seconds = 0.0
    for event in read_events(run.events_path)[0]:
        if event["kind"] == "checkpoint" and isinstance(event.get("seconds"), float | int):
            seconds = float(event["seconds"])
            if event.get("file") == file:
                break
    return seconds


def _files_of(journal: Journal, trainer: Trainer) -> dict[int, str]:
    """The files of the best checkpoints so far, by step; where one has gone, the next takes its place."""
    files = {c.step: c.path.name for c in list_checkpoints(journal.run)}
    trainer.bests = [best for best in trainer.bests if best.step in files]
    return {best.step: files[best.step] for best in trainer.bests}


def _loop(trainer: Trainer, journal: Journal, stop: Stopping) -> str:
    """Iterates until done or asked to end; returns the state that follows."""
    training, status = journal.spec.training, journal.status
    saved_at = trainer.iteration if journal.saved is not None else -1
    first = True
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
        last = trainer.iteration == trainer.iterations or out_of_time(training.time_limit, journal)
        word = stop.word()
        validated = last or trainer.iteration % training.validation.every == 0
        if validated:
            _validate(trainer, journal)
        due = trainer.iteration % training.checkpoint_every == 0 or trainer.iteration in training.keep
        if validated or ((due or word is not None) and saved_at != trainer.iteration):
            journal.checkpoint(trainer)
            saved_at = trainer.iteration
        if word == "checkpoint":
            clear(journal.run, word)
        if last:
            break
        if word in ("stop", "pause"):
            return "stopped" if word == "stop" else "paused"
    return "finished"


def out_of_time(limit: float | None, journal: Journal) -> bool:
    """Whether the training has had the seconds that it was given."""
    return limit is not None and journal.seconds >= limit


def _validate(trainer: Trainer, journal: Journal) -> None:
    journal.status.update(phase="validating")
    journal.events.append("validation", **trainer.validate())
    journal.status.update(phase="training")


def memory_bytes(device: str) -> int:
    """The most memory held so far: on the device where it has its own, else by the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
