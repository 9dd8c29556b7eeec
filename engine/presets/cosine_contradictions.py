"""Where a cosine head makes no sense: it knows directions alone."""

from collections.abc import Iterator

from engine.presets.contradiction import Contradiction
from engine.presets.names import head_at_zero
from engine.presets.overlay import test_adaptation, validation_adaptation
from engine.presets.schema import SineTask, Spec


def cosine_contradictions(spec: Spec) -> Iterator[Contradiction]:
    """Every contradiction of a spec with `model.head: cosine`."""
    if spec.model.head != "cosine":
        return
    if isinstance(spec.task, SineTask):
        reason = "model.head cosine tells classes apart by direction; a sine task has none"
        yield Contradiction(reason, ("model.head",))
    used = [(spec.adaptation, "adaptation")] if spec.outer.rule not in ("joint", "none") else []
    if spec.outer.rule != "none":
        used.append((validation_adaptation(spec), "training.validation.adaptation"))
    used.append((test_adaptation(spec), "evaluation.adaptation"))
    for adaptation, section in used:
        if adaptation.rule == "gradient" and head_at_zero(adaptation):
            key = f"{section}.{'new_head' if adaptation.head == 'stored' else 'head'}"
            reason = f"{key} zero: a cosine head of zeros has no direction to start from"
            yield Contradiction(reason, (key, "adaptation.head", "model.head"))
    tune = spec.evaluation.tune
    if tune is not None and "zero" in (tune.head or ()):
        reason = "evaluation.tune.head zero: a cosine head of zeros has no direction to start from"
        yield Contradiction(reason, ("evaluation.tune.head", "model.head"))
