"""Adaptation rules: how a model is fitted to one task's support set."""

from engine.adaptation.chain import MetaGradient, follow, meta_gradient
from engine.adaptation.gradient import GradientRule
from engine.adaptation.matching import MatchingRule
from engine.adaptation.nearest import NearestRule
from engine.adaptation.probing import Probed, probe, probed
from engine.adaptation.prototypes import PrototypesRule
from engine.adaptation.ridge import RidgeRule
from engine.adaptation.rule import Rule, Setting, State
from engine.adaptation.siamese import SiameseRule
from engine.adaptation.svm import SvmRule

__all__ = [
    "MetaGradient",
    "Probed",
    "Rule",
    "Setting",
    "State",
    "build_rule",
    "follow",
    "meta_gradient",
    "probe",
    "probed",
]

RULES: dict[str, type[Rule]] = {
    # Rule none is the start as it is: a chain of no steps.
    "none": GradientRule,
    "gradient": GradientRule,
    "nearest": NearestRule,
    "prototypes": PrototypesRule,
    "matching": MatchingRule,
    "siamese": SiameseRule,
    "ridge": RidgeRule,
    "svm": SvmRule,
}


def build_rule(setting: Setting) -> Rule:
    """The rule that the setting's adaptation names."""
    return RULES[setting.adaptation.rule](setting)
