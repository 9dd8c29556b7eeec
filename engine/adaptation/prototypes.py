"""Prototypical networks: a query belongs to the class whose mean feature is closest (Snell 2017)."""

import torch
from torch import Tensor

from engine.adaptation.heads import class_means
from engine.adaptation.rule import Rule, State
from engine.adaptation.similarity import cosines, squared_distances
from engine.models import Parameters
from engine.presets.schema import Adaptation
from engine.tasks.episodes import Episodes

SCALE = "prototypes.scale"
FIRST_SCALE = 10.0
"""Where the factor of cosine similarities starts: a softmax of numbers within ±1 would be nearly flat."""


def initial_scale(adaptation: Adaptation) -> Parameters:
    """The learned factor of cosine similarities; distances need none."""
    return {SCALE: torch.tensor(FIRST_SCALE)} if adaptation.distance == "cosine" else {}


class PrototypesRule(Rule):
    """A chain of one step, whose state is the prototypes: the mean of each class's support features."""

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """Computes the prototypes `[T, N, D]` (Snell 2017, equation 1); there is no loss."""
        features = self.support_features(meta_parameters, task)
        prototypes = class_means(features, task.support_y, self.outputs)
        return {"prototypes": prototypes}, features.new_zeros(len(features))

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """Minus the squared Euclidean distance to each prototype (equation 2), or the cosine similarity times
        a scale: `[T, Q, N]`."""
        features = self.query_features(meta_parameters, task)
        if self.adaptation.distance == "euclidean":
            return -squared_distances(features, state["prototypes"])
        similar = cosines(features, state["prototypes"])
        # A training by another rule learned no scale, and no choice of the closest class depends on it.
        return similar * meta_parameters.get(SCALE, FIRST_SCALE)
