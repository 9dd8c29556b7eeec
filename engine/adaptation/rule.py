"""What an adaptation rule is: a chain s[j+1] = U(s[j], φ, task) with a start, a prediction and a loss.

φ (`meta_parameters`) is all that is meta-learned: shared, without a task axis. The state s is what a task has
made its own: tensors with a leading task axis, by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from engine.adaptation.losses import Kind, task_loss
from engine.adaptation.norms import Norms
from engine.adaptation.query import query_features
from engine.models import Body, Parameters
from engine.models.blocks import BatchStatistics, Noise
from engine.presets.schema import Adaptation, Model
from engine.tasks.draws import Stream
from engine.tasks.episodes import Episodes, Part

if TYPE_CHECKING:
    from engine.adaptation.chain import MetaGradient
    from engine.adaptation.probing import Probed

State = dict[str, Tensor]


class Setting(NamedTuple):
    """What a rule works on and with.

    `outputs` is O, the classes (or values) that a task's predictions tell apart; `statistics` says whose
    normalise queries; `kept` holds what outlives tasks (stored heads, running statistics, carried moments):
    tensors that `remember` changes in place, empty where nothing is kept. `body_names` are the body's own
    parameters, `seed` what tasks of the part are drawn by, `norm_sets` how many sets of norms the learner has
    (one, unless they are kept by inner step).
    """

    body: Body
    model: Model
    body_names: tuple[str, ...]
    adaptation: Adaptation
    kind: Kind
    outputs: int
    part: Part
    seed: int
    norm_sets: int
    statistics: str
    kept: Parameters


class Rule(ABC):
    """How a model is fitted to the support sets of T tasks at once.

    `steps` is the length of the chain; `shows_steps` is false for rules that solve a task in one go, whose
    state before it means nothing.
    """

    shows_steps = False

    def __init__(self, setting: Setting) -> None:
        self.body, self.adaptation, self.kind = setting.body, setting.adaptation, setting.kind
        self.outputs, self.statistics, self.kept = setting.outputs, setting.statistics, setting.kept
        self.steps, self.part = 1, setting.part
        self.stream: Stream = (setting.part, setting.seed)
        """Names the random draws of this rule's tasks: those of training go with the run's seed."""
        per_step, running = self.adaptation.per_step_norms, self.statistics == "running"
        self.norms = Norms(self.kept, setting.norm_sets, per_step, running)

    def support_features(self, parameters: Parameters, task: Episodes, number: int = 0) -> Tensor:
        """Features `[T, S, D]` of the support set at step `number`, normalised by the support set's own
        statistics (or running ones, in testing that asks for them)."""
        chosen = self.norms.of_support(number)
        noise = self.noise(task, f"support {number}")
        statistics = BatchStatistics(observed=self.norms.observed(chosen), noise=noise)
        return self.body(self.norms.at(parameters, chosen), task.support_x, statistics)

    def query_features(self, parameters: Parameters, task: Episodes, number: int = 0) -> Tensor:
        """Features `[T, Q, D]` of the query set after `number` steps, normalised as the protocol says."""
        chosen = self.norms.of_query(number)
        observed = self.norms.observed(chosen)
        noise = self.noise(task, f"query {number}")
        parameters = self.norms.at(parameters, chosen)
        return query_features(self.body, parameters, task, self.statistics, observed, noise)

    def noise(self, task: Episodes, purpose: str) -> Noise | None:
        """What a pass of training draws its own randomness by; none in validation and testing."""
        return Noise(task.indices, purpose) if self.part == "train" else None

    def start(self, meta_parameters: Parameters, task: Episodes) -> State:
        """s[0], differentiable in the meta-parameters: nothing, for a rule that solves a task in one go."""
        return {}

    @abstractmethod
    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """U at step `number` (from 0): the next state, and the support loss `[T]` of the state given.

        Differentiable in state and meta-parameters; in first order the support gradient inside is held
        constant.
        """

    def whole_walk(
        self,
        meta_parameters: Parameters,
        task: Episodes,
        second_order: bool,
        weights: Sequence[float] | None,
    ) -> "MetaGradient | None":
        """The whole chain and its way back in one go, where a rule has such a thing for its setting: what
        `meta_gradient` gives, or (weights None: no way back) what `follow` gives."""
        return None

    def whole_probes(
        self, meta_parameters: Parameters, task: Episodes, walk: "MetaGradient"
    ) -> "Probed | None":
        """All states of a walk probed in one go, where a rule has such a thing for a walk of its own."""
        return None

    @abstractmethod
    def predict(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """Outputs `[T, Q, O]` for the query set, by a state after `number` steps: logits or values."""

    def query_loss(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """What training makes small, `[T]`: the loss of the predictions, where a rule has none of its own."""
        return task_loss(self.kind, self.predict(state, meta_parameters, task, number), task.query_y)

    def support_loss(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """The loss `[T]` on the support set of a state after `number` steps; zeros for a rule without one."""
        return task.support_x.new_zeros(len(task.indices))

    def parameters_in(self, state: State) -> State:
        """What of a state are the model's parameters, and neither memory nor what an update carries."""
        return {}

    def remembered(self, state: State) -> State:
        """What of a last state `remember` reads."""
        return {}

    def remember(self, state: State, task: Episodes) -> None:
        """Keeps what outlives the tasks, after the last step of a training iteration."""
        self.norms.keep()
