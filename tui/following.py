"""Following trainings in the foreground: what is reused is said, Ctrl+C stops at a checkpoint."""

import time
from collections.abc import Sequence

from engine.runs.comparison import Training
from engine.runs.execution import Execution
from engine.runs.store import metric_of
from engine.runs.trainings import Followed, Trainings
from tui.batch_signals import heeded
from tui.output import say
from tui.views import RunView

STOP_PATIENCE = 120.0
SAID = {
    "reuse": "finished run {run} is reused",
    "wait": "run {run} is under way and is waited for",
    "resume": "run {run} is resumed",
    "retrain": "an earlier run failed; trained anew",
}


def tell_actions(trainings: Sequence[Training], name: str | None = None) -> None:
    """Says on standard error which trainings are not begun from nothing, and so do not take a new `name`."""
    for training in trainings:
        if name is not None and training.action in ("reuse", "wait", "resume") and training.run is not None:
            say(f"--name {name} is for new runs; {training.run.id} keeps its own (--fresh trains anew)")
        if training.action in SAID:
            run = training.run.id if training.run else ""
            label, said = label_of(training, trainings), SAID[training.action].format(run=run)
            say(said if label == run else f"{label}: {said}")


def label_of(training: Training, among: Sequence[Training]) -> str:
    """The rows that share the training, and its seed where there are several."""
    label = ", ".join(training.labels)
    return f"{label} (seed {training.seed})" if len({other.seed for other in among}) > 1 else label


def views_of(started: Trainings) -> list[RunView]:
    """A reader for each training."""
    trainings = [item.training for item in started.followed]
    return [
        RunView(item.run, label_of(item.training, trainings), metric_of(item.training.spec))
        for item in started.followed
    ]


def follow_trainings(started: Trainings) -> None:
    """Shows the trainings until all are over."""
    from tui.progress import follow

    active = [view for view in views_of(started) if view.active]
    if active:
        with heeded(started):
            follow(active, [], started.poll, lambda: started.done)


def follow_execution(execution: Execution) -> None:
    """Shows trainings and the tests that follow them until all is there."""
    from tui.progress import follow

    active = [view for view in views_of(execution.trainings) if view.active]
    with heeded(execution.trainings):
        follow(active, execution.tests.tests, execution.poll, lambda: execution.done)


def interrupted(started: Trainings) -> int:
    """Ctrl+C: stops the trainings begun here, waits for their checkpoints, says how to go on; returns 130."""
    asked: list[Followed] = []
    try:
        asked = started.stop()
        if asked:
            say(f"stopping at a checkpoint: {len(asked)} of the runs; Ctrl+C again leaves at once")
        until = time.monotonic() + STOP_PATIENCE
        while any(not item.done for item in asked) and time.monotonic() < until:
            started.poll()
            time.sleep(0.1)
        _tell_stopped(asked)
    except KeyboardInterrupt:
        for item in asked:
            if not item.done:
                say(f"{item.run.id}: stops at its next checkpoint; kshot runs resume {item.run.id} goes on")
    return 130


def tell_left(started: Trainings) -> None:
    """Says in one line how many runs were stopped or paused, by whoever, before they came to their end."""
    left = [item for item in started.followed if item.status.state in ("stopped", "paused")]
    if left:
        were = "run was" if len(started.followed) == 1 else "runs were"
        say(
            f"{len(left)} of {len(started.followed)} {were} stopped or paused before the end; "
            "the same command again goes on from there"
        )


def _tell_stopped(asked: Sequence[Followed]) -> None:
    if len(asked) > 1:
        say("the same command again goes on from here")
    for item in asked:
        if item.status.state == "finished":
            say(f"{item.run.id}: finished")
        else:
            say(
                f"{item.run.id}: {item.status.state} at {item.status.step:,}; kshot runs resume {item.run.id}"
            )
