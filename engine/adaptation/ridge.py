"""Ridge regression on the support features in closed form (R2D2: Bertinetto 2019; MetaOptNet: Lee 2019)."""

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.adaptation.rule import Setting
from engine.adaptation.solved import SolvedRule, exact
from engine.models import Parameters
from engine.tasks.episodes import Episodes


def ridge_weights(features: Tensor, targets: Tensor, strength: Tensor) -> Tensor:
    """W = Xᵀ(XXᵀ + λI)⁻¹Y, the least of |XW − Y|² + λ|W|² in the Woodbury form: a system of as many unknowns
    as there are examples, however many features (Bertinetto 2019, equation 6).

    Args:
        features: X `[T, S, D]`.
        targets: Y `[T, S, O]`.
        strength: λ, a scalar.

    Returns:
        Wᵀ `[T, O, D]`.
    """
    kernel = features @ features.transpose(1, 2)
    identity = torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
    solution = torch.linalg.solve(kernel + strength * identity, targets)
    return solution.transpose(1, 2) @ features


class RidgeRule(SolvedRule):
    """Ridge regression of one-hot labels, or of values; λ is learned, or fixed."""

    name = "ridge"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.intercept = self.adaptation.ridge.intercept

    def solve(self, features: Tensor, task: Episodes, meta_parameters: Parameters) -> Tensor:
        """The ridge regression of each task."""
        if self.kind == "classes":
            targets = functional.one_hot(task.support_y, self.outputs).to(features)
        else:
            targets = exact(task.support_y)
        learned = meta_parameters.get("ridge.log_lambda")
        fixed = features.new_tensor(self.adaptation.ridge.strength)
        strength = fixed if learned is None else learned.to(features).exp()
        return ridge_weights(features, targets, strength)
