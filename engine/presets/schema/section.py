"""What the schema's sections are made of: a frozen group of keys, and numbers with their bounds."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST = 10**9
"""The largest count that a spec may ask for: whatever takes more is beyond any machine."""
Positive = Annotated[int, Field(ge=1, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Seed = Annotated[int, Field(ge=0, le=10**18)]
Ways = Annotated[int, Field(ge=2, le=MOST)]
Rate = Annotated[float, Field(allow_inf_nan=False)]
PositiveRate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Range = Annotated[tuple[Rate, Rate], Field(strict=False)]


class Section(BaseModel):
    """A frozen group of keys; unknown keys and loose types are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
