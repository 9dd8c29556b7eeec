"""Matching networks: a query's label is an average of the support set's labels, by attention (Vinyals 2016).

Without learned parameters of its own, so that it tests bodies that were trained otherwise too (NIL, Raghu
2020).
"""

import torch
from torch import Tensor

from engine.adaptation.context import query_context, support_context
from engine.adaptation.rule import Rule, State
from engine.adaptation.similarity import cosines, of_classes
from engine.models import Parameters
from engine.tasks.episodes import Episodes


class MatchingRule(Rule):
    """A chain of one step, whose state is the support set's embeddings."""

    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int, second_order: bool
    ) -> tuple[State, Tensor]:
        """Remembers the support set's embeddings g `[T, S, D]`, each seen in the light of the others where
        there is full context; there is no loss."""
        embedded = self.support_features(meta_parameters, task)
        if self.adaptation.full_context:
            embedded = support_context(meta_parameters, embedded)
        return {"support": embedded}, embedded.new_zeros(len(embedded))

    def predict(self, state: State, meta_parameters: Parameters, task: Episodes, number: int) -> Tensor:
        """Logarithms of the classes' probabilities `[T, Q, N]` (Vinyals 2016, equation 1): of each class's
        share of a softmax over the cosine similarities to all support examples."""
        embedded = self.query_features(meta_parameters, task)
        if self.adaptation.full_context:
            steps = self.adaptation.context_steps
            embedded = query_context(meta_parameters, embedded, state["support"], steps)
        similar = cosines(embedded, state["support"]) * self.adaptation.sharpness
        attention = similar.log_softmax(-1)
        return of_classes(attention, task.support_y, self.outputs, -torch.inf).logsumexp(2)
