"""The walk along a rule's chain, forwards and backwards.

The meta-gradient is pulled back through one step at a time: from v = ∂L/∂s[j+1], one vector-Jacobian product
of U gives ∂L/∂s[j] and a share of ∂L/∂φ. No graph spans two steps, so the norm of v at each step is there to
be shown.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.adaptation.rule import Rule, State
from engine.models import Parameters
from engine.tasks.episodes import Episodes

_LOSS = "query loss"
Weight = float | Tensor
"""A query loss's weight: a number, or one on the device (float64, without axes) that nobody here looks at."""


class MetaGradient(NamedTuple):
    """∂L/∂φ by name, L the query loss meaned over tasks, and what the walk saw.

    `support_loss [T, k]` before each step, `query_loss [T]` at the end, `norms [T, k]`: the norm of each
    task's own ∂L/∂s after steps 1..k. `states` are s[0..k], detached.
    """

    gradient: Parameters
    support_loss: Tensor
    query_loss: Tensor
    norms: Tensor
    states: Sequence[State]


class Link(NamedTuple):
    """One step of the chain: from state `entering` to `leaving`, with its graph unless it was a glance.

    The first link begins with the rule's start, and a link whose step the loss counts ends with the query
    loss `[T]` after it, so that one step needs one graph; a chain of no steps is one link. ∂L/∂s after the
    step is seen there on the way: a rule that would change it (clipping at each step) needs the query loss in
    a link of its own.
    """

    entering: State
    leaving: State
    support_loss: Tensor | None
    query_loss: Tensor | None


def meta_gradient(
    rule: Rule,
    meta_parameters: Parameters,
    task: Episodes,
    second_order: bool,
    constant_memory: bool,
    weights: Sequence[Weight] = (),
) -> MetaGradient:
    """∂/∂φ of the mean query loss after the rule's k steps, for all T tasks at once (Finn 2017, equation 1).

    With `weights`, of the losses after steps 1..k weighted so and added up (Antoniou 2019, equation 4). With
    `constant_memory` each link is made anew on the way back, so that one graph is alive at a time.
    """
    known = [weight for weight in weights if not isinstance(weight, Tensor)]
    no_tensors = len(known) == len(weights)
    if no_tensors and (whole := rule.whole_walk(meta_parameters, task, second_order, known)) is not None:
        return whole
    walk = Walk(rule, meta_parameters, task, second_order, weights)
    walk.forward(constant_memory)
    gradient, norms = walk.back()
    return MetaGradient(
        {n: gradient[n] if n in gradient else torch.zeros_like(p) for n, p in meta_parameters.items()},
        walk.seen_losses(),
        walk.query_loss,
        torch.stack(norms, 1) if norms else walk.query_loss.new_zeros(len(walk.query_loss), 0),
        walk.states,
    )


@torch.no_grad()
def follow(rule: Rule, meta_parameters: Parameters, task: Episodes) -> MetaGradient:
    """The rule's chain without a graph and without a gradient: what an outer rule that takes none sees."""
    if (whole := rule.whole_walk(meta_parameters, task, second_order=False, weights=None)) is not None:
        return whole
    walk = Walk(rule, meta_parameters, task, second_order=False)
    walk.forward(constant_memory=True, graphless=True)
    loss = walk.query_loss
    return MetaGradient({}, walk.seen_losses(), loss, loss.new_zeros(len(loss), 0), walk.states)


class Walk:
    """A rule's chain on a batch of tasks, once forwards and once back.

    `weights` are those of the query losses after steps 1..k; none: the last alone counts.
    """

    def __init__(
        self,
        rule: Rule,
        meta_parameters: Parameters,
        task: Episodes,
        second_order: bool,
        weights: Sequence[Weight] = (),
    ) -> None:
        self.rule, self.task, self.second_order = rule, task, second_order
        self.shared = _leaves(meta_parameters)
        self.last = max(rule.steps, 1) - 1
        self.weights = tuple(weights) or (*(0.0 for _ in range(self.last)), 1.0)
        self.links: list[Link | None] = []
        self.states: list[State] = []
        self.support_losses: list[Tensor] = []
        self.query_loss: Tensor

    def seen_losses(self) -> Tensor:
        """The support losses `[T, k]`, each from before its step."""
        none = self.query_loss.new_zeros(len(self.query_loss), 0)
        return torch.stack(self.support_losses, 1) if self.support_losses else none

    def link(self, number: int, state: State) -> Link:
        """Link `number` (from 0) with its graph, from a state without one."""
        rule, shared, task = self.rule, self.shared, self.task
        with torch.enable_grad():
            entering = _leaves(state) if number else _attached(rule.start(shared, task))
            leaving, support_loss, query_loss = entering, None, None
            if rule.steps:
                leaving, support_loss = rule.step(entering, shared, task, number, self.second_order)
            if _counts(self.weights[number]):
                # What the step hands on as it is becomes a tensor of its own, to be differentiated by alone.
                leaving = {n: t.view_as(t) if t is entering.get(n) else t for n, t in leaving.items()}
                query_loss = rule.query_loss(leaving, shared, task, number + 1 if rule.steps else 0)
        return Link(entering, leaving, support_loss, query_loss)

    @torch.no_grad()
    def glance(self, number: int, state: State) -> Link:
        """The same states and losses without a graph."""
        rule, shared, task = self.rule, self.shared, self.task
        entering = state if number else rule.start(shared, task)
        leaving, support_loss, query_loss = entering, None, None
        if rule.steps:
            leaving, support_loss = rule.step(entering, shared, task, number, second_order=False)
        if _counts(self.weights[number]):
            query_loss = rule.query_loss(leaving, shared, task, number + 1 if rule.steps else 0)
        return Link(entering, leaving, support_loss, query_loss)

    def forward(self, constant_memory: bool, graphless: bool = False) -> None:
        """Goes to the last query loss; keeps states and losses, and links that need not be made anew (none,
        where the way back is not gone: `graphless`)."""
        self.rule.norms.observing = self.rule.norms.training
        for number in range(self.last + 1):
            glanced = graphless or (constant_memory and number < self.last)
            seen = (self.glance if glanced else self.link)(number, self.states[-1] if number else {})
            self.links.append(None if glanced else seen)
            if number == 0:
                self.states.append(_detached(seen.entering))
            if seen.support_loss is not None:
                self.states.append(_detached(seen.leaving))
                self.support_losses.append(seen.support_loss.detach())
        self.rule.norms.observing = False
        assert seen.query_loss is not None
        self.query_loss = seen.query_loss.detach()

    def back(self) -> tuple[Parameters, list[Tensor]]:
        """∂L/∂φ (zeros left out), and the norms `[T]` of each task's ∂L/∂s after steps 1..k."""
        tasks = len(self.query_loss)
        vector: State = {}
        gradient: Parameters = {}
        norms: list[Tensor] = []
        for number in reversed(range(self.last + 1)):
            there = self.links[number] or self.link(number, self.states[number])
            self.links[number] = None
            entering = there.entering if number else {}
            outputs = dict(there.leaving) if vector else {}
            watched: State = {}
            if there.query_loss is not None:
                outputs[_LOSS] = there.query_loss
                vector = vector | {_LOSS: _spread(self.weights[number] / tasks, self.query_loss)}
                watched = there.leaving if self.rule.steps else {}
            of_leaving, of_entering, share = _product(outputs, vector, (watched, entering, self.shared))
            if self.rule.steps:
                norms.insert(0, _norms(of_leaving if watched else vector, self.query_loss))
            vector = of_entering
            for name, part in share.items():
                gradient[name] = gradient[name] + part if name in gradient else part
            # Its graph goes before the next one is made.
            del there
        return gradient, norms


def _product(
    outputs: dict[str, Tensor], vector: dict[str, Tensor], wanted: tuple[dict[str, Tensor], ...]
) -> list[dict[str, Tensor]]:
    """The vector-Jacobian product: ∂L/∂outputs in, ∂L/∂wanted out; what is zero is left out."""
    names = [n for n, output in outputs.items() if output.requires_grad and n in vector]
    inputs = [(at, n, t) for at, group in enumerate(wanted) for n, t in group.items() if t.requires_grad]
    found: list[dict[str, Tensor]] = [{} for _ in wanted]
    if names and inputs:
        pulled = torch.autograd.grad(
            [outputs[n] for n in names],
            [t for _, _, t in inputs],
            [vector[n] for n in names],
            allow_unused=True,
        )
        for (at, name, _), gradient in zip(inputs, pulled, strict=True):
            if gradient is not None:
                found[at][name] = gradient
    return found


def _counts(weight: Weight) -> bool:
    return isinstance(weight, Tensor) or weight != 0.0


def _spread(weight: Weight, like: Tensor) -> Tensor:
    if isinstance(weight, Tensor):
        return weight.to(like.dtype).expand_as(like)
    return torch.full_like(like, weight)


def _leaves(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: t.detach().requires_grad_(t.is_floating_point()) for n, t in tensors.items()}


def _attached(state: State) -> State:
    """A start of which every part can be differentiated by, also one that no meta-parameter gives."""
    constants = {n: t for n, t in state.items() if not t.requires_grad}
    return state | _leaves(constants)


def _detached(state: State) -> State:
    return {n: t.detach() for n, t in state.items()}


def _norms(vector: State, query_loss: Tensor) -> Tensor:
    """The norm `[T]` of each task's ∂L_task/∂s: the mean over tasks in L is undone."""
    if not vector:
        return torch.zeros_like(query_loss.detach())
    flat = torch.cat([v.flatten(1) for v in vector.values()], 1)
    return torch.linalg.vector_norm(flat, dim=1) * len(query_loss)
