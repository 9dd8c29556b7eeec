"""Trainers whose walks are one call of the kernels, and whose outer steps are one where nothing is out of the
ordinary.

Where something is (a slope that is not finite, heads made for tasks), each trainer does what it does
alone, with its own part of what was found. So a trainer's numbers are, bit for bit, those that it has alone,
and it may leave and go on alone at any iteration.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import isfinite
from typing import Any

import torch

from engine.adaptation import MetaGradient
from engine.adaptation.gradient import GradientRule
from engine.adaptation.whole import WholeWalks
from engine.divergence import RECKLESS, Diverged
from engine.fused.groups import GroupWalks
from engine.fused.mlp import Walking
from engine.models import Parameters
from engine.outer.interpolate import interpolated
from engine.outer.optimizer import Optimizers
from engine.outer.schedule import order_at, outer_rate, step_weights
from engine.tasks.episodes import Episodes
from engine.together.batches import SeedBatches
from engine.training import Trainer, gradient_norm

Outcome = dict[str, Any] | Diverged | None
"""What an iteration came to for one of the seeds: a record, or none, or that its numbers went bad."""
Recorded = tuple[dict[str, Any] | None, float]
NOTHING: Recorded = (None, 0.0)
ORDINARY = RECKLESS / 10
"""Below this a step is certainly not reckless, whatever the last bit of its slope's norm."""


class Team:
    """Trainers that stand at the same iteration, and differ in their seeds alone."""

    def __init__(self, trainers: Sequence[Trainer], threads: int) -> None:
        self.trainers, self.threads = list(trainers), threads
        first = self.trainers[0]
        self.adaptation, self.outer = first.spec.adaptation, first.spec.outer
        self.batches = SeedBatches([trainer.stream for trainer in self.trainers])
        self.rules = [_rule_of(trainer) for trainer in self.trainers]
        self.walks: GroupWalks | None = None
        self.walking: Walking | None = None
        self.back = self.outer.rule == "meta-gradient"
        optimizers = [trainer.optimizer for trainer in self.trainers if trainer.optimizer is not None]
        self.optimizer = Optimizers(optimizers)
        names = set(self.rules[0].descent.names)
        self.plain = self.back and names == first.learner.meta_parameters.keys() and not first.learner.kept
        """Whether the kernels give the whole meta-gradient, and nothing else outlives a task."""
        self.gradients: list[Parameters] = []

    def begin(self) -> None:
        """Begins to walk all seeds' tasks along their chains and back, unless it has."""
        if self.walking is not None:
            return
        first = self.trainers[0]
        iteration = first.iteration
        batch = self.batches.all_of(iteration)
        if self.walks is None or self.adaptation.head != "learned":
            self._place(iteration)
        assert self.walks is not None
        at = (iteration, first.iterations)
        weights: Sequence[float] = ()
        if self.back:
            last = max(self.adaptation.steps, 1) - 1
            weights = step_weights(self.adaptation, *at) or (*(0.0 for _ in range(last)), 1.0)
        second_order = self.back and order_at(self.adaptation.order, *at) == 2
        self.walking = self.walks.begin(batch, second_order, weights)

    @property
    def goes_on(self) -> bool:
        """Whether an iteration is left."""
        return self.trainers[0].iteration < self.trainers[0].iterations

    def finish(self) -> None:
        """Finishes the walk that was begun."""
        if self.walking is not None:
            self.walking.finish()
            self.walking = None

    def move(self, computing: AbstractContextManager[None]) -> list[Outcome]:
        """The outer step of each, of the walk that is finished; a trainer whose numbers went bad does not
        move, and must leave. Where it only computes, `computing` is entered."""
        first = self.trainers[0]
        with computing:
            rate = outer_rate(self.outer, first.iteration, first.iterations)
            ordinary = self.plain and self._sound(rate)
            numbers = range(len(self.trainers))
            recorded = ordinary and first.records(first.iteration + 1)
            records = [self._recorded(number) if recorded else NOTHING for number in numbers]
        if not ordinary:
            return [self._alone(number) for number in numbers]
        self.optimizer.step(self.gradients, rate)
        moved = zip(self.trainers, records, strict=True)
        return [trainer.moved(record, norm, rate) for trainer, (record, norm) in moved]

    def _place(self, iteration: int) -> None:
        """Tells the kernels what each seed's walks begin with."""
        begun = [
            rule.begun(trainer.learner.meta_parameters, self.batches.of(number, iteration))
            for number, (rule, trainer) in enumerate(zip(self.rules, self.trainers, strict=True))
        ]
        if self.walks is None:
            core = self.rules[0].core(begun[0], self.batches.of(0, iteration), self.adaptation.steps)
            assert core is not None
            steps, groups = self.adaptation.steps, len(self.trainers)
            own, batch = core.placed(begun[0])[1], self.batches.all_of(iteration)
            self.walks = GroupWalks(core, groups, batch, steps, self.back, own, self.threads)
            self.gradients = [found.gradient for found in self.walks.found]
        rates = zip(self.rules, self.trainers, strict=True)
        self.walks.place(begun, [rule.rates(each.learner.meta_parameters) for rule, each in rates])
        self.begun = begun

    def _sound(self, rate: float) -> bool:
        """Whether all seeds' losses and slopes are such that each may simply step."""
        assert self.walks is not None
        told = list(self.walks.desk.told)
        return all(map(isfinite, told)) and rate * max(1.0, *told[::2]) < ORDINARY

    @torch.no_grad()
    def _recorded(self, number: int) -> Recorded:
        """What one of them records of this iteration, and its slope's norm."""
        trainer, tasks = self.trainers[number], self.batches.of(number, self.trainers[number].iteration)
        seen = trainer.seen([self._seen(number, tasks)], tasks, tasks)
        return seen.record(), gradient_norm(seen.gradient)

    @torch.no_grad()
    def _alone(self, number: int) -> Outcome:
        """The iteration of one of them from its own part of what was found, as it does it alone."""
        trainer, tasks = self.trainers[number], self.batches.of(number, self.trainers[number].iteration)
        seen = trainer.seen([self._seen(number, tasks)], tasks, tasks)
        try:
            return trainer.advance(seen, gradient_norm(seen.gradient))
        except Diverged as fault:
            return fault

    def _seen(self, number: int, tasks: Episodes) -> MetaGradient:
        """One seed's part of the walks, on its tasks."""
        assert self.walks is not None
        trainer, rule, found = self.trainers[number], self.rules[number], self.walks.found[number]
        parameters = trainer.learner.meta_parameters
        seen = rule.seen(self.walks.core, found, self.begun[number], parameters, tasks, self.back)
        return seen if self.back else interpolated(seen, parameters)


def _rule_of(trainer: Trainer) -> WholeWalks:
    rule = trainer.rule
    assert isinstance(rule, GradientRule) and rule.whole is not None
    return rule.whole
