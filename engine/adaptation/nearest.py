"""Nearest neighbour: a query gets the label of the single closest support example."""

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.adaptation.query import query_features
from engine.adaptation.rule import State
from engine.models import Body, Parameters
from engine.models.blocks import WHOLE_BATCH
from engine.tasks.episodes import Episodes


class NearestRule:
    """A chain of one step, whose state is the support set's features and labels."""

    steps = 1
    shows_steps = False

    def __init__(self, body: Body, outputs: int, statistics: str = "query") -> None:
        self.body, self.outputs, self.statistics = body, outputs, statistics

    def start(self, meta_parameters: Parameters, task: Episodes) -> State:
        """Nothing is remembered yet."""
        return {}

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """Remembers the support features `[T, S, D]`; there is no loss."""
        features = self.body(meta_parameters, task.support_x, WHOLE_BATCH)
        return {"support": features}, features.new_zeros(len(features))

    def support_loss(self, state: State, meta_parameters: Parameters, task: Episodes) -> Tensor:
        """None to minimise: zeros `[T]`."""
        return task.support_x.new_zeros(len(task.indices))

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes) -> Tensor:
        """Minus the Euclidean distance to each class's closest support example: `[T, Q, N]`."""
        features = query_features(self.body, meta_parameters, task, self.statistics)
        distances = torch.cdist(features, state["support"])
        others = functional.one_hot(task.support_y, self.outputs).unsqueeze(1) == 0
        return -distances.unsqueeze(-1).masked_fill(others, torch.inf).amin(2)

    def remember(self, state: State, task: Episodes) -> None:
        """Nothing outlives a task."""
