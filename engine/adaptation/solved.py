"""Rules whose task is solved in one go: a linear layer fitted to the support features by a closed form or a
programme, and how large its outputs are."""

from abc import abstractmethod

import torch
from torch import Tensor

from engine.adaptation.rule import Rule, State
from engine.models import Parameters
from engine.presets.schema import Adaptation
from engine.tasks.episodes import Episodes

WEIGHT = "weight"
"""The state: the solved weights `[T, O, D]`."""


def solved_parameters(adaptation: Adaptation) -> Parameters:
    """What ridge and svm meta-learn besides the body, at its start: none for other rules.

    `NAME.scale` multiplies the outputs and `ridge.bias` is added to them; `ridge.log_lambda` is the logarithm
    of λ, so that λ stays positive wherever the outer loop moves it.
    """
    if adaptation.rule == "svm":
        return {"svm.scale": torch.tensor(adaptation.svm.scale)}
    if adaptation.rule != "ridge":
        return {}
    ridge = adaptation.ridge
    found = {"ridge.scale": torch.tensor(ridge.scale), "ridge.bias": torch.zeros(())}
    if ridge.learned:
        found["ridge.log_lambda"] = torch.tensor(ridge.strength).log()
    return found


class SolvedRule(Rule):
    """A chain of one step, whose state is the solved weights.

    Where training learned no scale (a pretrained body tested so), the start's holds.
    """

    name: str
    intercept = False

    @abstractmethod
    def solve(self, features: Tensor, task: Episodes, meta_parameters: Parameters) -> Tensor:
        """Weights `[T, O, D]` from support features `[T, S, D]`, both in float64; differentiable."""

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """Fits the weights to the support set; there is no inner loss. Of one order alone: no support
        gradient is in it."""
        features = self.support_features(meta_parameters, task)
        weight = self.solve(exact(self._with_ones(features)), task, meta_parameters)
        return {WEIGHT: weight.to(features)}, features.new_zeros(len(features))

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """Scale times the linear layer's outputs, plus the learned bias: `[T, Q, O]`."""
        features = self._with_ones(self.query_features(meta_parameters, task))
        outputs = features @ state[WEIGHT].transpose(1, 2)
        start = solved_parameters(self.adaptation)
        learned = {name: meta_parameters.get(name, value.to(outputs)) for name, value in start.items()}
        scaled = outputs * learned[f"{self.name}.scale"]
        return scaled + learned["ridge.bias"] if self.name == "ridge" else scaled

    def _with_ones(self, features: Tensor) -> Tensor:
        """A last feature of one, where the layer has an intercept."""
        return torch.cat([features, torch.ones_like(features[..., :1])], -1) if self.intercept else features


def exact(x: Tensor) -> Tensor:
    """In float64: kernels of a few support examples cost nothing, and may be nearly singular. (On the CPU
    where the device has no float64.)"""
    return x.cpu().double() if x.device.type == "mps" else x.double()
