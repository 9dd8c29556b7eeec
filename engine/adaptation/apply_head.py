"""What a head makes of features: a linear layer, or a cosine classifier (Baseline++, Chen 2019)."""

import torch.nn.functional as functional
from torch import Tensor

from engine.adaptation.heads import BIAS, WEIGHT
from engine.models import Parameters
from engine.models.blocks import linear
from engine.presets.names import head_names
from engine.presets.schema import Model


def head_scale(model: Model) -> float | None:
    """What a cosine head multiplies similarities by; None for a linear head."""
    return model.head_scale if model.head == "cosine" else None


def head_of(model: Model, made: Parameters) -> Parameters:
    """The head that a model has, from a linear one `made`: of a cosine head the weights alone, each class's
    of length one, since their direction alone counts."""
    if model.head == "linear":
        return made
    return {name: functional.normalize(made[name], dim=-1) for name in head_names(model)}


def apply_head(features: Tensor, parameters: Parameters, scale: float | None) -> Tensor:
    """Outputs `[T, B, O]` from features `[T, B, D]`, weight `[O, D]` or `[T, O, D]` and, for a linear head
    (scale None), bias `[O]` or `[T, O]`; a cosine head's are scale times the cosines of both."""
    weight = parameters[WEIGHT]
    if scale is None:
        return linear(features, weight, parameters[BIAS])
    directions = functional.normalize(weight, dim=-1)
    return scale * (functional.normalize(features, dim=-1) @ directions.transpose(-1, -2))
