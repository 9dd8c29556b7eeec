"""Training: one outer iteration at a time, and validation between them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from functools import partial
from itertools import islice
from math import isfinite
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.adaptation import MetaGradient, meta_gradient, probed
from engine.adaptation.apply_head import head_scale
from engine.adaptation.losses import task_metric
from engine.adaptation.movement import added, shown
from engine.adaptation.rates import shown_rates
from engine.curves import curves
from engine.divergence import Diverged, is_reckless, not_finite
from engine.errors import RequestError
from engine.evaluation import asked_steps, scores
from engine.learner import Learner
from engine.models import Parameters
from engine.outer.interpolate import interpolation
from engine.outer.joint import joint_gradient
from engine.outer.optimizer import OuterOptimizer
from engine.outer.schedule import order_at, outer_rate, step_weights
from engine.portions import joined, mean_gradient, query_losses, walks
from engine.precision import arithmetic
from engine.presets import validation_adaptation
from engine.presets.schema import KEPT_BEST
from engine.ranks.alone import Ranks
from engine.statistics import mean_over_episodes
from engine.tasks import training_shape
from engine.tasks.episodes import Episodes
from engine.tasks.sine import Sine
from engine.tasks.stream import TrainingStream

FITS_PER_VALIDATION, FIT_PAUSE, FIT_POINTS = 5, 50, 61
"""An inner step of a fit costs about as much as an iteration of joint training: so many iterations for each
keep fits below a fiftieth of the time."""


class Best(NamedTuple):
    """The best validation so far."""

    step: int
    value: float


class Seen(NamedTuple):
    """What one iteration computed, before anything is changed by it.

    `record()` is what a `train` event says; `remember()` keeps what outlives the tasks.
    """

    gradient: Parameters
    loss: float
    record: Callable[[], dict[str, Any]]
    remember: Callable[[], None]


class Trainer:
    """The outer loop of a learner; `iteration` is how many iterations are done, and so the place in the task
    stream.

    Of `ranks` that share each batch every one has a trainer, and all make the same calls in the same order.
    """

    def __init__(self, learner: Learner, ranks: Ranks | None = None) -> None:
        self.learner, self.spec = learner, learner.spec
        self.ranks = Ranks() if ranks is None else ranks
        trains = self.spec.outer.rule != "none"
        self.optimizer = OuterOptimizer(self.spec.outer, learner.meta_parameters) if trains else None
        self.iteration = 0
        self.bests: list[Best] = []
        """The best validations so far whose checkpoints are kept, the best first."""
        self.tasks_at_once = learner.tasks_at_once
        self.notes: list[str] = []
        self.late: list[dict[str, Any]] = []
        """Records of iterations that `step` did not return, as it did not wait for them."""
        self.computing: AbstractContextManager[None] = nullcontext()
        """Entered where a step only computes, and nothing of the training changes."""
        self.arithmetic = arithmetic(self.spec.training.precision, learner.device)
        """Entered where the passes of training are computed, and no others."""
        joint = self.spec.outer.rule == "joint"
        size = examples_per_batch(learner) if joint else self.spec.training.tasks_per_batch
        self.size = size
        """Tasks (in joint training: examples) of a batch, over all ranks."""
        self.stream = TrainingStream(learner.tasks, size)
        self.rule = learner.training_rule()
        self.rule.norms.merged = partial(self.ranks.mean, size=size)

    @property
    def best(self) -> Best | None:
        """The best validation so far."""
        return self.bests[0] if self.bests else None

    @property
    def iterations(self) -> int:
        """How many iterations the spec asks for; none for a rule that does not train."""
        return 0 if self.spec.outer.rule == "none" else self.spec.training.iterations

    def records(self, number: int) -> bool:
        """Whether iteration `number` (from 1) is recorded."""
        return number % self.spec.training.record_every == 0 or number in (1, self.iterations)

    def step(self) -> dict[str, Any] | None:
        """One iteration; every `record_every` (and the first), what it saw, as a `train` event's fields.

        Raises:
            Diverged: loss, gradient or a parameter is not finite; the parameters are still those from before
                the iteration.
        """
        joint = self.spec.outer.rule == "joint"
        with self.computing:
            with self.arithmetic:
                seen = self._joint() if joint else self._episodes()
            norm = gradient_norm(seen.gradient)
        return self.advance(seen, norm)

    def advance(self, seen: Seen, norm: float) -> dict[str, Any] | None:
        """The outer step of an iteration that has seen its batch, its slope of this norm; as `step`."""
        number = self.iteration + 1
        recorded, gradient, loss = self.records(number), seen.gradient, seen.loss
        if not (isfinite(loss) and isfinite(norm)):
            raise Diverged(number, "loss" if not isfinite(loss) else "gradient")
        with self.computing:
            record = seen.record() if recorded else None
        rate = outer_rate(self.spec.outer, self.iteration, self.iterations)
        before = self.copied() if is_reckless(rate, norm) else None
        seen.remember()
        assert self.optimizer is not None
        self.optimizer.step(gradient, rate)
        if before is not None and (broken := not_finite(self.learner.meta_parameters)):
            self.load(before)
            raise Diverged(number, "parameters", broken)
        return self.moved(record, norm, rate)

    def moved(self, record: dict[str, Any] | None, norm: float, rate: float) -> dict[str, Any] | None:
        """Counts an iteration whose outer step, of this rate, is taken; the whole record of it, where one was
        begun."""
        self.iteration += 1
        if record is not None:
            rates = {"outer": rate, **shown_rates(self.spec.adaptation, self.learner.meta_parameters)}
            record |= {"step": self.iteration, "gradient_norm": norm, "rates": rates}
        return record

    def _joint(self) -> Seen:
        learner, kind = self.learner, self.learner.tasks.kind
        examples = self.stream.examples(self.iteration).columns(*self.ranks.own(self.size))
        try:
            observed = self.rule.norms.observed_in_training()
            gradient, own, outputs = joint_gradient(
                learner.body, kind, learner.meta_parameters, examples, observed, head_scale(self.spec.model)
            )
        except torch.OutOfMemoryError:
            # Portions would be normalised by other statistics: it would be another training.
            batch = examples.x.shape[1]
            raise RequestError(
                f"the device's memory does not hold {batch:,} examples; give fewer with "
                f"training.examples_per_batch"
            ) from None
        gradient, loss = self.ranks.merged(gradient, own.item(), self.size)

        def record() -> dict[str, Any]:
            metric = self.ranks.mean([task_metric(kind, outputs, examples.y).mean()], self.size)[0]
            return {"outer_loss": loss, "joint_metric": metric.item()}

        return Seen(gradient, loss, record, self.rule.norms.keep)

    def _episodes(self) -> Seen:
        whole = self.stream.episodes(self.iteration)
        tasks = whole.rows(*self.ranks.own(self.size))
        while True:
            try:
                portions = walks(self.walk(), tasks, self.tasks_at_once)
                break
            except torch.OutOfMemoryError:
                self.rule.norms.forget()
                if self.tasks_at_once == 1:
                    raise
                self.tasks_at_once = (min(self.tasks_at_once, len(tasks.indices)) + 1) // 2
                self.notes.append(f"out of device memory: {self.tasks_at_once} tasks at once from here on")
        return self.seen(portions, tasks, whole)

    def seen(self, portions: list[MetaGradient], tasks: Episodes, whole: Episodes) -> Seen:
        """What the walks on the portions of this process's `tasks` come to; `whole` is the batch."""
        own = query_losses(portions).mean().item()
        gradient, loss = self.ranks.merged(mean_gradient(portions), own, self.size)

        def remember() -> None:
            # Where nothing outlives tasks there is no need of their states.
            if self.learner.kept:
                last = self.rule.remembered(joined([walk.states[-1] for walk in portions]))
                self.rule.remember(self.ranks.rows(last, self.size), whole)

        return Seen(gradient, loss, lambda: self._record(tasks, portions, loss), remember)

    def walk(self) -> Callable[[Episodes], MetaGradient]:
        """How this iteration looks at tasks: along their chain and back, or there alone."""
        rule, parameters = self.rule, self.learner.meta_parameters
        if self.spec.outer.rule == "interpolate":
            return partial(interpolation, rule, parameters)
        adaptation, at = self.spec.adaptation, (self.iteration, self.iterations)
        return partial(
            meta_gradient,
            rule,
            parameters,
            second_order=order_at(adaptation.order, *at) == 2,
            constant_memory=adaptation.constant_memory,
            weights=step_weights(adaptation, *at),
        )

    def _record(self, tasks: Episodes, portions: list[MetaGradient], loss: float) -> dict[str, Any]:
        """Support and query losses and the metric before each inner step and after the last, over tasks.

        A rule that shows no steps has one query loss and metric, and neither support losses nor norms.
        """
        own, moves = self.measured(tasks, portions)
        rows = self.ranks.rows(own, self.size)
        means = iter(torch.cat([*rows.values()], 1).mean(0).tolist())
        return self.told(loss, {n: [*islice(means, each.shape[1])] for n, each in rows.items()}, moves)

    def measured(
        self, tasks: Episodes, portions: list[MetaGradient]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Support and query losses, metrics and norms `[T, ...]` of each task, and of each layer the length
        of its start and of its ways, as `movement.lengths` has them; on the device."""
        seen, moves = [], []
        for number, walk in enumerate(portions):
            begin = number * self.tasks_at_once
            portion = tasks.rows(begin, begin + self.tasks_at_once) if len(portions) > 1 else tasks
            found = probed(self.rule, self.learner.meta_parameters, portion, walk)
            seen.append((*found[:3], walk.norms))
            moves.append(found.lengths)
        name = "accuracy" if self.learner.tasks.kind == "classes" else "error"
        names = ("support_loss", "query_loss", name, "meta_gradient_norms")
        own = {name: torch.cat(parts) for name, parts in zip(names, zip(*seen, strict=True), strict=True)}
        return own, added(moves)

    def told(self, loss: float, means: dict[str, Any], moves: dict[str, Tensor]) -> dict[str, Any]:
        """A record of means over tasks, and how far the inner loop moves each layer, from the start to the
        last step, where it moves any."""
        if not self.rule.shows_steps:
            means["meta_gradient_norms"] = []
        found = shown(moves, self.ranks.summed)
        ways = {"moved": {layer: values[-1] for layer, values in found.items()}} if found else {}
        return {"outer_loss": loss, **means, **ways}

    def settle(self) -> None:
        """Waits for whatever still computes; the records of it are in `late` then."""

    def agree(self) -> None:
        """Makes sure that all ranks hold the same numbers. Raises RequestError where they do not."""
        learner = self.learner
        self.ranks.agree([*learner.meta_parameters.values(), *learner.kept.values()], self.iteration)

    def validate(self) -> dict[str, Any]:
        """The metric after 0..k steps on validation episodes, as a `validation` event's fields; keeps the
        best."""
        adaptation, episodes = validation_adaptation(self.spec), self.spec.training.validation.episodes
        statistics = self.spec.evaluation.statistics
        steps = asked_steps(self.learner.rule(adaptation, "validation", statistics), adaptation.steps)
        self.agree()
        first, end = self.ranks.own(episodes) if episodes >= self.ranks.count else (0, episodes)
        values = scores(self.learner, adaptation, "validation", end - first, statistics, steps, first=first)
        if end - first < episodes:
            values = self.ranks.rows({"values": values}, episodes)["values"]
        intervals = [mean_over_episodes(column) for column in values.T.numpy()]
        means, widths = [i.mean for i in intervals], [i.ci95 for i in intervals]
        classes = self.learner.tasks.kind == "classes"
        value = means[-1]
        if isfinite(value):
            # Of equal ones the earlier stays ahead.
            now = Best(self.iteration, value)
            ranked = sorted([*self.bests, now], key=attrgetter("value"), reverse=classes)
            self.bests = ranked[:KEPT_BEST]
        is_best = self.best is not None and self.best.step == self.iteration
        return {"step": self.iteration, "steps": steps, "metric": means, "ci95": widths, "best": is_best}

    def fit(self) -> dict[str, Any] | None:
        """Validation episode 0 as curves after 0..k steps, as a `fit` event's fields; None at iterations
        that record none, and for tasks that are no curves.

        It draws nothing at random and changes nothing, so a training goes on to the same numbers.
        """
        if not self.fits(self.iteration):
            return None
        adaptation = validation_adaptation(self.spec)
        return {"step": self.iteration, **curves(self.learner, adaptation, "validation", 0, FIT_POINTS)}

    def fits(self, number: int) -> bool:
        """Whether iteration `number` (from 1) shows a fit."""
        if not isinstance(self.learner.tasks, Sine):
            return False
        validated, steps = self.spec.training.validation.every, validation_adaptation(self.spec).steps
        every = max(FIT_PAUSE * (steps + 1), validated // FITS_PER_VALIDATION)
        return number % every == 0 or number % validated == 0 or number in (1, self.iterations)

    def state(self) -> dict[str, Any]:
        """All that a checkpoint needs to go on to the same numbers."""
        return {
            "iteration": self.iteration,
            "meta_parameters": self.learner.meta_parameters,
            "kept": self.learner.kept,
            "optimizer": None if self.optimizer is None else self.optimizer.state(),
            "bests": [tuple(best) for best in self.bests],
            "tasks_at_once": self.tasks_at_once,
        }

    def copied(self) -> dict[str, Any]:
        """The state as it is now, whatever becomes of it."""
        return deepcopy(self.state())

    def load(self, state: dict[str, Any]) -> None:
        """Takes up a checkpoint's state."""
        load_parameters(self.learner, state)
        if self.optimizer is not None:
            self.optimizer.load(state["optimizer"])
        self.iteration = state["iteration"]
        self.bests = [Best(*best) for best in state["bests"]]
        self.tasks_at_once = state["tasks_at_once"]


def load_parameters(learner: Learner, state: dict[str, Any]) -> None:
    """Copies a checkpoint's meta-parameters, and what it kept besides, into a learner."""
    for name, parameter in learner.meta_parameters.items():
        parameter.copy_(state["meta_parameters"][name])
    for name, tensor in learner.kept.items():
        tensor.copy_(state["kept"][name])


def gradient_norm(gradient: Parameters) -> float:
    """The length of a gradient, over all its tensors."""
    return torch.linalg.vector_norm(torch.cat([each.flatten() for each in gradient.values()])).item()


def examples_per_batch(learner: Learner) -> int:
    """Examples of a batch of joint training: as many as a meta-batch has, unless the spec says otherwise."""
    training = learner.spec.training
    return training.examples_per_batch or training.tasks_per_batch * training_shape(learner.spec).examples
