"""Parameter names told from settings are those that the bodies have."""

import pytest
import torch

from engine.models import build_body
from engine.presets.names import HEAD_NAMES, parameter_names
from engine.presets.schema import Model

SHAPES = [(name, norm) for name in ("conv4", "mlp", "pixels") for norm in ("batch", "none")]


LARGER = [("resnet12", "batch"), ("resnet18", "batch"), ("resnet34", "batch")]


@pytest.mark.parametrize(("name", "norm"), [*SHAPES, *LARGER])
def test_names_are_those_of_the_body(name: str, norm: str) -> None:
    given = {"name": name}
    if name in ("resnet18", "resnet34"):
        pytest.importorskip("torchvision")
        given = {"name": "torchvision", "backbone": name}
    model = Model.model_validate({**given, "norm": norm, "hidden": [5, 4, 3], "filters": 2})
    body = build_body(model, (1, 28, 28))
    there = body.initial_parameters(torch.Generator().manual_seed(0))
    assert parameter_names(model) == (*there, *HEAD_NAMES)
