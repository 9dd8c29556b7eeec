"""One training run from its directory: trains and validates to its end, to a stop, or to a fault."""

import sys
import time
from collections.abc import Callable, Set
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, Protocol

import torch

from engine.building import built
from engine.devices import threads
from engine.divergence import Diverged, not_finite
from engine.journal import Journal
from engine.presets import Spec
from engine.ranks.alone import OVER
from engine.ranks.companions import Sharing
from engine.ranks.telling import met, tell
from engine.runs import Run, StatusWriter, newest_good_checkpoint
from engine.torch_device import torch_device
from engine.training import Trainer


class Stopping(Protocol):
    """Tells whether a run is asked to end or to write a checkpoint, and ends it where it only computes, after
    its last words (`engine.stopping`)."""

    last_words: Callable[[], None]

    @property
    def computing(self) -> AbstractContextManager[None]: ...

    def word(self) -> str | None: ...

    def saved(self) -> None: ...


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
    trainer = built(journal, spec, device, stop.computing, ranks)
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
        give_up(trainer, journal, fault)
        return 1
    journal.end(state, trainer)
    return 0


def give_up(trainer: Trainer, journal: Journal, fault: Diverged) -> None:
    """Keeps the state from before the iteration that went bad, and says where it went bad."""
    from engine.replay import replayed, told

    run, where, found = journal.run, "", None
    journal.records(trainer)
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


def _loop(trainer: Trainer, journal: Journal, stop: Stopping) -> str:
    """Iterates until done or asked to end; returns the state that follows."""
    training, status = journal.spec.training, journal.status
    first = True
    if journal.unvalidated:
        validate(trainer, journal)
        journal.checkpoint(trainer)
    if out_of_time(training.time_limit, journal):
        return "finished"
    while trainer.iteration < trainer.iterations:
        begun = time.monotonic()
        record = trainer.step()
        journal.took(time.monotonic() - begun)
        if first:
            journal.phase("training")
            first = False
        tell_iteration(trainer, journal, record)
        status.update(step=trainer.iteration)
        words = trainer.ranks.words()
        last = trainer.iteration == trainer.iterations or OVER in words
        word = next((each for each in ("stop", "pause", "checkpoint") if each in words), None)
        if status.gone:
            return "stopped"
        validate_and_save(trainer, journal, last, word is not None)
        if word == "checkpoint":
            stop.saved()
        if last:
            break
        if word in ("stop", "pause"):
            return "stopped" if word == "stop" else "paused"
    return "finished"


def tell_iteration(trainer: Trainer, journal: Journal, record: dict[str, Any] | None) -> None:
    """What an iteration has to say: what was noticed, its record, a fit where one is due."""
    for note in trainer.notes:
        journal.events.append("note", text=note)
        journal.status.update(path=trainer.learner.path)
    trainer.notes.clear()
    journal.records(trainer, record)
    if (fit := trainer.fit()) is not None:
        journal.events.append("fit", **fit)


def due(trainer: Trainer, last: bool) -> tuple[bool, bool]:
    """Whether a validation and a checkpoint are due at this iteration, which is the last or not."""
    training, at = trainer.spec.training, trainer.iteration
    validation = last or at % training.validation.every == 0
    return validation, validation or at % training.checkpoint_every == 0 or at in training.keep


def validate_and_save(trainer: Trainer, journal: Journal, last: bool, asked: bool) -> None:
    """A validation and a checkpoint, where they are due; a checkpoint also where it is `asked` for."""
    validation, checkpoint = due(trainer, last)
    if validation:
        validate(trainer, journal)
    if validation or ((checkpoint or asked) and journal.saved_at != trainer.iteration):
        journal.checkpoint(trainer)


def _asked(stop: Stopping, journal: Journal) -> Set[str]:
    """What this process is asked to do, of `engine.ranks.alone.WORDS`."""
    over = {OVER} if out_of_time(journal.spec.training.time_limit, journal) else set()
    return over | {word for word in [stop.word()] if word is not None}


def out_of_time(limit: float | None, journal: Journal) -> bool:
    """Whether the training has had the seconds that it was given."""
    return limit is not None and journal.seconds >= limit


def validate(trainer: Trainer, journal: Journal) -> None:
    """Validates, and says what it found."""
    trainer.settle()
    journal.records(trainer)
    journal.status.update(phase="validating")
    journal.unvalidated = True
    with trainer.computing:
        found = trainer.validate()
    journal.unvalidated = False
    journal.events.append("validation", **found)
    journal.status.update(phase="training")
