"""Nearest neighbour: a query gets the label of the single closest support example."""

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.adaptation.rule import Rule, State
from engine.models import Parameters
from engine.tasks.episodes import Episodes


class NearestRule(Rule):
    """A chain of one step, whose state is the support set's features and labels."""

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """Remembers the support features `[T, S, D]`; there is no loss."""
        features = self.support_features(meta_parameters, task)
        return {"support": features}, features.new_zeros(len(features))

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """Minus the Euclidean distance to each class's closest support example: `[T, Q, N]`."""
        features = self.query_features(meta_parameters, task)
        distances = torch.cdist(features, state["support"])
        others = functional.one_hot(task.support_y, self.outputs).unsqueeze(1) == 0
        return -distances.unsqueeze(-1).masked_fill(others, torch.inf).amin(2)
