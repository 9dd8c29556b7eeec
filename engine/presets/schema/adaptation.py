"""`adaptation`: how the model learns one task; and what of it may be laid over at test time."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from engine.presets.schema.section import Count, Decay, Fraction, Positive, PositiveRate, Range, Rate, Section

RuleName = Literal["none", "gradient", "nearest", "prototypes", "matching", "siamese", "ridge", "svm"]
Head = Literal["learned", "zero", "means", "random", "stored"]


class AnnealedOrder(Section):
    """Order `from` in the first `at` of the training iterations, order `to` after (MAML++, DA)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    start: Literal[1, 2] = Field(1, alias="from")
    to: Literal[1, 2] = 2
    at: Fraction = 0.5


class MultiStep(Section):
    """`loss: multi-step`: weights start equal and go to the last step over `until` of training (MSL)."""

    until: Fraction = Field(0.15, description="fraction of training after which the last step alone counts")
    floor: Fraction = Field(0.03, description="k times the least weight of an earlier step until then")


class Ridge(Section):
    """`rule: ridge`: least |XW − Y|² + λ|W|² (R2D2, Bertinetto 2019)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    strength: PositiveRate = Field(1.0, alias="lambda", description="λ; where it is learned, its start")
    learned: bool = Field(True, description="whether the outer loop learns λ (as its logarithm)")
    intercept: bool = Field(True, description="a feature of one beside the others")
    scale: PositiveRate = Field(1.0, description="of the outputs, at its start: it is learned")


class Svm(Section):
    """`rule: svm`: Crammer and Singer's multi-class machine (MetaOptNet, Lee 2019)."""

    c: PositiveRate = Field(0.1, description="C: what an example that is not set apart costs")
    scale: PositiveRate = Field(1.0, description="of the outputs, at its start: it is learned")


class Adaptation(Section):
    """How the model learns one task from its support set."""

    rule: RuleName = "gradient"
    steps: Count = Field(1, description="inner steps")
    update: Literal["sgd", "momentum", "adam"] = Field("sgd", description="how an inner step moves")
    momentum: Decay = Field(0.9, description="`update: momentum`: how much of the sum of gradients goes on")
    betas: Annotated[tuple[Decay, Decay], Field(strict=False)] = Field(
        (0.9, 0.999), description="`update: adam`: decay of first and second moments"
    )
    moments: Literal["reset", "carried"] = Field(
        "reset",
        description="`update: adam`: second moments begin at zero in each task, or at the mean of what the "
        "last meta-batch left, in testing too",
    )
    batch: Positive | None = Field(
        None, description="support examples of an inner step; none (or more than there are): all of them"
    )
    learning_rate: Rate | Range = Field(
        0.01,
        description="the inner loop's rate, may be negative; [low, high]: learned rates are drawn from there",
    )
    learned_rates: Literal["none", "layer", "layer-step", "parameter"] = Field(
        "none",
        description="rates that the outer loop learns: for each tensor, each tensor and step, each parameter",
    )
    parameters: (
        Literal["all", "head", "body"] | Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    ) = Field("all", description="what adapts: all, head, body, or a list of name patterns")
    order: Literal[1, 2] | AnnealedOrder = Field(
        2, description="of the meta-gradient: 1, 2, or {from, to, at}"
    )
    loss: Literal["last", "multi-step"] = Field(
        "last", description="which query losses count in the outer loop: after the last step, or after each"
    )
    multi_step: MultiStep = MultiStep()
    per_step_norms: bool = Field(False, description="a scale and a shift of each norm for each inner step")
    running_statistics: bool = Field(
        False, description="keep running batch statistics in training, for each inner step where there are"
    )
    head: Head = Field("learned", description="where the head starts in each task")
    stored_heads: Literal["adapted", "outer"] = Field(
        "adapted", description="`head: stored`: what changes the table: the inner loop, or the outer one"
    )
    new_head: Literal["zero", "random"] = Field(
        "zero", description="`head: stored`: the start of an unseen task's head"
    )
    loss_reduction: Literal["mean", "sum"] = Field("mean", description="of the support loss over examples")
    linearised: bool = Field(
        False,
        description="adapt the model's tangent at its start in place of the model: a view for testing alone",
    )
    constant_memory: bool = Field(
        False, description="keep one step's tape at a time: less memory, one more forward pass a step"
    )
    distance: Literal["euclidean", "cosine"] = Field(
        "euclidean", description="rules prototypes and nearest: what is close; matching is by cosine always"
    )
    sharpness: PositiveRate = Field(
        1.0, description="rule matching: what cosine similarities are multiplied by before their softmax"
    )
    full_context: bool = Field(
        False, description="rule matching: examples are embedded in the light of the whole support set"
    )
    context_steps: Positive = Field(
        5, description="`full_context`: how often a query's embedding reads the support set"
    )
    ridge: Ridge = Ridge()
    svm: Svm = Svm()


class PartialAdaptation(Section):
    """Adaptation keys laid over `adaptation` at test time; what is not given stays."""

    rule: RuleName | None = None
    steps: Count | None = None
    update: Literal["sgd", "momentum", "adam"] | None = None
    momentum: Decay | None = None
    betas: Annotated[tuple[Decay, Decay], Field(strict=False)] | None = None
    moments: Literal["reset", "carried"] | None = None
    batch: Positive | None = None
    learning_rate: Rate | None = None
    learned_rates: Literal["none", "layer", "layer-step", "parameter"] | None = None
    parameters: (
        Literal["all", "head", "body"] | Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None
    ) = None
    order: Literal[1, 2] | AnnealedOrder | None = None
    head: Head | None = None
    new_head: Literal["zero", "random"] | None = None
    loss_reduction: Literal["mean", "sum"] | None = None
    linearised: bool | None = None
    constant_memory: bool | None = None
    distance: Literal["euclidean", "cosine"] | None = None
    sharpness: PositiveRate | None = None
