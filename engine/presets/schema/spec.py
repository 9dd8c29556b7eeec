"""The schema of a resolved spec as a whole."""

from typing import Literal

from pydantic import Field

from engine.presets.schema.adaptation import Adaptation
from engine.presets.schema.evaluation import Evaluation
from engine.presets.schema.model import Model
from engine.presets.schema.origin import Origin
from engine.presets.schema.outer import Outer
from engine.presets.schema.section import Section, Seed
from engine.presets.schema.task import Task
from engine.presets.schema.training import Training


class Spec(Section):
    """A run, fully resolved."""

    kind: Literal["train"] = "train"
    origin: Origin = Origin()
    task: Task
    model: Model = Model()
    adaptation: Adaptation = Adaptation()
    outer: Outer = Outer()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    seed: Seed = 0
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
