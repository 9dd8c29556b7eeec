"""`task`: what a task is, and where its examples come from."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from engine.presets.schema.section import Positive, Range, Section, Ways

ImageDataset = Literal["glyphs", "omniglot", "miniimagenet", "cifar-fs", "fc100", "folder"]


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
