"""What a training leaves behind in its directory: events, checkpoints and its status."""

import resource
import sys
from typing import Any

import torch

from engine.checkpoint import pack
from engine.presets import Spec
from engine.runs import (
    EventWriter,
    Run,
    StatusWriter,
    clear,
    damaged_checkpoints,
    newest_good_checkpoint,
    prune_checkpoints,
    write_checkpoint,
)
from engine.training import Trainer

SPEED_EVERY = 5


class Journal:
    """Writes them, and knows what was there before."""

    def __init__(self, run: Run, spec: Spec, status: StatusWriter, device: str) -> None:
        self.run, self.spec, self.status, self.device = run, spec, status, device
        self.saved = newest_good_checkpoint(run)
        self.events = EventWriter(run.events_path)
        self.seconds = 0.0
        """Of training: what it cost, so of several trained together each has its share."""
        self.clock = 0.0
        """Seconds in which this process trained it."""
        self.best_files: dict[int, str] = {}
        self.damaged = {each.path.name for each in damaged_checkpoints(run)}
        self.saved_at = -1 if self.saved is None else self.saved.step
        self.unvalidated = False
        """Whether this iteration's validation is due and not done."""
        self.last_step, self.last_clock = 0, 0.0

    def phase(self, name: str) -> None:
        """Names what the run is doing now."""
        self.status.update(phase=name)
        self.events.append("phase", name=name)

    def took(self, seconds: float, among: int = 1) -> None:
        """Counts seconds of training that it has shared with others: so many `among` whom it is one."""
        self.seconds += seconds / among
        self.clock += seconds

    def records(self, trainer: Trainer, newest: dict[str, Any] | None = None) -> None:
        """A `train` event for each record that the trainer has by now, and for the newest; for every fifth a
        `speed` event."""
        told = [record for record in (*trainer.late, newest) if record is not None]
        trainer.late.clear()
        for record in told:
            self.events.append("train", **record)
        # The seconds are those of the last one: records that waited came at once.
        if any(record["step"] % (SPEED_EVERY * self.spec.training.record_every) == 0 for record in told):
            self._tell_speed(told[-1]["step"])

    def _tell_speed(self, step: int) -> None:
        # Of training alone: validations and checkpoints come between.
        speed = (step - self.last_step) / max(self.clock - self.last_clock, 1e-9)
        self.last_step, self.last_clock = step, self.clock
        memory = memory_bytes(self.device)
        self.events.append("speed", step=step, iterations_per_second=speed, memory_bytes=memory)
        self.status.update(iterations_per_second=round(speed, 3), memory_bytes=memory)

    def checkpoint(self, trainer: Trainer) -> None:
        """Writes a checkpoint, says so, and lets go of those that need not be kept."""
        trainer.settle()
        self.records(trainer)
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

    def end(self, state: str, trainer: Trainer) -> None:
        """Says how a training ended that did not fail."""
        # Words that were obeyed go before the state says so; those to another writer are not ours.
        if not self.status.gone:
            clear(self.run)
        seconds = round(self.seconds, 3)
        self.status.update(state=state, phase="", step=trainer.iteration, seconds=seconds)

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


def memory_bytes(device: str) -> int:
    """The most memory held so far: on the device where it has its own, else by the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
