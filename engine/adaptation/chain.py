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
    """One step of the chain with its graph: from state `entering` to `leaving`.

    The first link begins with the rule's start, the last ends with the query loss `[T]`; a chain of no steps
    is one link, from its start to its query loss.
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
    tasks, last = len(task.indices), max(rule.steps, 1) - 1
    shared = _leaves(meta_parameters)

    def link(number: int, state: State) -> Link:
        with torch.enable_grad():
            entering = _leaves(state) if number else _attached(rule.start(shared, task))
            leaving, support_loss, query_loss = entering, None, None
            if rule.steps:
                leaving, support_loss = rule.step(entering, shared, task, number, second_order)
            if number == last:
                # What the step hands on as it is becomes a tensor of its own, to be differentiated by alone.
                leaving = {n: t.view_as(t) if t is entering.get(n) else t for n, t in leaving.items()}
                query_loss = task_loss(kind, rule.predict(leaving, shared, task), task.query_y)
        return Link(entering, leaving, support_loss, query_loss)

    def glance(number: int, state: State) -> Link:
        with torch.no_grad():
            entering = state if number else rule.start(shared, task)
            leaving, support_loss = rule.step(entering, shared, task, number, second_order=False)
        return Link(entering, leaving, support_loss, None)

    links: list[Link | None] = []
    states: list[State] = []
    losses: list[Tensor] = []
    for number in range(last + 1):
        graphless = constant_memory and number < last
        seen = (glance if graphless else link)(number, states[-1] if states else {})
        links.append(None if graphless else seen)
        states += [_detached(seen.entering)] if number == 0 else []
        if seen.support_loss is not None:
            states.append(_detached(seen.leaving))
            losses.append(seen.support_loss.detach())

    assert seen.query_loss is not None
    query_loss = seen.query_loss
    del seen
    gradient: Parameters = {}
    outputs, vector = {"loss": query_loss}, {"loss": torch.full_like(query_loss, 1 / tasks)}
    norms: list[Tensor] = []
    for number in reversed(range(last + 1)):
        there = links[number] or link(number, states[number])
        links[number] = None
        if number < last:
            outputs = there.leaving
            norms.insert(0, _norms(vector, tasks, query_loss))
        watched = there.leaving if number == last and rule.steps else {}
        entering = there.entering if number else {}
        of_leaving, of_entering, share = _product(outputs, vector, (watched, entering, shared))
        if watched:
            norms.append(_norms(of_leaving, tasks, query_loss))
        vector = of_entering
        for name, part in share.items():
            gradient[name] = gradient[name] + part if name in gradient else part
    none = query_loss.new_zeros(tasks, 0)
    return MetaGradient(
        {n: gradient[n] if n in gradient else torch.zeros_like(p) for n, p in meta_parameters.items()},
        torch.stack(losses, 1) if losses else none,
        query_loss.detach(),
        torch.stack(norms, 1) if norms else none,
        states,
    )


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


def _norms(vector: State, tasks: int, like: Tensor) -> Tensor:
    """The norm `[T]` of each task's ∂L_task/∂s: the mean over tasks in L is undone."""
    if not vector:
        return torch.zeros_like(like.detach())
    return torch.linalg.vector_norm(torch.cat([v.flatten(1) for v in vector.values()], 1), dim=1) * tasks


@torch.no_grad()
def probe(
    rule: Rule, kind: Kind, meta_parameters: Parameters, task: Episodes, state: State
) -> tuple[Tensor, Tensor]:
    """Query loss and metric `[T]` of a state, without a graph."""
    outputs = rule.predict(state, meta_parameters, task)
    return task_loss(kind, outputs, task.query_y), task_metric(kind, outputs, task.query_y)
