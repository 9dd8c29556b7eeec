"""The trainings of a plan: begun, resumed or only waited for, seeds of one spec in one process where they can
be. They look and ask; they print nothing.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import RequestError
from engine.runs.comparison import ACTIONS, Training
from engine.runs.control import ask, asked
from engine.runs.processes import reopened, resume_run, say, start_together, start_worker
from engine.runs.status import Status, StatusWatcher, read_status
from engine.runs.store import Run, create_run
from engine.runs.together import alone, alone_text, but_for_seed


@dataclass
class Followed:
    """A training under way: its run, whether it was begun here, and the last status read."""

    training: Training
    run: Run
    own: bool
    status: Status = field(init=False)
    ending: bool = False
    """Whether it had been asked to end before we came to wait for it: it is resumed once it has."""

    def __post_init__(self) -> None:
        self._watcher = StatusWatcher(self.run)
        self.look()

    def look(self) -> None:
        """Reads the status."""
        self.status = self._watcher.read()

    @property
    def done(self) -> bool:
        """Whether nothing more is to be waited for."""
        return not self.status.alive


class Trainings:
    """The trainings of a plan, as processes: begun, resumed or only waited for."""

    def __init__(
        self,
        planned: Sequence[Training],
        runs_dir: Path,
        data_dir: Path,
        name: str | None = None,
        processes: int | None = None,
    ) -> None:
        self.planned, self.runs_dir, self.data_dir, self.name = planned, runs_dir, data_dir, name
        self.processes = processes
        """How many share each batch of trainings begun or resumed here; none: as before, or one."""
        self.followed: list[Followed] = []

    def begin(self) -> None:
        """Starts all of them; they queue for the device in this order.

        Raises RequestError where one cannot be started, as in a runs folder that cannot be written; what was
        begun before it is asked to stop then.
        """
        several = len({label for training in self.planned for label in training.labels}) > 1
        try:
            for group in self._groups():
                why = alone(group[0].spec, self.processes) if len(group) > 1 else None
                together = len(group) > 1 and why is None
                for each in self._begin_together(group, several) if together else group:
                    self._begin(each, self._name(each, several), why)
            places = {id(training): place for place, training in enumerate(self.planned)}
            self.followed.sort(key=lambda item: places[id(item.training)])
        except (RequestError, OSError):
            self.poll()
            self.stop()
            raise

    def _name(self, training: Training, several: bool) -> str | None:
        """Rows under one name are told apart by their labels."""
        return f"{self.name} {training.labels[0]}" if self.name and several else self.name

    def _groups(self) -> list[list[Training]]:
        """The trainings that are planned, those together that one process may train: seeds of one spec."""
        groups: dict[str, list[Training]] = {}
        for at, training in enumerate(self.planned):
            own = training.action in ("train", "retrain", "resume")
            groups.setdefault(but_for_seed(training.spec) if own else str(at), []).append(training)
        return [*groups.values()]

    def _begin_together(self, group: Sequence[Training], several: bool) -> Sequence[Training]:
        """Begins or resumes them in one process; returns those that are to be begun each by itself."""
        opened: list[tuple[Run, int]] = []
        apart: list[Training] = []
        try:
            for training in group:
                lock = self._opened(training, self._name(training, several))
                if lock is None:
                    apart.append(training)
                elif training.run is not None:
                    opened.append((training.run, lock))
                    self.followed.append(Followed(training, training.run, True))
        finally:
            if opened:
                start_together(opened, self.data_dir)
        return apart

    def _opened(self, training: Training, name: str | None) -> int | None:
        """The descriptor of the lock of a run made for it, or made queued again; None where somebody else has
        taken it since the plan was made."""
        if training.action != "resume" or training.run is None:
            training.run, lock = create_run(self.runs_dir, training.spec, name)
            return lock
        if read_status(training.run).more.get("processes", 1) != 1:
            return None
        try:
            return reopened(training.run)
        except RequestError:
            return None

    def _begin(self, training: Training, name: str | None, apart: str | None) -> None:
        """Begins one, or waits for it; `apart` is why it does not train together with other seeds begun."""
        own = training.action in ("train", "retrain", "resume")
        if training.action == "resume" and training.run is not None:
            own = self._resume(training, training.run)
        elif own:
            training.run, lock = create_run(self.runs_dir, training.spec, name)
            if apart is not None:
                say(training.run, together=alone_text(apart))
            start_worker(training.run, lock, self.data_dir, self.processes)
        assert training.run is not None
        followed = Followed(training, training.run, own)
        followed.ending = training.action == "wait" and bool(asked(training.run) & {"stop", "pause"})
        self.followed.append(followed)

    def _resume(self, training: Training, run: Run) -> bool:
        """Resumes the run; False where somebody else has done so since the plan was made."""
        try:
            resume_run(run, self.data_dir, training.data_dir, self.processes)
        except RequestError:
            state = read_status(run).state
            if state not in ACTIONS or ACTIONS[state] not in ("wait", "reuse"):
                raise
            training.action = ACTIONS[state]
            return False
        return True

    def poll(self) -> None:
        """Reads the status of every training that is not over."""
        for item in self.followed:
            if not item.done:
                item.look()
            if item.ending and item.status.state in ("stopped", "paused"):
                item.ending = False
                item.own = self._resume(item.training, item.run)
                item.look()

    @property
    def done(self) -> bool:
        """Whether every training is over, well or not."""
        return all(item.done for item in self.followed)

    def stop(self) -> list[Followed]:
        """Asks the trainings begun here to stop at a checkpoint; those waited for are not ours and go on."""
        ours = [item for item in self.followed if item.own and not item.done]
        for item in ours:
            # One that has ended since the last look needs no word.
            with contextlib.suppress(RequestError):
                ask(item.run, "stop")
        return ours
