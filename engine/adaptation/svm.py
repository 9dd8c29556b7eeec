"""A multi-class support vector machine on the support features (MetaOptNet: Lee 2019)."""

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.adaptation.crammer_singer import crammer_singer
from engine.adaptation.solved import SolvedRule
from engine.models import Parameters
from engine.tasks.episodes import Episodes

DIAGONAL = 1.0
"""Added to the kernel's diagonal, as in the released code: one solution, whatever the features."""


class SvmRule(SolvedRule):
    """Crammer and Singer's machine: Wₖ = Σₙ z[k, n] xₙ, from the dual solution z."""

    name = "svm"

    def solve(self, features: Tensor, task: Episodes, meta_parameters: Parameters) -> Tensor:
        """The machine of each task; there is no intercept."""
        identity = torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
        kernel = features @ features.transpose(1, 2) + DIAGONAL * identity
        membership = functional.one_hot(task.support_y, self.outputs).to(features).transpose(1, 2)
        return crammer_singer(kernel, membership, self.adaptation.svm.c) @ features
