"""Metric rules (nearest, prototypes, matching, siamese) against the keys around them."""

from collections.abc import Iterator

from engine.presets.contradiction import Contradiction
from engine.presets.overlay import test_adaptation, validation_adaptation
from engine.presets.readers import OF_RULES
from engine.presets.schema import PartialAdaptation, SineTask, Spec

METRIC_RULES = ("nearest", "prototypes", "matching", "siamese")


def classless(spec: Spec) -> Iterator[Contradiction]:
    """A training that compares classes on tasks without classes: said before whatever follows from it."""
    rule = spec.adaptation.rule
    if isinstance(spec.task, SineTask) and rule in METRIC_RULES and spec.outer.rule != "none":
        reason = f"adaptation.rule {rule} compares classes; a sine task has none"
        yield Contradiction(reason, ("adaptation.rule", "task.dataset"))


def metric_contradictions(spec: Spec) -> Iterator[Contradiction]:
    """Every contradiction between metric rules and a spec's other keys."""
    yield from _training(spec)
    if spec.outer.rule != "none":
        partial = spec.training.validation.adaptation
        yield from _later(spec, validation_adaptation(spec).rule, partial, "training.validation.adaptation")
    yield from _later(spec, test_adaptation(spec).rule, spec.evaluation.adaptation, "evaluation.adaptation")
    yield from _unread(spec)


def _training(spec: Spec) -> Iterator[Contradiction]:
    adaptation, outer = spec.adaptation, spec.outer.rule
    rule = adaptation.rule
    if rule in METRIC_RULES and adaptation.head != "learned":
        reason = f"adaptation.head {adaptation.head}: rule {rule} has no head"
        yield Contradiction(reason, ("adaptation.head", "adaptation.rule"))
    scaled = rule == "prototypes" and adaptation.distance == "cosine"
    learns_alone = rule == "siamese" or adaptation.full_context or scaled
    if spec.model.name == "pixels" and outer == "meta-gradient" and rule in METRIC_RULES and not learns_alone:
        reason = f"model.name pixels has no parameters that rule {rule} could learn by"
        yield Contradiction(reason, ("model.name", "adaptation.rule"))
    if adaptation.full_context and (rule != "matching" or outer != "meta-gradient"):
        reason = "adaptation.full_context is learned by the meta-gradient through rule matching"
        found = f"found rule {rule} under outer.rule {outer}"
        keys = ("adaptation.full_context", "adaptation.rule", "outer.rule")
        yield Contradiction(f"{reason}: {found}", keys)
    if rule == "siamese" and outer == "none":
        reason = "adaptation.rule siamese compares by what training learns; outer.rule none learns nothing"
        yield Contradiction(reason, ("adaptation.rule", "outer.rule"))


def _later(spec: Spec, rule: str, partial: PartialAdaptation, section: str) -> Iterator[Contradiction]:
    """What validation or testing lays over training."""
    if rule == "siamese" and spec.adaptation.rule != "siamese":
        reason = f"{section}.rule siamese: training by rule {spec.adaptation.rule} learns no comparison"
        yield Contradiction(reason, (f"{section}.rule", "adaptation.rule"))
    for name in ("distance", "sharpness"):
        if getattr(partial, name) is not None and rule not in OF_RULES[name]:
            reason = f"{section}.{name} is for rule {' or '.join(OF_RULES[name])}, found {rule}"
            yield Contradiction(reason, (f"{section}.{name}", f"{section}.rule"))


def _unread(spec: Spec) -> Iterator[Contradiction]:
    """Keys that neither training nor testing reads."""
    rules = {spec.adaptation.rule, validation_adaptation(spec).rule, test_adaptation(spec).rule}
    for name in ("distance", "sharpness"):
        default = type(spec.adaptation).model_fields[name].default
        if getattr(spec.adaptation, name) != default and not rules & set(OF_RULES[name]):
            reason = f"adaptation.{name} is for rule {' or '.join(OF_RULES[name])}"
            yield Contradiction(
                f"{reason}, found {spec.adaptation.rule}", (f"adaptation.{name}", "adaptation.rule")
            )
