"""`evaluation`: on which episodes a model is tested, and how."""

from typing import Annotated, Literal

from pydantic import Field

from engine.presets.schema.adaptation import Head, PartialAdaptation
from engine.presets.schema.section import Count, Positive, Rate, Section, Seed

Statistics = Literal["query", "support", "one", "running"]
KEPT_BEST = 5
"""How many of a training's best checkpoints on validation are kept."""


class Tune(Section):
    """Test-time choices made on validation episodes: every combination of the lists is tried."""

    learning_rate: Annotated[tuple[Rate, ...], Field(strict=False, min_length=1)] | None = None
    head: Annotated[tuple[Head, ...], Field(strict=False, min_length=1)] | None = None
    parameters: (
        Annotated[tuple[Literal["all", "head", "body"], ...], Field(strict=False, min_length=1)] | None
    ) = None
    steps: bool = Field(False, description="choose the number of steps too, up to the steps of testing")
    episodes: Positive = Field(200, description="validation episodes of each try")


class Evaluation(Section):
    """Testing: which episodes, how many steps, whose batch statistics, and what differs from training."""

    episodes: Positive = 600
    seed: Seed = 0
    steps: Count | None = Field(None, description="inner steps in testing; none: adaptation.steps")
    statistics: Statistics = Field(
        "query",
        description="where batch statistics come from: all queries of the task, the support set alone, "
        "the support set and one query at a time, or running ones of training",
    )
    ensemble: Annotated[int, Field(ge=1, le=KEPT_BEST)] = Field(
        1, description="best checkpoints on validation that predict together, by the mean of their outputs"
    )
    adaptation: PartialAdaptation = PartialAdaptation()
    tune: Tune | None = None
