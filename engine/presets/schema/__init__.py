"""The schema of a resolved spec: every key that a run, a preset or `--set` may name, with its type and
bounds.

A spec is frozen and checked once, here; no code behind it checks again. Contradictions between keys stand in
`engine.presets.contradictions`, files and layers in `engine.presets.layers`.
"""

from engine.presets.schema.adaptation import Adaptation, AnnealedOrder, MultiStep, PartialAdaptation
from engine.presets.schema.evaluation import KEPT_BEST, Evaluation, Tune
from engine.presets.schema.model import Model
from engine.presets.schema.origin import Origin, Published
from engine.presets.schema.outer import Outer
from engine.presets.schema.section import Section
from engine.presets.schema.spec import Spec
from engine.presets.schema.task import ImageTask, SineTask, Task
from engine.presets.schema.training import Training, Validation

__all__ = [
    "KEPT_BEST",
    "Adaptation",
    "AnnealedOrder",
    "Evaluation",
    "ImageTask",
    "Model",
    "MultiStep",
    "Origin",
    "Outer",
    "PartialAdaptation",
    "Published",
    "Section",
    "SineTask",
    "Spec",
    "Task",
    "Training",
    "Tune",
    "Validation",
]
