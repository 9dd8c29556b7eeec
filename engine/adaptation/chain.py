"""The walk along a rule's chain, forwards and backwards.

The meta-gradient is pulled back through one step at a time: from v = ∂L/∂s[j+1], one vector-Jacobian product
of U gives ∂L/∂s[j] and a share of ∂L/∂φ. No graph spans two steps, so the norm of v at each step is there to
be shown.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.adaptation.losses import Kind, task_loss, task_metric
from engine.adaptation.rule import Rule, State
from engine.models import Parameters
from engine.tasks.episodes import Episodes


class MetaGradient(NamedTuple):
    """∂L/∂φ by name, L the query loss meaned over tasks, and what the walk saw.

    `support_loss [T, k]` before each step, `query_loss [T]` at the end, `norms [T, k]`: the norm of each
    task's own ∂L/∂s after steps 1..k. `states` are s[0..k], detached.
    """

    gradient: Parameters
    support_loss: Tensor
    query_loss: Tensor
    norms: Tensor
    states: list[State]


class Link(NamedTuple):
    """One step of the chain: from state `entering` to `leaving`, with its graph unless it was a glance.

    The first link begins with the rule's start, the last ends with the query loss `[T]`, so that one step
    needs one graph; a chain of no steps is one link. ∂L/∂s[k] is seen there on the way: a rule that would
    change it (clipping at each step) needs the query loss in a link of its own.
    """

    entering: State
    leaving: State
    support_loss: Tensor | None
    query_loss: Tensor | None


def meta_gradient(
    rule: Rule,
    kind: Kind,
    meta_parameters: Parameters,
    task: Episodes,
    second_order: bool,
    constant_memory: bool,
) -> MetaGradient:
    """∂/∂φ of the mean query loss after the rule's k steps, for all T tasks at once (Finn 2017, equation 1).

    With `constant_memory` each link is made anew on the way back, so that one graph is alive at a time.
    """
    walk = Walk(rule, kind, meta_parameters, task, second_order)
    walk.forward(constant_memory)
    gradient, norms = walk.back()
    query_loss = walk.query_loss.detach()
    none = query_loss.new_zeros(len(query_loss), 0)
    return MetaGradient(
        {n: gradient[n] if n in gradient else torch.zeros_like(p) for n, p in meta_parameters.items()},
        torch.stack(walk.support_losses, 1) if walk.support_losses else none,
        query_loss,
        torch.stack(norms, 1) if norms else none,
        walk.states,
    )


class Walk:
    """A rule's chain on a batch of tasks, once forwards and once back."""

    def __init__(
        self, rule: Rule, kind: Kind, meta_parameters: Parameters, task: Episodes, second_order: bool
    ) -> None:
        self.rule, self.kind, self.task, self.second_order = rule, kind, task, second_order
        self.shared = _leaves(meta_parameters)
        self.last = max(rule.steps, 1) - 1
        self.links: list[Link | None] = []
        self.states: list[State] = []
        self.support_losses: list[Tensor] = []
        self.query_loss: Tensor

    def link(self, number: int, state: State) -> Link:
        """Link `number` (from 0) with its graph, from a state without one."""
        rule, shared, task = self.rule, self.shared, self.task
        with torch.enable_grad():
            entering = _leaves(state) if number else _attached(rule.start(shared, task))
            leaving, support_loss, query_loss = entering, None, None
            if rule.steps:
                leaving, support_loss = rule.step(entering, shared, task, number, self.second_order)
            if number == self.last:
                # What the step hands on as it is becomes a tensor of its own, to be differentiated by alone.
                leaving = {n: t.view_as(t) if t is entering.get(n) else t for n, t in leaving.items()}
                query_loss = task_loss(self.kind, rule.predict(leaving, shared, task), task.query_y)
        return Link(entering, leaving, support_loss, query_loss)

    @torch.no_grad()
    def glance(self, number: int, state: State) -> Link:
        """The same states and support loss without a graph; never of the last link."""
        entering = state if number else self.rule.start(self.shared, self.task)
        leaving, support_loss = self.rule.step(entering, self.shared, self.task, number, second_order=False)
        return Link(entering, leaving, support_loss, None)

    def forward(self, constant_memory: bool) -> None:
        """Goes to the query loss; keeps states and losses, and links that need not be made anew."""
        for number in range(self.last + 1):
            graphless = constant_memory and number < self.last
            make = self.glance if graphless else self.link
            seen = make(number, self.states[-1] if number else {})
            self.links.append(None if graphless else seen)
            if number == 0:
                self.states.append(_detached(seen.entering))
            if seen.support_loss is not None:
                self.states.append(_detached(seen.leaving))
                self.support_losses.append(seen.support_loss.detach())
            if seen.query_loss is not None:
                self.query_loss = seen.query_loss

    def back(self) -> tuple[Parameters, list[Tensor]]:
        """∂L/∂φ (zeros left out), and the norms `[T]` of each task's ∂L/∂s after steps 1..k."""
        tasks = len(self.query_loss)
        vector = {"loss": torch.full_like(self.query_loss, 1 / tasks)}
        gradient: Parameters = {}
        norms: list[Tensor] = []
        for number in reversed(range(self.last + 1)):
            there = self.links[number] or self.link(number, self.states[number])
            self.links[number] = None
            entering = there.entering if number else {}
            if number == self.last:
                watched = there.leaving if self.rule.steps else {}
                outputs = {"loss": self.query_loss}
                of_leaving, vector, share = _product(outputs, vector, (watched, entering, self.shared))
                norms += [_norms(of_leaving, self.query_loss)] if self.rule.steps else []
            else:
                norms.insert(0, _norms(vector, self.query_loss))
                vector, share = _product(there.leaving, vector, (entering, self.shared))
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


@torch.no_grad()
def probe(
    rule: Rule, kind: Kind, meta_parameters: Parameters, task: Episodes, state: State
) -> tuple[Tensor, Tensor]:
    """Query loss and metric `[T]` of a state, without a graph."""
    outputs = rule.predict(state, meta_parameters, task)
    return task_loss(kind, outputs, task.query_y), task_metric(kind, outputs, task.query_y)
