"""Parameter names told from settings are those that the bodies have."""

import pytest
import torch

from engine.models import build_body
from engine.presets.names import HEAD_NAMES, parameter_names
from engine.presets.schema import Model


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("name", ["conv4", "mlp", "pixels"])
def test_names_are_those_of_the_body(name: str, norm: str) -> None:
    model = Model.model_validate({"name": name, "norm": norm, "hidden": [5, 4, 3], "filters": 2})
    body = build_body(model, (1, 28, 28))
    there = body.initial_parameters(torch.Generator().manual_seed(0))
    assert set(parameter_names(model)) == {*there, *HEAD_NAMES}
