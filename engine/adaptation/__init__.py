"""Adaptation rules: how a model is fitted to one task's support set."""

from engine.adaptation.chain import MetaGradient, meta_gradient, probe
from engine.adaptation.gradient import GradientRule
from engine.adaptation.heads import StoredHeads
from engine.adaptation.nearest import NearestRule
from engine.adaptation.rule import Rule, State
from engine.models import Body
from engine.presets.schema import Adaptation
from engine.tasks.episodes import Part, TaskDistribution

__all__ = ["MetaGradient", "Rule", "State", "StoredHeads", "build_rule", "meta_gradient", "probe"]


def build_rule(
    adaptation: Adaptation,
    body: Body,
    tasks: TaskDistribution,
    part: Part,
    statistics: str,
    stored: StoredHeads | None = None,
) -> Rule:
    """The rule that `adaptation` names, for tasks of a part."""
    if adaptation.rule == "nearest":
        return NearestRule(body, tasks.outputs(part), statistics)
    return GradientRule(body, adaptation, tasks.kind, tasks.outputs(part), statistics, stored)
