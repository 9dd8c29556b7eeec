"""`outer`: how meta-parameters learn from many tasks."""

from typing import Annotated, Literal

from pydantic import Field

from engine.presets.schema.section import Fraction, PositiveRate, Section


class Drops(Section):
    """`schedule: drops`: the rate is multiplied by `factor` at each of these fractions of training."""

    at: Annotated[tuple[Fraction, ...], Field(strict=False, min_length=1)] = (0.5, 0.75)
    factor: PositiveRate = 0.1


class Outer(Section):
    """How meta-parameters learn from many tasks."""

    rule: Literal["meta-gradient", "interpolate", "joint", "none"] = Field(
        "meta-gradient",
        description="`interpolate`: towards the mean of the adapted parameters (Reptile); "
        "`joint`: one model on all classes or tasks together",
    )
    optimizer: Literal["adam", "sgd", "nesterov"] = "adam"
    learning_rate: PositiveRate = 0.001
    schedule: Literal["constant", "cosine", "linear", "drops"] = "constant"
    final_learning_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="where cosine and linear schedules end"
    )
    drops: Drops = Drops()
    clip: PositiveRate | None = Field(
        None, description="each entry of the meta-gradient is clamped to ± this"
    )
