"""Interpolation: meta-parameters move towards what the inner loop made of them (Reptile, Nichol 2018)."""

import torch

from engine.adaptation import MetaGradient, Rule, follow
from engine.models import Parameters
from engine.tasks.episodes import Episodes


@torch.no_grad()
def interpolation(rule: Rule, meta_parameters: Parameters, task: Episodes) -> MetaGradient:
    """φ − mean over tasks of s[k], in the place of a gradient: plain descent by a rate of ε is Reptile's
    φ ← φ + ε (mean s[k] − φ) (algorithm 2). What does not adapt stays."""
    return interpolated(follow(rule, meta_parameters, task), meta_parameters)


@torch.no_grad()
def interpolated(seen: MetaGradient, meta_parameters: Parameters) -> MetaGradient:
    """The same of a chain that was followed already."""
    last = seen.states[-1]
    gradient = {
        name: parameter - last[name].mean(0) if name in last else torch.zeros_like(parameter)
        for name, parameter in meta_parameters.items()
    }
    return seen._replace(gradient=gradient)
