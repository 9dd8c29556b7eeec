"""Nearest neighbour: a query gets the label of the single closest support example."""

import torch
from torch import Tensor

from engine.adaptation.rule import Rule, State
from engine.adaptation.similarity import cosines, of_classes
from engine.models import Parameters
from engine.tasks.episodes import Episodes


class NearestRule(Rule):
    """A chain of one step, whose state is the support set's features."""

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """Remembers the support features `[T, S, D]`; there is no loss."""
        features = self.support_features(meta_parameters, task)
        return {"support": features}, features.new_zeros(len(features))

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """Of each class's closest support example, minus its Euclidean distance or its cosine similarity:
        `[T, Q, N]`."""
        features = self.query_features(meta_parameters, task)
        euclidean = self.adaptation.distance == "euclidean"
        alike = (
            -torch.cdist(features, state["support"]) if euclidean else cosines(features, state["support"])
        )
        return of_classes(alike, task.support_y, self.outputs, -torch.inf).amax(2)
