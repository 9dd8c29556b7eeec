"""The adaptation of testing and of validation: `adaptation` with the partial one laid over."""

from engine.presets.schema import Adaptation, PartialAdaptation, Spec


def test_adaptation(spec: Spec) -> Adaptation:
    """`adaptation` with `evaluation.adaptation` and `evaluation.steps` laid over (none for rule none)."""
    return _over(spec.adaptation, spec.evaluation.adaptation, spec.evaluation.steps)


def validation_adaptation(spec: Spec) -> Adaptation:
    """`adaptation` with `training.validation.adaptation` laid over; rule none takes no steps."""
    return _over(spec.adaptation, spec.training.validation.adaptation, None)


def _over(adaptation: Adaptation, partial: PartialAdaptation, steps: int | None) -> Adaptation:
    given = {
        name: value
        for name in PartialAdaptation.model_fields
        if (value := getattr(partial, name)) is not None
    }
    if steps is not None:
        given["steps"] = steps
    if given.get("rule", adaptation.rule) == "none":
        given["steps"] = 0
    return adaptation.model_copy(update=given)


# pytest would take the name for a test's where a test file imports it.
test_adaptation.__test__ = False  # type: ignore[attr-defined]
