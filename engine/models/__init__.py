"""Bodies: pure functions from parameters and inputs to features."""

from math import prod

from engine.models.body import Body, Parameters
from engine.models.conv4 import Conv4
from engine.models.mlp import Mlp
from engine.models.pixels import Pixels
from engine.models.resnet12 import ResNet12
from engine.models.torchvision import TorchvisionBody
from engine.presets.schema import Model

__all__ = ["Body", "Parameters", "build_body"]


def build_body(model: Model, input_shape: tuple[int, ...], seed: int = 0) -> Body:
    """The body that `model` names, for inputs of one example's shape: `(C, H, W)` or `(I,)`.

    `seed` is the run's: what a body draws while training is drawn by it.
    """
    if model.name == "mlp":
        return Mlp(prod(input_shape), model.hidden, model.norm)
    if model.name == "pixels":
        return Pixels(prod(input_shape))
    channels, height, width = input_shape
    shape = (channels, height, width)
    if model.name == "torchvision":
        return TorchvisionBody(model.backbone, shape, model.features)
    if model.name == "resnet12":
        dropped = (model.dropblock, model.dropblock_size)
        return ResNet12(shape, model.filters, model.features, *dropped, seed)
    return Conv4(shape, model.filters, model.pooling, model.features, model.norm)
