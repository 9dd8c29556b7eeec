"""A learner: a body, its meta-parameters, an adaptation rule and an outer rule, built from a spec."""

import torch

from engine.adaptation import Rule, Setting, build_rule
from engine.adaptation.apply_head import head_of
from engine.adaptation.context import initial_context
from engine.adaptation.ensemble import EnsembleRule
from engine.adaptation.gradient import adapted_names
from engine.adaptation.heads import BIAS, WEIGHT, stored_heads
from engine.adaptation.norms import norm_sets, running_statistics, stepped_norms
from engine.adaptation.prototypes import initial_scale
from engine.adaptation.rates import initial_rates
from engine.adaptation.siamese import initial_comparison
from engine.adaptation.solved import solved_parameters
from engine.adaptation.updates import carried_moments
from engine.models import Parameters, build_body
from engine.models.body import linear_parameters
from engine.models.conv4 import Conv4
from engine.models.mlp import Mlp
from engine.paths import FUSED, chosen_path
from engine.portions import portion_size
from engine.presets.names import head_names
from engine.presets.schema import Adaptation, Spec
from engine.tasks.episodes import Part, TaskDistribution


class Learner:
    """What is trained: `meta_parameters` by name; and `kept`, what outlives tasks without a gradient (stored
    heads, running statistics, carried moments).

    Joint training has a head over all training classes; a learned head for episodes has as many outputs as a
    training episode has classes; where heads are made for each task there is none among the meta-parameters.
    """

    def __init__(
        self, spec: Spec, tasks: TaskDistribution, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.spec, self.tasks, self.device, self.dtype = spec, tasks, device, dtype
        self.body = build_body(spec.model, tasks.input_shape, spec.seed)
        self.take(chosen_path(spec, self.body, device, dtype))
        self.norm_sets = norm_sets(spec.adaptation)
        generator = torch.Generator().manual_seed(spec.seed)
        body = self.body.initial_parameters(generator)
        self.body_names = tuple(body)
        head = self._head(generator)
        own = self._rule_parameters(body, head, generator)
        kept = self._kept(body, head)
        self.meta_parameters = self._placed(body | head | own)
        self.kept = self._placed(kept)
        self.others: list[Learner] = []
        """In testing, the other members of an ensemble."""

    def take(self, path: str) -> None:
        """Lets the body's passes be computed by the fused core or the generic one: `path` as `chosen_path`
        has it."""
        self.path = path
        if isinstance(self.body, Conv4 | Mlp):
            self.body.kernels = path == FUSED

    def _placed(self, parameters: Parameters) -> Parameters:
        return {n: p.to(self.device, self.dtype) for n, p in parameters.items()}

    def _head(self, generator: torch.Generator) -> Parameters:
        spec = self.spec
        outputs = 0
        if spec.outer.rule == "joint":
            outputs = self.tasks.joint_outputs
        elif spec.adaptation.rule == "gradient" and spec.adaptation.head == "learned":
            outputs = self.tasks.outputs("train")
        if not outputs:
            return {}
        weight, bias = linear_parameters(self.body.feature_size, outputs, generator)
        return head_of(spec.model, {WEIGHT: weight, BIAS: bias})

    def _stored(self) -> Parameters:
        spec = self.spec
        adaptation, tasks = spec.adaptation, spec.training.tasks
        trained = spec.outer.rule in ("meta-gradient", "interpolate")
        if not (trained and adaptation.head == "stored" and tasks):
            return {}
        outputs, size = self.tasks.outputs("train"), self.body.feature_size
        names = head_names(spec.model)
        return stored_heads(tasks, outputs, size, adaptation.new_head, names, ("train", spec.seed))

    def _rule_parameters(self, body: Parameters, head: Parameters, generator: torch.Generator) -> Parameters:
        """What the rule meta-learns besides body and head."""
        adaptation = self.spec.adaptation
        own: Parameters = {}
        if adaptation.rule == "gradient":
            outputs, size = self.tasks.outputs("train"), self.body.feature_size
            shaped = head or head_of(
                self.spec.model, {WEIGHT: torch.empty(outputs, size), BIAS: torch.empty(outputs)}
            )
            named = body | shaped
            names = adapted_names([*body, *shaped], adaptation)
            own |= initial_rates(adaptation, {n: named[n] for n in names}, generator)
            if adaptation.per_step_norms:
                own |= stepped_norms(body, self.norm_sets)
            if adaptation.stored_heads == "outer":
                own |= self._stored()
        elif adaptation.rule == "prototypes":
            own |= initial_scale(adaptation)
        elif adaptation.rule == "siamese":
            own |= initial_comparison(self.body.feature_size)
        elif adaptation.rule in ("ridge", "svm"):
            own |= solved_parameters(adaptation)
        elif adaptation.full_context:
            own |= initial_context(self.body.feature_size, generator)
        return own

    def _kept(self, body: Parameters, head: Parameters) -> Parameters:
        adaptation = self.spec.adaptation
        kept: Parameters = {}
        if adaptation.running_statistics:
            kept |= running_statistics(body, self.norm_sets)
        if adaptation.rule == "gradient":
            if adaptation.stored_heads == "adapted":
                kept |= self._stored()
            if adaptation.moments == "carried":
                named = body | head
                kept |= carried_moments({n: named[n] for n in adapted_names(list(named), adaptation)})
        return kept

    def rule(self, adaptation: Adaptation, part: Part, statistics: str) -> Rule:
        """An adaptation rule for tasks of a part, predicting together with the other members of an ensemble;
        stored heads are read in training alone."""
        outputs = self.tasks.outputs(part)
        setting = Setting(
            self.body,
            self.spec.model,
            self.body_names,
            adaptation,
            self.tasks.kind,
            outputs,
            part,
            self.tasks.seeds[part],
            self.norm_sets,
            statistics,
            self.kept,
        )
        own = build_rule(setting)
        if not self.others:
            return own
        members = [(each.rule(adaptation, part, statistics), each.meta_parameters) for each in self.others]
        return EnsembleRule([(own, self.meta_parameters), *members])

    @property
    def tasks_at_once(self) -> int:
        """Training tasks worked on at once: the graphs of their inner steps and queries are alive together.

        A function of the spec alone, so that results are.
        """
        training, adaptation = self.spec.training, self.spec.adaptation
        ways, shots, queries = self.tasks.shape("train")
        kept = 1 if adaptation.constant_memory else max(adaptation.steps, 1)
        asked = adaptation.steps if adaptation.loss == "multi-step" and not adaptation.constant_memory else 1
        fitting = portion_size(self.body, ways * (kept * shots + asked * queries))
        return training.tasks_at_once or min(fitting, training.tasks_per_batch)

    def training_rule(self) -> Rule:
        """The rule that training adapts by, normalising queries by their own statistics."""
        return self.rule(self.spec.adaptation, "train", "query")
