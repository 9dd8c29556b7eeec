"""One iteration of training as work that a graph can hold: it reads and writes tensors that stay where they
are, and asks the device nothing.

Where a loss, a gradient or a step is not sound the iteration changes nothing, and none after it does, until
the host comes by (`halted`).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from engine.adaptation import MetaGradient, meta_gradient
from engine.adaptation.apply_head import head_scale
from engine.adaptation.chain import Weight
from engine.adaptation.losses import task_metric
from engine.adaptation.rates import mean_rates
from engine.captured.ring import Ring
from engine.divergence import RECKLESS
from engine.models import Parameters
from engine.outer.interpolate import interpolation
from engine.outer.joint import joint_gradient
from engine.outer.schedule import order_at, outer_rate, step_weights
from engine.portions import joined, mean_gradient, query_losses, walks
from engine.tasks.episodes import Episodes
from engine.training import Trainer

AHEAD = 1024
"""Iterations whose rates and weights lie on the device."""
MOVED, RATE, OF_TASKS = "moved ", "rate ", "of tasks "
"""What the numbers of a row are called: moves of layers, learned rates, means over tasks."""


class Form(NamedTuple):
    """What decides which kernels an iteration launches: iterations of one form share a graph."""

    second_order: bool
    counts: tuple[bool, ...]
    """Of the query losses after steps 1..k, which have a weight; none where the last alone counts."""
    recorded: bool
    tasks_at_once: int


class Computed(NamedTuple):
    """What an iteration computes before it changes anything; `row` is what its record says of it."""

    gradient: Parameters
    loss: Tensor
    row: dict[str, Tensor]
    remember: Callable[[], None]


class Recipe:
    """The iterations of a trainer, on the trainer's own parameters, moments and what it keeps."""

    def __init__(self, trainer: Trainer) -> None:
        learner = trainer.learner
        self.trainer, self.learner, self.rule = trainer, learner, trainer.rule
        self.spec, self.device = learner.spec, learner.device
        self.done = torch.zeros((), dtype=torch.int64, device=self.device)
        """Iterations done: the device's own count, from which it draws the tasks."""
        self.halted = torch.zeros((), dtype=torch.float32, device=self.device)
        """1 once an iteration was not sound."""
        # CUDA's fused optimizers read a rate in float32.
        exact = torch.float32 if self.device.type == "cuda" else torch.float64
        self.rates = torch.zeros(AHEAD, dtype=exact, device=self.device)
        self.weights = torch.zeros(AHEAD, max(self.rule.steps, 1), dtype=torch.float64, device=self.device)
        self.ring = Ring(self.device)
        self._scheduled = -1

    def form(self, iteration: int, recorded: bool) -> Form:
        """The form of an iteration (from 0)."""
        adaptation, at = self.spec.adaptation, (iteration, self.trainer.iterations)
        if self.spec.outer.rule != "meta-gradient":
            return Form(False, (), recorded, self.trainer.tasks_at_once)
        counts = tuple(weight != 0.0 for weight in step_weights(adaptation, *at))
        return Form(order_at(adaptation.order, *at) == 2, counts, recorded, self.trainer.tasks_at_once)

    def schedule(self, iteration: int) -> None:
        """Brings the device the rates and weights of an iteration (from 0), if they are not there."""
        block = iteration // AHEAD
        if block == self._scheduled:
            return
        total = self.trainer.iterations
        numbers = range(block * AHEAD, min((block + 1) * AHEAD, total))
        rates = torch.tensor([outer_rate(self.spec.outer, i, total) for i in numbers], dtype=self.rates.dtype)
        self.rates[: len(rates)].copy_(rates)
        steps = [step_weights(self.spec.adaptation, i, total) for i in numbers]
        # Where no weights are left, the forms of those iterations ask for none.
        blank = (0.0,) * self.weights.shape[1]
        weights = torch.tensor([row or blank for row in steps], dtype=torch.float64)
        self.weights[: len(weights)].copy_(weights)
        self._scheduled = block

    def stand(self, iteration: int) -> None:
        """Puts the device's count where the host's is, with nothing unsound so far."""
        self.done.fill_(iteration)
        self.halted.zero_()

    def iterate(self, form: Form) -> None:
        """One iteration; a recorded one writes a row into the ring. Where `halted` is 1 no more changes."""
        place = (self.done % AHEAD).view(1)
        rate = self.rates.index_select(0, place).squeeze(0)
        seen = self._joint() if self.spec.outer.rule == "joint" else self._episodes(form, place)
        norm = torch.linalg.vector_norm(torch.cat([each.flatten() for each in seen.gradient.values()]))
        sound = torch.isfinite(seen.loss) & torch.isfinite(norm) & (rate * norm.clamp(min=1) <= RECKLESS)
        self.halted.copy_(torch.maximum(self.halted, (~sound).to(self.halted.dtype)))
        self._keep(seen.remember)
        assert self.trainer.optimizer is not None
        self.trainer.optimizer.guarded_step(seen.gradient, rate, self.halted)
        if form.recorded:
            learned = mean_rates(self.spec.adaptation, self.learner.meta_parameters)
            first = {"iteration": self.done + 1, "halted": self.halted, "loss": seen.loss, "norm": norm}
            self.ring.write(first | seen.row | {RATE + name: rates for name, rates in learned.items()})
        self.done.add_((1 - self.halted).to(self.done.dtype))

    def _index(self) -> Tensor:
        """The numbers of this iteration's tasks or examples in their stream."""
        size = self.trainer.size
        return self.done * size + torch.arange(size, device=self.device)

    def _episodes(self, form: Form, place: Tensor) -> Computed:
        tasks = self.learner.tasks.episodes("train", self._index())
        with self.trainer.arithmetic:
            portions = walks(self._walk(form, place), tasks, form.tasks_at_once)
        row: dict[str, Tensor] = {}
        if form.recorded:
            measured, moves = self.trainer.measured(tasks, portions)
            row = {OF_TASKS + name: each.mean(0) for name, each in measured.items()}
            row |= {MOVED + name: each for name, each in moves.items()}

        def remember() -> None:
            if self.learner.kept:
                last = self.rule.remembered(joined([walk.states[-1] for walk in portions]))
                self.rule.remember(last, tasks)

        return Computed(mean_gradient(portions), query_losses(portions).mean(), row, remember)

    def _walk(self, form: Form, place: Tensor) -> Callable[[Episodes], MetaGradient]:
        parameters = self.learner.meta_parameters
        if self.spec.outer.rule == "interpolate":
            return partial(interpolation, self.rule, parameters)
        live = self.weights.index_select(0, place).squeeze(0).unbind()
        weights: list[Weight] = [live[at] if counts else 0.0 for at, counts in enumerate(form.counts)]
        return partial(
            meta_gradient,
            self.rule,
            parameters,
            second_order=form.second_order,
            constant_memory=self.spec.adaptation.constant_memory,
            weights=weights,
        )

    def _joint(self) -> Computed:
        learner, kind = self.learner, self.learner.tasks.kind
        examples = learner.tasks.examples(self._index())
        observed = self.rule.norms.observed_in_training()
        scale = head_scale(self.spec.model)
        with self.trainer.arithmetic:
            gradient, loss, outputs = joint_gradient(
                learner.body, kind, learner.meta_parameters, examples, observed, scale
            )
        row = {"metric": task_metric(kind, outputs, examples.y).mean()}
        return Computed(gradient, loss, row, self.rule.norms.keep)

    @torch.no_grad()
    def _keep(self, remember: Callable[[], None]) -> None:
        """What outlives the tasks, unless the training is halted."""
        before = {name: tensor.clone() for name, tensor in self.learner.kept.items()}
        remember()
        for name, tensor in self.learner.kept.items():
            tensor.copy_(torch.where(self.halted > 0, before[name], tensor))
