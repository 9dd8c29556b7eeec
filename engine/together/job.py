"""The trainings of a group, from their directories: in lockstep to their ends, each with its own journal.

What is asked of a run is looked at some twenty times a second, for all runs at once: iterations are shorter.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import torch

from engine.building import built
from engine.data import data_folder
from engine.devices import threads
from engine.divergence import Diverged
from engine.journal import Journal
from engine.learner import Learner
from engine.ranks.alone import Ranks
from engine.runs import newest_good_checkpoint
from engine.runs.slots import cores_per_slot
from engine.runs.together import alone, alone_text, but_for_seed, together_text
from engine.stopping import Stop
from engine.tasks import build_tasks
from engine.together.lockstep import Lockstep, Outcome, unfit
from engine.together.members import Member, left
from engine.torch_device import torch_device
from engine.train_job import due, give_up, tell_iteration, validate, validate_and_save
from engine.training import Trainer

LOOK_SECONDS = 0.05


class Going(NamedTuple):
    """A member that trains."""

    member: Member
    trainer: Trainer
    journal: Journal


def train_members(members: Sequence[Member], device_name: str, stop: Stop) -> None:
    """Trains those that can go in lockstep, and hands each of the others over to a process of its own."""
    members, reason = _alike(members), None
    torch.set_num_threads(threads(members[0].spec))
    if len(members) > 1:
        reason = _unfit(members[0], stop)
    if len(members) == 1 or reason is not None:
        for member in members:
            with member.told():
                member.hand_over("" if reason is None else alone_text(reason))
        return
    device = torch_device(device_name, members[0].spec.device)
    group = [each for member in members if (each := _begun(member, device, stop)) is not None]
    if group:
        Group(group, stop).train()


def _alike(members: Sequence[Member]) -> list[Member]:
    """The largest part whose specs are one but for their seeds, and which stand at one iteration; the others
    are handed over."""
    kinds = [(but_for_seed(m.spec), alone(m.spec), _iteration(m)) for m in members]
    most = Counter(kinds).most_common(1)[0][0]
    for member, kind in zip(members, kinds, strict=True):
        if kind != most:
            at = f"it stands at iteration {kind[2]:,}"
            text = kind[1] or (at if kind[0] == most[0] else "its spec is another one")
            with member.told():
                member.hand_over(alone_text(text))
    return left(members)


def _iteration(member: Member) -> int:
    saved = newest_good_checkpoint(member.run)
    return 0 if saved is None else saved.step


def _unfit(member: Member, stop: Stop) -> str | None:
    """Why such trainings cannot go in lockstep, as one made for this question tells."""
    spec = member.spec
    if (reason := alone(spec)) is not None:
        return reason
    with stop.computing:
        return unfit([Trainer(Learner(spec, build_tasks(spec, data_folder()), torch.device("cpu")))])


def _begun(member: Member, device: torch.device, stop: Stop) -> Going | None:
    """A member's trainer, which goes on where its checkpoint is; None where that failed."""
    with member.told():
        member.status.update(device=str(device))
        journal = Journal(member.run, member.spec, member.status, str(device))
        trainer = built(journal, member.spec, device, stop.computing, Ranks())
        trainer.computing = nullcontext()
        if (reason := unfit([trainer])) is None:
            return Going(member, trainer, journal)
        journal.events.close()
        member.hand_over(alone_text(reason))
    return None


class Group:
    """Trainings in lockstep, until each has ended or left."""

    def __init__(self, group: Sequence[Going], stop: Stop) -> None:
        self.group, self.stop = list(group), stop
        self.threads = cores_per_slot()
        self.lockstep = self._made()
        self.pool = ThreadPoolExecutor(len(group), "kshot-seed")
        self.looked, self.pending = 0.0, 0.0
        stop.last_words = self._last_words

    def _made(self) -> Lockstep:
        made = Lockstep([each.trainer for each in self.group], self.threads)
        made.computing = self.stop.computing
        self._tell()
        return made

    def _tell(self) -> None:
        others = len(self.group) - 1
        text = together_text(others) if others else "the last one left of several in one process"
        for each in self.group:
            each.member.status.update(together=text)

    def train(self) -> None:
        """Iterates until nobody is left."""
        for each in self.group:
            trainer = each.trainer
            with each.member.told():
                state = {"state": "running", "steps": trainer.iterations, "step": trainer.iteration}
                each.member.status.update(**state, error=None, seeds_together=len(self.group))
                each.journal.phase("first iteration")
        self._settle()
        self._each([each for each in self.group if each.journal.unvalidated], _catch_up)
        first = True
        while self.group:
            begun = time.monotonic()
            outcomes = self.lockstep.step()
            self.pending += time.monotonic() - begun
            if first:
                self._told(lambda each: each.journal.phase("training"))
                first = False
            self._after(outcomes, begun)

    def _after(self, outcomes: Sequence[Outcome], now: float) -> None:
        """All that follows an iteration: what it has to say, what is due, what is asked."""
        # Who has diverged has not moved.
        good = max((each.trainer for each in self.group), key=attrgetter("iteration"))
        last = good.iteration == good.iterations
        looks = now - self.looked >= LOOK_SECONDS
        told = good.fits(good.iteration) or any(outcome is not None for outcome in outcomes)
        if not (looks or last or told or any(due(good, last))):
            return
        self._settle()
        for each, outcome in zip([*self.group], outcomes, strict=True):
            with each.member.told():
                if isinstance(outcome, Diverged):
                    give_up(each.trainer, each.journal, outcome)
                    self._leave(each, bad=True)
                else:
                    tell_iteration(each.trainer, each.journal, outcome)
        self._without_gone()
        words = self._words(now) if looks or last else {}
        asked = {each.member.run.id for each in self.group if any(due(each.trainer, last))} | words.keys()
        wanted = [each for each in self.group if each.member.run.id in asked]
        self._each(wanted, partial(_save, last=last, words=words))
        for each in self.group:
            word = words.get(each.member.run.id)
            if last or word in ("stop", "pause"):
                state = "finished" if last else "stopped" if word == "stop" else "paused"
                with each.member.told():
                    each.journal.end("stopped" if each.member.status.gone else state, each.trainer)
                    self._leave(each)
        self._without_gone()

    def _words(self, now: float) -> dict[str, str]:
        """What each run is asked, by its id; its step is told meanwhile."""
        self.looked = now
        all_are_asked = self.stop.word()
        words = {}
        for each in self.group:
            each.member.status.update(step=each.trainer.iteration)
            if word := ("stop" if all_are_asked == "stop" else each.member.word() or all_are_asked):
                words[each.member.run.id] = word
        if all_are_asked == "checkpoint":
            self.stop.saved()
        return words

    def _settle(self) -> None:
        """Shares the seconds of training since the last time out."""
        for each in self.group:
            each.journal.took(self.pending, len(self.group))
        self.pending = 0.0

    def _told(self, work: Callable[[Going], None]) -> None:
        """Does this for each, one after another."""
        for each in self.group:
            with each.member.told():
                work(each)
        self._without_gone()

    def _each(self, group: Sequence[Going], work: Callable[[Going], None]) -> None:
        """Does this for each of them at the same time: disks are waited for together."""

        def told(each: Going) -> None:
            with each.member.told():
                work(each)

        if len(group) == 1:
            told(group[0])
        else:
            list(self.pool.map(told, group))
        self._without_gone()

    def _leave(self, each: Going, bad: bool = False) -> None:
        each.member.bad |= bad
        each.journal.events.close()
        each.member.let_go()

    def _without_gone(self) -> None:
        """Goes on with those that are left."""
        gone = [each for each in self.group if each.member.gone]
        if gone:
            self.group = [each for each in self.group if not each.member.gone]
            self.lockstep.close()
            if self.group:
                self.lockstep = self._made()

    def _last_words(self) -> None:
        """What is saved where the process ends within its computing."""
        for each in self.group:
            with each.member.told():
                each.journal.leave(each.trainer)


def _catch_up(each: Going) -> None:
    """A validation that was due where it was stopped."""
    validate(each.trainer, each.journal)
    each.journal.checkpoint(each.trainer)


def _save(each: Going, last: bool, words: dict[str, str]) -> None:
    """A validation and a checkpoint, where they are due or asked for."""
    if each.member.status.gone:
        return
    word = words.get(each.member.run.id)
    validate_and_save(each.trainer, each.journal, last, word is not None)
    if word == "checkpoint":
        each.member.saved()
