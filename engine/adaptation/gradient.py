"""Gradient descent on the support set: the inner loop of MAML (Finn 2017) and its relatives."""

from fnmatch import fnmatchcase

import torch
from torch import Tensor

from engine.adaptation.heads import BIAS, HEAD, WEIGHT, StoredHeads, head_start
from engine.adaptation.losses import Kind, task_loss
from engine.adaptation.query import query_features
from engine.adaptation.rule import State
from engine.models import Body, Parameters
from engine.models.blocks import WHOLE_BATCH, linear
from engine.presets.schema import Adaptation
from engine.tasks.episodes import Episodes


def adapted_names(names: list[str], parameters: str | tuple[str, ...]) -> list[str]:
    """Which of the parameters `names` adapt: all, head, body, or those that match a pattern."""
    if parameters == "all":
        return names
    if parameters == "head":
        return [n for n in names if n in HEAD]
    if parameters == "body":
        return [n for n in names if n not in HEAD]
    return [n for n in names if any(fnmatchcase(n, pattern) for pattern in parameters)]


class GradientRule:
    """θ[j+1] = θ[j] − rate · ∇ support loss(θ[j]), for the parameters that adapt; the others stay shared.

    The state holds what adapts and, where each task's head is made for it, the head.
    """

    shows_steps = True

    def __init__(
        self,
        body: Body,
        adaptation: Adaptation,
        kind: Kind,
        outputs: int,
        statistics: str = "query",
        stored: StoredHeads | None = None,
    ) -> None:
        self.body, self.adaptation, self.kind, self.outputs = body, adaptation, kind, outputs
        self.statistics, self.stored = statistics, stored
        self.steps = adaptation.steps

    def start(self, meta_parameters: Parameters, task: Episodes) -> State:
        """The learned initialisation, one copy a task, and the head as `adaptation.head` says."""
        tasks = len(task.indices)
        learned_head = self.adaptation.head == "learned"
        names = [n for n in meta_parameters if learned_head or n not in HEAD]
        adapted = adapted_names(names, self.adaptation.parameters)
        state = {n: meta_parameters[n].expand(tasks, *meta_parameters[n].shape) for n in adapted}
        if learned_head:
            return state
        features = None
        if self.adaptation.head == "means":
            features = self.body(meta_parameters, task.support_x, WHOLE_BATCH)
        size = self.body.feature_size
        like = task.support_x
        head = head_start(
            self.adaptation.head,
            task,
            self.outputs,
            size,
            like,
            features,
            self.stored,
            self.adaptation.new_head,
        )
        return state | head

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """One step of gradient descent on the whole support set."""
        adapted = adapted_names(list(state), self.adaptation.parameters)
        with torch.enable_grad():
            leaves = state if second_order else {n: t.detach().requires_grad_() for n, t in state.items()}
            shared = meta_parameters if second_order else {n: p.detach() for n, p in meta_parameters.items()}
            losses = self.support_loss(leaves, shared, task)
            gradients = torch.autograd.grad(
                losses.sum(), [leaves[n] for n in adapted], create_graph=second_order, materialize_grads=True
            )
        rate = self.adaptation.learning_rate
        moved = {n: torch.sub(state[n], g, alpha=rate) for n, g in zip(adapted, gradients, strict=True)}
        return state | moved, losses.detach()

    def support_loss(self, state: State, meta_parameters: Parameters, task: Episodes) -> Tensor:
        """Cross-entropy or squared error `[T]` on the support set, normalised by the support set's own
        statistics."""
        parameters = meta_parameters | state
        features = self.body(parameters, task.support_x, WHOLE_BATCH)
        outputs = linear(features, parameters[WEIGHT], parameters[BIAS])
        return task_loss(self.kind, outputs, task.support_y, self.adaptation.loss_reduction)

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes) -> Tensor:
        """Outputs `[T, Q, O]` for the query set."""
        parameters = meta_parameters | state
        features = query_features(self.body, parameters, task, self.statistics)
        return linear(features, parameters[WEIGHT], parameters[BIAS])

    def remember(self, state: State, task: Episodes) -> None:
        """Writes adapted heads back into the table, if there is one."""
        if self.stored is not None:
            self.stored.write(task.identity, state)
