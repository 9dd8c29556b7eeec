"""The walk along a rule's chain, forwards and backwards.

The meta-gradient is pulled back through one step at a time: from v = ∂L/∂s[j+1], one vector-Jacobian product
of U gives ∂L/∂s[j] and a share of ∂L/∂φ. No graph spans two steps, so the norm of v at each step is there to
be shown.
"""

from collections.abc import Callable
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


class Tape:
    """The graph of one piece of the chain: from leaves (state and φ) to its outputs."""

    def __init__(
        self,
        state: State,
        meta_parameters: Parameters,
        piece: Callable[[State, Parameters], dict[str, Tensor]],
    ) -> None:
        self.state = _leaves(state)
        self.meta_parameters = _leaves(meta_parameters)
        with torch.enable_grad():
            self.outputs = piece(self.state, self.meta_parameters)

    def pull_back(self, vector: dict[str, Tensor]) -> tuple[State, Parameters]:
        """The vector-Jacobian product with ∂L/∂outputs: ∂L/∂state and ∂L/∂φ (what was not used is left out of
        φ's)."""
        names = [n for n, output in self.outputs.items() if output.requires_grad and n in vector]
        leaves = [*self.state.values(), *self.meta_parameters.values()]
        if not names:
            return {n: torch.zeros_like(t) for n, t in self.state.items()}, {}
        pulled = torch.autograd.grad(
            [self.outputs[n] for n in names], leaves, [vector[n] for n in names], allow_unused=True
        )
        of_state = dict(zip(self.state, pulled[: len(self.state)], strict=True))
        of_meta = dict(zip(self.meta_parameters, pulled[len(self.state) :], strict=True))
        filled = {n: torch.zeros_like(self.state[n]) if g is None else g for n, g in of_state.items()}
        return filled, {n: g for n, g in of_meta.items() if g is not None}


def _leaves(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: t.detach().requires_grad_(t.is_floating_point()) for n, t in tensors.items()}


def _add(total: Parameters, share: Parameters) -> None:
    for name, gradient in share.items():
        total[name] = total[name] + gradient if name in total else gradient


def meta_gradient(
    rule: Rule,
    kind: Kind,
    meta_parameters: Parameters,
    task: Episodes,
    second_order: bool,
    constant_memory: bool,
) -> MetaGradient:
    """∂/∂φ of the mean query loss after the rule's k steps, for all T tasks at once (Finn 2017, equation 1).

    With `constant_memory` each step's tape is made anew on the way back, so that one is alive at a time.
    """
    tasks = len(task.indices)

    def tape_of(state: State, number: int) -> tuple[Tape, Tensor]:
        seen: list[Tensor] = []

        def piece(leaves: State, shared: Parameters) -> State:
            following, loss = rule.step(leaves, shared, task, number, second_order)
            seen.append(loss)
            return following

        tape = Tape(state, meta_parameters, piece)
        return tape, seen[0].detach()

    start = Tape({}, meta_parameters, lambda _, shared: rule.start(shared, task))
    states: list[State] = [_detached(start.outputs)]
    tapes: list[Tape | None] = []
    losses: list[Tensor] = []
    for number in range(rule.steps):
        if constant_memory:
            following, loss = rule.step(states[-1], meta_parameters, task, number, second_order=False)
            states.append(_detached(following))
            tapes.append(None)
        else:
            tape, loss = tape_of(states[-1], number)
            states.append(_detached(tape.outputs))
            tapes.append(tape)
        losses.append(loss.detach())

    def query(leaves: State, shared: Parameters) -> dict[str, Tensor]:
        return {"loss": task_loss(kind, rule.predict(leaves, shared, task), task.query_y)}

    end = Tape(states[-1], meta_parameters, query)
    query_loss = end.outputs["loss"]
    vector, gradient = end.pull_back({"loss": torch.full_like(query_loss, 1 / tasks)})
    norms: list[Tensor] = []
    for number in reversed(range(rule.steps)):
        norms.insert(0, _norms(vector, tasks))
        tape_then = tapes[number] or tape_of(states[number], number)[0]
        tapes[number] = None
        vector, share = tape_then.pull_back(vector)
        _add(gradient, share)
    _add(gradient, start.pull_back(vector)[1])
    none = query_loss.new_zeros(tasks, 0)
    return MetaGradient(
        {n: gradient.get(n, torch.zeros_like(p)) for n, p in meta_parameters.items()},
        torch.stack(losses, 1) if losses else none,
        query_loss.detach(),
        torch.stack(norms, 1) if norms else none,
        states,
    )


def _detached(state: State) -> State:
    return {n: t.detach() for n, t in state.items()}


def _norms(vector: State, tasks: int) -> Tensor:
    """The norm `[T]` of each task's ∂L_task/∂s: the mean over tasks in L is undone."""
    squares = torch.stack([v.flatten(1).square().sum(1) for v in vector.values()]).sum(0)
    return squares.sqrt() * tasks


@torch.no_grad()
def probe(
    rule: Rule, kind: Kind, meta_parameters: Parameters, task: Episodes, state: State
) -> tuple[Tensor, Tensor]:
    """Query loss and metric `[T]` of a state, without a graph."""
    outputs = rule.predict(state, meta_parameters, task)
    return task_loss(kind, outputs, task.query_y), task_metric(kind, outputs, task.query_y)
