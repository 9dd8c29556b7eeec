"""A learner: a body, its meta-parameters, an adaptation rule and an outer rule, built from a spec."""

import torch

from engine.adaptation import Rule, StoredHeads, build_rule
from engine.adaptation.heads import BIAS, WEIGHT
from engine.models import Parameters, build_body
from engine.models.body import linear_parameters
from engine.portions import portion_size
from engine.presets.schema import Adaptation, Spec
from engine.tasks.episodes import Part, TaskDistribution


class Learner:
    """What is trained: `meta_parameters` by name, and stored heads where the rule keeps some.

    Joint training has a head over all training classes; a learned head for episodes has as many outputs as a
    training episode has classes; where heads are made for each task there is none among the meta-parameters.
    """

    def __init__(
        self, spec: Spec, tasks: TaskDistribution, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.spec, self.tasks, self.device, self.dtype = spec, tasks, device, dtype
        self.body = build_body(spec.model, tasks.input_shape)
        generator = torch.Generator().manual_seed(spec.seed)
        parameters = self.body.initial_parameters(generator)
        outputs = self._head_outputs()
        if outputs:
            weight, bias = linear_parameters(self.body.feature_size, outputs, generator)
            parameters |= {WEIGHT: weight, BIAS: bias}
        self.meta_parameters: Parameters = {n: p.to(device, dtype) for n, p in parameters.items()}
        self.stored: StoredHeads | None = None
        if spec.outer.rule == "meta-gradient" and spec.adaptation.head == "stored" and spec.training.tasks:
            like = torch.zeros((), device=device, dtype=dtype)
            size, new_head = self.body.feature_size, spec.adaptation.new_head
            self.stored = StoredHeads(spec.training.tasks, tasks.outputs("train"), size, new_head, like)

    def _head_outputs(self) -> int:
        if self.spec.outer.rule == "joint":
            return self.tasks.joint_outputs
        gradient = self.spec.adaptation.rule == "gradient"
        return self.tasks.outputs("train") if gradient and self.spec.adaptation.head == "learned" else 0

    def rule(self, adaptation: Adaptation, part: Part, statistics: str) -> Rule:
        """An adaptation rule for tasks of a part; stored heads are read in training alone."""
        stored = self.stored if part == "train" else None
        return build_rule(adaptation, self.body, self.tasks, part, statistics, stored)

    @property
    def tasks_at_once(self) -> int:
        """Training tasks worked on at once: the graphs of their inner steps and queries are alive together.

        A function of the spec alone, so that results are.
        """
        training, adaptation = self.spec.training, self.spec.adaptation
        ways, shots, queries = self.tasks.shape("train")
        kept = 1 if adaptation.constant_memory else adaptation.steps
        fitting = portion_size(self.body, ways * (kept * shots + queries))
        return training.tasks_at_once or min(fitting, training.tasks_per_batch)

    def training_rule(self) -> Rule:
        """The rule that training adapts by, normalising queries by their own statistics."""
        return self.rule(self.spec.adaptation, "train", "query")
