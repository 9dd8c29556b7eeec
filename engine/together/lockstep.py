"""Trainers of one spec under several seeds, an iteration of all of them at once.

The walks of all are one call of the kernels, and so is the outer step where nothing is out of the ordinary.
Where something is (an iteration that is recorded, a slope that is not finite), each trainer does what it does
alone, with its own part of what was found. So a trainer's numbers are, bit for bit, those that it has alone,
and it may leave and go on alone at any iteration.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from typing import Any

import torch

from engine.adaptation import MetaGradient
from engine.adaptation.gradient import GradientRule
from engine.adaptation.whole import WholeWalks
from engine.divergence import RECKLESS, Diverged
from engine.fused.groups import GroupWalks
from engine.models import Parameters
from engine.outer.interpolate import interpolated
from engine.outer.optimizer import Optimizers
from engine.outer.schedule import order_at, outer_rate, step_weights
from engine.paths import FUSED
from engine.together.batches import SeedBatches
from engine.training import Trainer, gradient_norm

Outcome = dict[str, Any] | Diverged | None
"""What an iteration came to for one of the seeds: a record, or none, or that its numbers went bad."""
ORDINARY = RECKLESS / 10
"""Below this a step is certainly not reckless, whatever the last bit of its slope's norm."""


def unfit(trainers: Sequence[Trainer]) -> str | None:
    """Why these cannot go in lockstep; None where they can."""
    first = trainers[0]
    rule = first.rule
    if any(trainer.learner.path != FUSED for trainer in trainers):
        return f"the path is {next(t.learner.path for t in trainers if t.learner.path != FUSED)}"
    if not isinstance(rule, GradientRule) or rule.whole is None or first.learner.tasks.kind != "values":
        return "one seed's arithmetic fills the cores"
    if first.tasks_at_once < first.size:
        return "memory holds a part of a batch at once"
    return None


class Lockstep:
    """Trainers that stand at the same iteration, and differ in their seeds alone."""

    def __init__(self, trainers: Sequence[Trainer], threads: int) -> None:
        self.trainers, self.threads = list(trainers), threads
        self.pool = ThreadPoolExecutor(threads, "kshot-alone")
        self.computing: AbstractContextManager[None] = nullcontext()
        """Entered where a step only computes, and nothing of the trainings changes."""
        first = self.trainers[0]
        self.adaptation, self.outer = first.spec.adaptation, first.spec.outer
        self.batches = SeedBatches([trainer.stream for trainer in self.trainers])
        self.rules = [_rule_of(trainer) for trainer in self.trainers]
        self.walks: GroupWalks | None = None
        self.back = self.outer.rule == "meta-gradient"
        optimizers = [trainer.optimizer for trainer in self.trainers if trainer.optimizer is not None]
        self.optimizer = Optimizers(optimizers)
        names = set(self.rules[0].descent.names)
        self.plain = self.back and names == first.learner.meta_parameters.keys() and not first.learner.kept
        """Whether the kernels give the whole meta-gradient, and nothing else outlives a task."""
        self.gradients: list[Parameters] = []

    def without(self, gone: Sequence[Trainer]) -> "Lockstep | None":
        """The others; none where nobody is left."""
        left = [trainer for trainer in self.trainers if not any(trainer is each for each in gone)]
        if not left:
            return None
        made = Lockstep(left, self.threads)
        made.computing = self.computing
        return made

    def step(self) -> list[Outcome]:
        """One iteration of each; a trainer whose numbers went bad has not moved, and must leave."""
        first = self.trainers[0]
        with self.computing:
            self._walk(first.iteration)
            rate = outer_rate(self.outer, first.iteration, first.iterations)
            ordinary = self.plain and not first.records(first.iteration + 1) and self._sound(rate)
        if not ordinary:
            numbers = range(len(self.trainers))
            return [*(self.pool.map(self._alone, numbers) if self.threads > 1 else map(self._alone, numbers))]
        self.optimizer.step(self.gradients, rate)
        for trainer in self.trainers:
            trainer.iteration += 1
        return [None] * len(self.trainers)

    def _walk(self, iteration: int) -> None:
        """All seeds' tasks along their chains and back."""
        batch, first = self.batches.all_of(iteration), self.trainers[0]
        learned_head = self.adaptation.head == "learned"
        if self.walks is None or not learned_head:
            begun = [
                rule.begun(trainer.learner.meta_parameters, self.batches.of(number, iteration))
                for number, (rule, trainer) in enumerate(zip(self.rules, self.trainers, strict=True))
            ]
            if self.walks is None:
                core = self.rules[0].core(begun[0], self.batches.of(0, iteration), self.adaptation.steps)
                assert core is not None
                steps, groups = self.adaptation.steps, len(self.trainers)
                own = core.placed(begun[0])[1]
                self.walks = GroupWalks(core, groups, batch, steps, self.back, own, self.threads)
                self.gradients = [found.gradient for found in self.walks.found]
            rates = zip(self.rules, self.trainers, strict=True)
            self.walks.place(begun, [rule.rates(each.learner.meta_parameters) for rule, each in rates])
            self.begun = begun
        at = (iteration, first.iterations)
        weights: Sequence[float] = ()
        if self.back:
            last = max(self.adaptation.steps, 1) - 1
            weights = step_weights(self.adaptation, *at) or (*(0.0 for _ in range(last)), 1.0)
        self.walks.walk(batch, self.back and order_at(self.adaptation.order, *at) == 2, weights)

    def _sound(self, rate: float) -> bool:
        """Whether all seeds' losses and slopes are such that each may simply step."""
        assert self.walks is not None
        norms = torch.linalg.vector_norm(self.walks.gradients, dim=1)
        numbers = torch.cat([norms, self.walks.query_loss.mean(1)]).tolist()
        return all(map(isfinite, numbers)) and rate * max(1.0, *numbers[: len(self.trainers)]) < ORDINARY

    @torch.no_grad()
    def _alone(self, number: int) -> Outcome:
        """The iteration of one of them from its own part of what was found, as it does it alone."""
        trainer, tasks = self.trainers[number], self.batches.of(number, self.trainers[number].iteration)
        seen = trainer.seen([self._seen(number)], tasks, tasks)
        try:
            return trainer.advance(seen, gradient_norm(seen.gradient))
        except Diverged as fault:
            return fault

    def _seen(self, number: int) -> MetaGradient:
        """One seed's part of the walks."""
        assert self.walks is not None
        trainer, rule, found = self.trainers[number], self.rules[number], self.walks.found[number]
        parameters, tasks = trainer.learner.meta_parameters, self.batches.of(number, trainer.iteration)
        seen = rule.seen(self.walks.core, found, self.begun[number], parameters, tasks, self.back)
        return seen if self.back else interpolated(seen, parameters)


def _rule_of(trainer: Trainer) -> WholeWalks:
    rule = trainer.rule
    assert isinstance(rule, GradientRule) and rule.whole is not None
    return rule.whole
