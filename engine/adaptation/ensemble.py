"""Several trained learners that adapt apart and predict together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.adaptation.rule import Rule, State
from engine.models import Parameters
from engine.tasks.episodes import Episodes


class EnsembleRule(Rule):
    """The members' rules side by side; predictions are the mean of their outputs (logits or values), as
    Antoniou 2019 averages its five best checkpoints. For testing alone.

    The state holds every member's, by its number: `0/conv1.weight`. Each member has meta-parameters of its
    own, so those that are passed in are not read.
    """

    def __init__(self, members: Sequence[tuple[Rule, Parameters]]) -> None:
        self.members = list(members)
        first = self.members[0][0]
        self.kind, self.steps, self.shows_steps = first.kind, first.steps, first.shows_steps
        self.norms = first.norms

    def start(self, meta_parameters: Parameters, task: Episodes) -> State:
        """Every member's start."""
        return _joined([rule.start(own, task) for rule, own in self.members])

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """A step of every member, and the mean of their support losses."""
        states = self._states(state)
        taken = [
            rule.step(each, own, task, number, second_order)
            for (rule, own), each in zip(self.members, states, strict=True)
        ]
        return _joined([after for after, _ in taken]), torch.stack([loss for _, loss in taken]).mean(0)

    def support_loss(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """The mean of the members' support losses `[T]`."""
        states = self._states(state)
        losses = [
            rule.support_loss(each, own, task, number)
            for (rule, own), each in zip(self.members, states, strict=True)
        ]
        return torch.stack(losses).mean(0)

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """The mean of the members' outputs `[T, Q, O]`."""
        states = self._states(state)
        outputs = [
            rule.predict(each, own, task, number)
            for (rule, own), each in zip(self.members, states, strict=True)
        ]
        return torch.stack(outputs).mean(0)

    def parameters_in(self, state: State) -> State:
        """Those of all members."""
        states = self._states(state)
        return _joined([r.parameters_in(each) for (r, _), each in zip(self.members, states, strict=True)])

    def _states(self, state: State) -> list[State]:
        states: list[State] = [{} for _ in self.members]
        for name, tensor in state.items():
            number, _, own = name.partition("/")
            states[int(number)][own] = tensor
        return states


def _joined(states: Sequence[State]) -> State:
    return {f"{number}/{n}": t for number, state in enumerate(states) for n, t in state.items()}
