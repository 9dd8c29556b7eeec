"""`model`: the body that learns features."""

from typing import Annotated, Literal

from pydantic import Field

from engine.presets.schema.section import Positive, PositiveRate, Section


class Model(Section):
    """The body that learns features; heads are made by the adaptation rule."""

    name: Literal["conv4", "resnet12", "torchvision", "mlp", "pixels"] = Field(
        "conv4", description="`pixels` has no parameters: its features are the image's own values"
    )
    filters: Positive = Field(
        64,
        description="conv4: filters of each block; resnet12: of the first, the others have 2.5, 5 and 10 "
        "times as many",
    )
    pooling: Literal["max", "stride"] = Field("max", description="conv4: 2x2 max-pooling, or strides of 2")
    features: Literal["flatten", "mean"] = Field(
        "flatten",
        description="images: the last maps as they are, or their mean over positions (Finn's strided net)",
    )
    dropblock: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="resnet12: share of the last two blocks' maps that is dropped in training, by squares",
    )
    dropblock_size: Positive = Field(5, description="resnet12: pixels a side of DropBlock's squares")
    backbone: Literal["resnet18", "resnet34"] = Field(
        "resnet18", description="torchvision: which of its networks"
    )
    hidden: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)] = Field(
        (40, 40), description="mlp: units of each hidden layer"
    )
    norm: Literal["batch", "none"] = Field("batch", description="normalisation of each block or hidden layer")
    head: Literal["linear", "cosine"] = Field(
        "linear",
        description="`cosine`: logits are `head_scale` times the cosine of feature and weight (Chen 2019)",
    )
    head_scale: PositiveRate = Field(10.0, description="`head: cosine`: what cosines are multiplied by")
