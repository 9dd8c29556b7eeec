"""Bodies: pure functions from parameters and inputs to features."""

from math import prod

from engine.models.body import Body, Parameters
from engine.models.conv4 import Conv4
from engine.models.mlp import Mlp
from engine.models.pixels import Pixels
from engine.presets.schema import Model

__all__ = ["Body", "Parameters", "build_body"]


def build_body(model: Model, input_shape: tuple[int, ...]) -> Body:
    """The body that `model` names, for inputs of one example's shape: `(C, H, W)` or `(1,)`."""
    if model.name == "conv4":
        channels, height, width = input_shape
        return Conv4((channels, height, width), model.filters, model.pooling, model.features, model.norm)
    if model.name == "mlp":
        return Mlp(prod(input_shape), model.hidden, model.norm)
    return Pixels(prod(input_shape))
