"""A training made from its directory: built anew, or as its newest good checkpoint left it."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from engine.captured import trainer_of
from engine.checkpoint import unpack
from engine.data import data_folder
from engine.errors import RequestError
from engine.fused.place import kept_elsewhere
from engine.journal import Journal
from engine.learner import Learner
from engine.paths import CAPTURED, FUSED, GENERIC
from engine.presets import Spec
from engine.ranks.alone import Ranks
from engine.runs import Run, list_checkpoints, read_events, read_verified
from engine.tasks import build_tasks
from engine.training import Trainer


def built(
    journal: Journal,
    spec: Spec,
    device: torch.device,
    computing: AbstractContextManager[None],
    ranks: Ranks,
) -> Trainer:
    """The trainer of the journal's run, which goes on where a checkpoint is; the journal knows how far.

    `computing` is entered where nothing but computing is done. Raises RequestError.
    """
    resumes = journal.events.seq > 0 or journal.saved is not None
    journal.phase("loading data")
    with computing:
        tasks = build_tasks(spec, data_folder(), device)
    # The kernels are compiled here, once on each machine.
    journal.phase("building")
    with computing:
        trainer = trainer_of(Learner(spec, tasks, device), ranks)
    trainer.computing = computing
    if journal.saved is not None:
        saved = loaded(trainer, journal.saved.path, device)
        journal.unvalidated = saved.get("unvalidated", False)
        journal.seconds, was_told = _seconds_until(journal.run, journal.saved.path.name)
        if not was_told:  # a kill came between
            journal.tell_checkpoint(trainer.iteration, journal.saved.path.name)
        # The path decides the last bits too.
        _keep_path(trainer.learner, saved["path"], journal)
        journal.best_files = _files_of(journal, trainer)
        journal.tell_best(trainer)
        journal.prune()
    if resumes:
        journal.events.append("resumed", step=trainer.iteration)
        for name in sorted(journal.damaged):
            journal.events.append("note", text=f"checkpoint {name} is damaged, passed over")
    journal.last_step = trainer.iteration
    journal.status.update(path=trainer.learner.path)
    if trainer.learner.path == FUSED and (elsewhere := kept_elsewhere()) is not None:
        journal.events.append("note", text=elsewhere)
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
        learner.take(f"{GENERIC}: begun by CUDA graphs" if before == CAPTURED else before)
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
