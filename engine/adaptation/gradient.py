"""Gradient steps on the support set: the inner loop of MAML (Finn 2017) and its relatives."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from engine.adaptation.apply_head import apply_head, head_of, head_scale
from engine.adaptation.chain import MetaGradient
from engine.adaptation.heads import HEAD, made_head, read_heads, write_heads
from engine.adaptation.losses import task_loss
from engine.adaptation.probing import Probed
from engine.adaptation.rates import rate_of
from engine.adaptation.rule import Rule, Setting, State
from engine.adaptation.support_batches import support_batch
from engine.adaptation.updates import SECOND, STEPS, carried_start, updated
from engine.adaptation.whole import States, WholeWalks
from engine.models import Parameters
from engine.models.mlp import Mlp
from engine.paths import generic_body
from engine.presets.names import head_names
from engine.presets.schema import Adaptation
from engine.tasks.episodes import Episodes
from engine.whole_walks import no_whole_walks

ORIGIN = "origin."
"""What the start is called in the state of a linearised model."""


def adapted_names(names: Sequence[str], adaptation: Adaptation) -> list[str]:
    """Which of a model's parameters adapt: all, head, body, or those that match a pattern.

    Per-step scales and shifts are the outer loop's alone (Antoniou 2019).
    """
    if adaptation.per_step_norms:
        names = [name for name in names if not name.endswith((".scale", ".shift"))]
    return _named(list(names), adaptation.parameters)


def _named(names: list[str], parameters: str | tuple[str, ...]) -> list[str]:
    if parameters == "all":
        return names
    if parameters == "head":
        return [n for n in names if n in HEAD]
    if parameters == "body":
        return [n for n in names if n not in HEAD]
    return [n for n in names if any(fnmatchcase(n, pattern) for pattern in parameters)]


class GradientRule(Rule):
    """θ[j+1] = θ[j] − rate · ∇ support loss(θ[j]), for the parameters that adapt; the others stay shared.

    The state holds what adapts, what the update carries with it and, where each task's head is made for it,
    the head.
    """

    shows_steps = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        adaptation = self.adaptation
        if adaptation.linearised:
            self.body = generic_body(self.body)
        self.steps = adaptation.steps
        self.trains = setting.part == "train"
        self.model, self.scale = setting.model, head_scale(setting.model)
        self.adapts = adapted_names([*setting.body_names, *head_names(self.model)], adaptation)
        self.carried = self.kept if adaptation.moments == "carried" else {}
        self.whole: WholeWalks | None = None
        if isinstance(self.body, Mlp) and no_whole_walks(setting.model, adaptation) is None:
            of = (self.body, adaptation, self.kind, self.outputs, self.adapts, setting.model)
            self.whole = WholeWalks(*of, self._made_head)

    def whole_walk(
        self,
        meta_parameters: Parameters,
        task: Episodes,
        second_order: bool,
        weights: Sequence[float] | None,
    ) -> MetaGradient | None:
        """By the fused core, where it can do all of it."""
        if self.whole is None:
            return None
        last = max(self.steps, 1) - 1
        if weights is not None and not weights:
            weights = (*(0.0 for _ in range(last)), 1.0)
        return self.whole.walk(meta_parameters, task, second_order, weights or ())

    def whole_probes(self, meta_parameters: Parameters, task: Episodes, walk: MetaGradient) -> Probed | None:
        """By the fused core, where it walked."""
        if self.whole is None or not isinstance(walk.states, States):
            return None
        return self.whole.probed(meta_parameters, task, walk.states, walk.support_loss)

    def start(self, meta_parameters: Parameters, task: Episodes) -> State:
        """The learned initialisation, one copy a task, the head as `adaptation.head` says, and what the
        update carries."""
        tasks = len(task.indices)
        state = {
            n: meta_parameters[n].expand(tasks, *meta_parameters[n].shape)
            for n in self.adapts
            if n in meta_parameters
        }
        if self.adaptation.head != "learned":
            state |= self._made_head(meta_parameters, task)
        if self.adaptation.linearised:
            state |= {ORIGIN + name: state[name] for name in self.adapts}
        return state | carried_start(self.adaptation, state, self.adapts, self.carried)

    def _made_head(self, meta_parameters: Parameters, task: Episodes) -> Parameters:
        kind = self.adaptation.head
        if kind == "stored" and self.trains:
            by_outer = self.adaptation.stored_heads == "outer"
            return read_heads(meta_parameters if by_outer else self.kept, task.identity)
        # Outside the finite set no task has a stored head.
        kind = self.adaptation.new_head if kind == "stored" else kind
        features = self.support_features(meta_parameters, task) if kind == "means" else None
        made = made_head(kind, task, self.outputs, self.body.feature_size, features, self.stream)
        return head_of(self.model, made)

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """One step along the gradient on the support set, or on this step's part of it."""
        if self.whole is not None and not torch.is_grad_enabled():
            taken = self.whole.step(state, meta_parameters, task, number)
            if taken is not None:
                return taken
        batch = support_batch(task, self.adaptation.batch, number, self.stream)
        with torch.enable_grad():
            leaves = state if second_order else {n: t.detach().requires_grad_() for n, t in state.items()}
            shared = meta_parameters if second_order else {n: p.detach() for n, p in meta_parameters.items()}
            losses = self.support_loss(leaves, shared, batch, number)
            found = torch.autograd.grad(
                losses.sum(),
                [leaves[n] for n in self.adapts],
                create_graph=second_order,
                materialize_grads=True,
            )
        gradients = dict(zip(self.adapts, found, strict=True))
        moved = updated(
            self.adaptation,
            state,
            gradients,
            lambda name: rate_of(self.adaptation, meta_parameters, name, number),
            number,
            self._steps_before,
        )
        return state | moved, losses.detach()

    def _steps_before(self, name: str) -> float | Tensor:
        """Steps that a parameter's second moment had seen: none of a head made anew, or of what adapts in
        testing alone."""
        return self.carried[STEPS] if SECOND + name in self.carried else 0.0

    def support_loss(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """Cross-entropy or squared error `[T]` on the support set."""
        outputs = self._outputs(state, meta_parameters, lambda p: self.support_features(p, task, number))
        return task_loss(self.kind, outputs, task.support_y, self.adaptation.loss_reduction)

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """Outputs `[T, Q, O]` for the query set."""
        return self._outputs(state, meta_parameters, lambda p: self.query_features(p, task, number))

    def _outputs(
        self, state: State, meta_parameters: Parameters, features: Callable[[Parameters], Tensor]
    ) -> Tensor:
        """What the model of a state gives; linearised, what its tangent at the start does: f(θ₀) + J(θ − θ₀),
        by forward differentiation."""
        parameters = meta_parameters | state
        if not self.adaptation.linearised:
            return apply_head(features(parameters), parameters, self.scale)
        # Forward differentiation wants tensors of their own, not one start seen by all tasks.
        origin = tuple(state[ORIGIN + name].contiguous() for name in self.adapts)
        change = tuple(state[name] - start for name, start in zip(self.adapts, origin, strict=True))

        def outputs(*values: Tensor) -> Tensor:
            there = parameters | dict(zip(self.adapts, values, strict=True))
            return apply_head(features(there), there, self.scale)

        at_start, along = torch.func.jvp(outputs, origin, change)[:2]
        return at_start + along

    def parameters_in(self, state: State) -> State:
        """The parameters that adapt."""
        return {name: state[name] for name in self.adapts}

    def remembered(self, state: State) -> State:
        """Adapted heads and second moments, where they outlive their tasks."""
        stores = self.adaptation.head == "stored" and self.adaptation.stored_heads == "adapted"
        heads = {name: state[name] for name in HEAD if stores and name in state}
        moments = [name for name in self.carried if name.startswith(SECOND) and name != STEPS]
        return heads | {name: state[name] for name in moments}

    def remember(self, state: State, task: Episodes) -> None:
        """Writes adapted heads back into their table and hands second moments on, where there are such."""
        super().remember(state, task)
        if self.adaptation.head == "stored" and self.adaptation.stored_heads == "adapted":
            write_heads(self.kept, task.identity, state)
        for name, moment in self.carried.items():
            if name == STEPS:
                moment += self.steps
            elif name.startswith(SECOND):
                moment.copy_(state[name].mean(0))
