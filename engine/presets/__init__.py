"""Presets: what can be run, as YAML; and the spec that a run is made from."""

from engine.presets.comparisons import Comparison, Row, load_comparison
from engine.presets.contradictions import Contradiction, contradictions
from engine.presets.files import Kind, Preset, list_presets, load_preset
from engine.presets.overlay import test_adaptation, validation_adaptation
from engine.presets.resolving import Resolved, resolve
from engine.presets.schema import (
    Adaptation,
    Evaluation,
    ImageTask,
    Model,
    Origin,
    Outer,
    PartialAdaptation,
    Published,
    SineTask,
    Spec,
    Training,
    Tune,
    Validation,
)
from engine.presets.specs import load_spec, spec_from_dict, spec_to_dict
from engine.presets.training_key import NUMERICS_VERSION, training_key

__all__ = [
    "NUMERICS_VERSION",
    "Adaptation",
    "Comparison",
    "Contradiction",
    "Evaluation",
    "ImageTask",
    "Kind",
    "Model",
    "Origin",
    "Outer",
    "PartialAdaptation",
    "Preset",
    "Published",
    "Resolved",
    "Row",
    "SineTask",
    "Spec",
    "Training",
    "Tune",
    "Validation",
    "contradictions",
    "list_presets",
    "load_comparison",
    "load_preset",
    "load_spec",
    "resolve",
    "spec_from_dict",
    "spec_to_dict",
    "test_adaptation",
    "training_key",
    "validation_adaptation",
]
