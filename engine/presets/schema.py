"""The schema of a resolved spec: every key that a run, a preset or `--set` may name, with its type and
bounds.

A spec is frozen and checked once, here; no code behind it checks again. Contradictions between keys stand in
`contradictions.py`, files and layers in `layers.py`.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from engine.presets.origin import Origin
from engine.presets.section import (
    Count,
    Decay,
    Fraction,
    Positive,
    PositiveRate,
    Range,
    Rate,
    Section,
    Seed,
    Ways,
)

ImageDataset = Literal["glyphs", "omniglot", "miniimagenet", "cifar-fs", "fc100", "folder"]
RuleName = Literal["none", "gradient", "nearest", "prototypes", "matching", "siamese", "ridge", "svm"]
Head = Literal["learned", "zero", "means", "random", "stored"]
Statistics = Literal["query", "support", "one", "running"]
KEPT_BEST = 5
"""How many of a training's best checkpoints on validation are kept."""


class ImageTask(Section):
    """Image episodes: `ways` classes with fresh labels, `shots` support and `queries` query images a
    class."""

    dataset: ImageDataset
    split: str = Field("default", description="the named split; `default` is the data set's own")
    folder: str | None = Field(
        None, description="for `dataset: folder`: its name in the data folder, or a path"
    )
    image_size: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, description="pixels a side; none: the data set's own"
    )
    channels: Literal[1, 3] | None = Field(None, description="1 grey, 3 colour; none: the data set's own")
    rotations: Literal["none", "drawn", "classes"] = Field(
        "none",
        description="`drawn`: each class of an episode is turned by a random multiple of 90° (Finn 2017); "
        "`classes`: each turned class is a class of its own (Vinyals 2016)",
    )
    ways: Ways = Field(5, description="N: classes of an episode")
    shots: Positive = Field(1, description="K: support images a class")
    queries: Positive = Field(15, description="query images a class")


class SineTask(Section):
    """Waves y = amplitude · sin(frequency · x ± phase), each parameter drawn uniformly from its range."""

    dataset: Literal["sine"]
    amplitude: Range = (0.1, 5.0)
    phase: Range = Field((0.0, 3.141592653589793), description="radians")
    frequency: Range = (1.0, 1.0)
    shift: Literal["minus", "plus"] = Field(
        "minus",
        description="`minus`: sin(frequency · x − phase), as Finn 2017; `plus`: sin(frequency · x + phase)",
    )
    support_x: Range = Field((-5.0, 5.0), description="where the support points may lie")
    query_x: Range = Field((-5.0, 5.0), description="where the query points may lie")
    oracle: bool = Field(
        False, description="what differs from wave to wave is given to the model beside x (Finn's oracle)"
    )
    shots: Positive = Field(10, description="K: support points")
    queries: Positive = Field(100, description="query points")


def _task_kind(value: Any) -> str:
    dataset = value.get("dataset") if isinstance(value, dict) else getattr(value, "dataset", None)
    return "sine" if dataset == "sine" else "images"


Task = Annotated[
    Annotated[ImageTask, Tag("images")] | Annotated[SineTask, Tag("sine")], Discriminator(_task_kind)
]


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
