"""What an adaptation rule is: a chain s[j+1] = U(s[j], φ, task) with a start and a prediction.

φ (`meta_parameters`) is all that is meta-learned: shared, without a task axis. The state s is what a task has
made its
own: tensors with a leading task axis, by name.
"""

from typing import Protocol

from torch import Tensor

from engine.models import Parameters
from engine.tasks.episodes import Episodes

State = dict[str, Tensor]


class Rule(Protocol):
    """How a model is fitted to the support sets of T tasks at once.

    `steps` is the length of the chain; `shows_steps` is false for rules that solve a task in one go, whose
    state before it means nothing.
    """

    steps: int
    shows_steps: bool

    def start(self, meta_parameters: Parameters, task: Episodes) -> State:
        """s[0], differentiable in the meta-parameters."""
        ...

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """U at step `number` (from 0): the next state, and the support loss `[T]` of the state given.

        Differentiable in state and meta-parameters; in first order the support gradient inside is held
        constant.
        """
        ...

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes) -> Tensor:
        """Outputs `[T, Q, O]` for the query set."""
        ...

    def support_loss(self, state: State, meta_parameters: Parameters, task: Episodes) -> Tensor:
        """The rule's own training loss `[T]`."""
        ...

    def remember(self, state: State, task: Episodes) -> None:
        """Keeps what outlives the tasks (stored heads), after the last step of a training iteration."""
        ...
