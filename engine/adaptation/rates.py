"""Inner-loop rates: one fixed number, or learned ones among the meta-parameters.

Learned for each tensor (`layer`), for each tensor and step (`layer-step`: LSLR, Antoniou 2019, section 4), or
for each parameter, sign included (`parameter`: Meta-SGD, Li 2017, equation 3).
"""

import torch
from torch import Tensor

from engine.models import Parameters
from engine.presets.schema import Adaptation

RATES = "rates."
"""What learned rates are called among the meta-parameters: `rates.conv1.weight`."""


def initial_rates(adaptation: Adaptation, adapted: Parameters, generator: torch.Generator) -> Parameters:
    """The learned rates of the parameters that adapt, at their start: none where the rate is fixed.

    Shapes: `[]`, `[steps]`, or the parameter's own. A range [low, high] is drawn from evenly.
    """
    if adaptation.learned_rates == "none":
        return {}
    found: Parameters = {}
    for name, parameter in adapted.items():
        shapes = {"layer": (), "layer-step": (max(adaptation.steps, 1),), "parameter": parameter.shape}
        found[RATES + name] = _drawn(adaptation.learning_rate, shapes[adaptation.learned_rates], generator)
    return found


def _drawn(
    rate: float | tuple[float, float], shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    if isinstance(rate, tuple):
        low, high = rate
        return low + (high - low) * torch.rand(shape, generator=generator)
    return torch.full(shape, rate)


def rate_of(adaptation: Adaptation, meta_parameters: Parameters, name: str, number: int) -> float | Tensor:
    """The rate of parameter `name` at step `number`: it multiplies a gradient `[T, ...]`.

    Beyond the steps that have learned ones, those of the last hold.
    """
    if adaptation.learned_rates == "none":
        assert isinstance(adaptation.learning_rate, float)
        return adaptation.learning_rate
    rates = meta_parameters[RATES + name]
    if adaptation.learned_rates == "layer-step":
        return rates[min(number, len(rates) - 1)]
    return rates


def mean_rates(adaptation: Adaptation, meta_parameters: Parameters) -> Parameters:
    """Learned rates by parameter, `[steps]` or `[1]`: one for each step, the mean over a tensor's own."""
    found = {}
    if adaptation.learned_rates != "none":
        for name, rates in meta_parameters.items():
            if name.startswith(RATES):
                per_step = adaptation.learned_rates == "layer-step"
                found[name.removeprefix(RATES)] = rates if per_step else rates.mean().reshape(1)
    return found


def shown_rates(adaptation: Adaptation, meta_parameters: Parameters) -> dict[str, list[float]]:
    """The same as numbers."""
    return {name: rates.tolist() for name, rates in mean_rates(adaptation, meta_parameters).items()}
