"""Switches of the inner loop that make no sense together, or not with the rules around them."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from engine.presets.contradiction import Contradiction
from engine.presets.names import parameter_names
from engine.presets.overlay import test_adaptation, validation_adaptation
from engine.presets.schema import Adaptation, ImageTask, PartialAdaptation, Spec


def inner_loop_contradictions(spec: Spec) -> Iterator[Contradiction]:
    """Every contradiction among a spec's inner-loop switches."""
    yield from _rates(spec)
    yield from _updates(spec.adaptation)
    yield from _losses(spec)
    yield from _norms(spec)
    yield from _linearised(spec)
    yield from _heads(spec)
    yield from _interpolation(spec)
    yield from _ensemble(spec)
    if spec.outer.rule != "none":
        yield from _later(spec, validation_adaptation(spec), "training.validation.adaptation")
    yield from _later(spec, test_adaptation(spec), "evaluation.adaptation")


def _ensemble(spec: Spec) -> Iterator[Contradiction]:
    members, training = spec.evaluation.ensemble, spec.training
    validations = 0 if spec.outer.rule == "none" else -(-training.iterations // training.validation.every)
    if members > max(validations, 1):
        reason = f"evaluation.ensemble {members}: training validates {validations} times, a checkpoint each"
        yield Contradiction(reason, ("evaluation.ensemble", "training.validation.every"))


def _rates(spec: Spec) -> Iterator[Contradiction]:
    adaptation, outer = spec.adaptation, spec.outer.rule
    learned, rate = adaptation.learned_rates, adaptation.learning_rate
    if learned == "none":
        if not isinstance(rate, float):
            reason = "adaptation.learning_rate is a range, from which only adaptation.learned_rates are drawn"
            yield Contradiction(reason, ("adaptation.learning_rate", "adaptation.learned_rates"))
        return
    keys = ("adaptation.learned_rates", "outer.rule", "adaptation.rule")
    if adaptation.rule != "gradient":
        reason = f"adaptation.learned_rates {learned}: rule {adaptation.rule} takes no steps that have a rate"
        yield Contradiction(reason, keys)
    elif outer != "meta-gradient":
        reason = f"adaptation.learned_rates {learned}: outer.rule {outer} has no gradient to move them"
        yield Contradiction(reason, keys)
    elif adaptation.steps == 0:
        reason = f"adaptation.learned_rates {learned}: adaptation.steps 0 uses no rate"
        yield Contradiction(reason, ("adaptation.learned_rates", "adaptation.steps"))
    ways = spec.training.ways
    another = isinstance(spec.task, ImageTask) and ways not in (None, spec.task.ways)
    if learned == "parameter" and another and adaptation.parameters != "body":
        reason = f"training.ways {ways} and task.ways cannot share learned rates of a head's parameters"
        yield Contradiction(reason, ("training.ways", "adaptation.learned_rates"))
    if isinstance(rate, tuple) and rate[0] > rate[1]:
        reason = f"adaptation.learning_rate must rise from low to high, found [{rate[0]:g}, {rate[1]:g}]"
        yield Contradiction(reason, ("adaptation.learning_rate",))


def _updates(adaptation: Adaptation) -> Iterator[Contradiction]:
    if adaptation.moments == "carried" and adaptation.update != "adam":
        reason = f"adaptation.moments carried: update {adaptation.update} has no second moments; adam has"
        yield Contradiction(reason, ("adaptation.moments", "adaptation.update"))


def _losses(spec: Spec) -> Iterator[Contradiction]:
    adaptation, outer = spec.adaptation, spec.outer.rule
    if adaptation.loss == "last":
        return
    if outer != "meta-gradient" or adaptation.rule != "gradient":
        reason = "adaptation.loss multi-step weighs losses of the meta-gradient through gradient steps"
        found = f"found rule {adaptation.rule} under outer.rule {outer}"
        yield Contradiction(f"{reason}: {found}", ("adaptation.loss", "outer.rule", "adaptation.rule"))
    elif adaptation.steps < 2:
        reason = f"adaptation.loss multi-step needs two inner steps or more, found {adaptation.steps}"
        yield Contradiction(reason, ("adaptation.loss", "adaptation.steps"))


def _norms(spec: Spec) -> Iterator[Contradiction]:
    adaptation, model, outer = spec.adaptation, spec.model, spec.outer.rule
    has_norms = any(name.endswith(".scale") for name in parameter_names(model))
    for name in ("per_step_norms", "running_statistics"):
        if getattr(adaptation, name) and not has_norms:
            reason = f"adaptation.{name}: the model has no normalisation (model.norm)"
            yield Contradiction(reason, (f"adaptation.{name}", "model.norm", "model.name"))
    if adaptation.running_statistics and outer == "none":
        reason = "adaptation.running_statistics are kept in training; outer.rule none has none"
        yield Contradiction(reason, ("adaptation.running_statistics", "outer.rule"))
    if spec.evaluation.statistics == "running" and not adaptation.running_statistics:
        reason = "evaluation.statistics running: training keeps none; set adaptation.running_statistics"
        yield Contradiction(reason, ("evaluation.statistics", "adaptation.running_statistics"))
    if adaptation.rule == "gradient" and adaptation.batch == 1 and has_norms:
        reason = "adaptation.batch 1: an example that normalises itself alone says nothing; give 2 or more"
        yield Contradiction(reason, ("adaptation.batch", "model.norm"))
    if not adaptation.per_step_norms:
        return
    if adaptation.rule != "gradient" or outer != "meta-gradient" or adaptation.steps == 0:
        found = f"found {adaptation.steps} steps of rule {adaptation.rule} under outer.rule {outer}"
        reason = f"adaptation.per_step_norms are learned by the meta-gradient, one set an inner step: {found}"
        yield Contradiction(reason, ("adaptation.per_step_norms", "outer.rule", "adaptation.rule"))
    patterns = adaptation.parameters if isinstance(adaptation.parameters, tuple) else ()
    norms = [n for n in parameter_names(model) if n.endswith((".scale", ".shift"))]
    touching = next((p for p in patterns if all(n in norms for n in _fitting(p, spec))), None)
    if touching is not None:
        reason = f'adaptation.parameters "{touching}": with per_step_norms the outer loop alone moves norms'
        yield Contradiction(reason, ("adaptation.parameters", "adaptation.per_step_norms"))


def _fitting(pattern: str, spec: Spec) -> list[str]:
    return [name for name in parameter_names(spec.model) if fnmatchcase(name, pattern)]


def _linearised(spec: Spec) -> Iterator[Contradiction]:
    if spec.adaptation.linearised:
        reason = "adaptation.linearised is a view for testing: set evaluation.adaptation.linearised"
        yield Contradiction(reason, ("adaptation.linearised",))
    for section, adaptation in (
        ("training.validation.adaptation", validation_adaptation(spec)),
        ("evaluation.adaptation", test_adaptation(spec)),
    ):
        if adaptation.linearised and adaptation.rule != "gradient":
            reason = f"{section}.linearised is for rule gradient, found {adaptation.rule}"
            yield Contradiction(reason, (f"{section}.linearised", f"{section}.rule"))


def _heads(spec: Spec) -> Iterator[Contradiction]:
    adaptation = spec.adaptation
    if adaptation.stored_heads == "outer" and adaptation.head != "stored":
        reason = f"adaptation.stored_heads outer is for head stored, found head {adaptation.head}"
        yield Contradiction(reason, ("adaptation.stored_heads", "adaptation.head"))


def _interpolation(spec: Spec) -> Iterator[Contradiction]:
    adaptation = spec.adaptation
    if spec.outer.rule != "interpolate":
        return
    keys = ("outer.rule", "adaptation.rule", "adaptation.steps")
    if adaptation.rule != "gradient":
        reason = "outer.rule interpolate goes towards adapted parameters, which only rule gradient has"
        yield Contradiction(f"{reason}; found {adaptation.rule}", keys)
    elif adaptation.stored_heads == "outer":
        reason = "adaptation.stored_heads outer: outer.rule interpolate has no gradient to move them"
        yield Contradiction(reason, ("adaptation.stored_heads", "outer.rule"))
    elif adaptation.steps == 0:
        yield Contradiction("outer.rule interpolate: adaptation.steps 0 leaves nothing to go towards", keys)
    elif adaptation.parameters == "head" and adaptation.head != "learned":
        reason = f"outer.rule interpolate: adaptation.head {adaptation.head} alone adapts, and has no start"
        yield Contradiction(reason, ("outer.rule", "adaptation.parameters", "adaptation.head"))


def _later(spec: Spec, adaptation: Adaptation, section: str) -> Iterator[Contradiction]:
    """What validation or testing lays over the inner loop of training."""
    partial: PartialAdaptation = (
        spec.evaluation.adaptation if section.startswith("eval") else spec.training.validation.adaptation
    )
    trained, used = spec.adaptation, adaptation.learned_rates
    if partial.learned_rates not in (None, "none", trained.learned_rates):
        reason = f"{section}.learned_rates {used}: training learns none such ({trained.learned_rates})"
        yield Contradiction(reason, (f"{section}.learned_rates", "adaptation.learned_rates"))
        return
    if adaptation.rule == "gradient" and used == "none" and not isinstance(adaptation.learning_rate, float):
        reason = f"{section}.learned_rates none leaves a range as rate: give {section}.learning_rate a number"
        yield Contradiction(reason, (f"{section}.learned_rates", "adaptation.learning_rate"))
    if used != "none":
        for name in ("learning_rate", "parameters"):
            if getattr(partial, name) not in (None, getattr(trained, name)):
                reason = f"{section}.{name}: learned rates are used there; set {section}.learned_rates none"
                yield Contradiction(reason, (f"{section}.{name}", "adaptation.learned_rates"))
        tune = spec.evaluation.tune
        tuned = tune is not None and (tune.learning_rate or tune.parameters)
        if tuned and section.startswith("eval"):
            reason = "evaluation.tune cannot choose a rate or what adapts where learned rates are used"
            yield Contradiction(
                f"{reason}; set {section}.learned_rates none", ("evaluation.tune", "adaptation.learned_rates")
            )
    if partial.moments == "carried" and trained.moments != "carried":
        reason = f"{section}.moments carried: training carries none"
        yield Contradiction(reason, (f"{section}.moments", "adaptation.moments"))
    if partial.rule not in (None, "gradient", "none") and partial.parameters not in (None, "all"):
        reason = f"{section}.parameters is for rule gradient; rule {partial.rule} adapts no parameters"
        yield Contradiction(reason, (f"{section}.parameters", f"{section}.rule"))
