"""`training`: how long, on what, and what is recorded and validated meanwhile."""

from typing import Annotated, Literal

from pydantic import Field

from engine.presets.schema.adaptation import PartialAdaptation
from engine.presets.schema.section import Positive, PositiveRate, Section, Ways


class Validation(Section):
    """Testing on validation episodes while training: it chooses the best checkpoint."""

    every: Positive = Field(500, description="iterations between validations")
    episodes: Positive = 200
    adaptation: PartialAdaptation = Field(
        PartialAdaptation(),
        description="laid over `adaptation` in validation (a pretrained body is fine-tuned for it)",
    )


class Training(Section):
    """How long and on what."""

    iterations: Positive = 5000
    time_limit: PositiveRate | None = Field(
        None, description="seconds of training after which a run ends as finished"
    )
    tasks_per_batch: Positive = Field(16, description="tasks of a meta-batch")
    examples_per_batch: Positive | None = Field(
        None, description="outer rule joint: examples of a batch; none: as many as a meta-batch has"
    )
    ways: Ways | None = Field(None, description="none: task.ways")
    shots: Positive | None = Field(None, description="none: task.shots")
    queries: Positive | None = Field(None, description="none: task.queries")
    tasks: Positive | None = Field(None, description="size of a finite set of training tasks; none: endless")
    augment: Literal["none", "affine"] = Field(
        "none",
        description="images of training: `affine` turns, shears, scales and shifts each a little, whatever "
        "the algorithm",
    )
    precision: Literal["full", "tf32", "bf16"] = Field(
        "full",
        description="of training's products and convolutions on CUDA: float32 as it is, with TF32's 10 bits "
        "of mantissa, or in bfloat16; records, validation and testing are in full",
    )
    tasks_at_once: Positive | None = Field(
        None,
        description="tasks of a meta-batch worked on at once; none: as keeps a layer below 256 MB",
    )
    record_every: Positive = Field(20, description="iterations between recorded losses")
    checkpoint_every: Positive = Field(500, description="iterations between checkpoints")
    keep: Annotated[tuple[Positive, ...], Field(strict=False)] = Field(
        (), description="iterations whose checkpoints are kept besides the best and the last two"
    )
    validation: Validation = Validation()
