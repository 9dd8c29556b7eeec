"""Answers about an episode as values: checked once, so that no drawing has to mistrust a file."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui.wave_family import DEFAULTS, family_mean

Numbers = NDArray[np.float64]
Pixels = NDArray[np.uint8]
LARGEST = 1e15
"""What is said to be larger is not believed; a number counts as not finite then."""
LETTERS = "αβγδεζηθικλμνξοπρστυφχψω"


@dataclass(frozen=True, eq=False)
class Adapted:
    """One episode under one checkpoint; metric is a fraction (accuracy) or a squared error.

    `steps` [S] rising, `metric` [S], `after` the place among the steps that counts as after adaptation,
    `moved` by layer [S], NaN where that has no meaning.
    """

    algorithm: str
    task: str
    number: int
    steps: tuple[int, ...]
    metric: Numbers
    after: int
    moved: Mapping[str, Numbers]

    def at(self, step: int) -> int:
        """The place of the last recorded step that is not beyond `step`."""
        return max((place for place, own in enumerate(self.steps) if own <= step), default=0)


@dataclass(frozen=True, eq=False)
class ImageEpisode(Adapted):
    """Images `[n, h, w, C]` with labels `[n]`; `probabilities [S, Q, N]`."""

    classes: tuple[str, ...]
    support: Pixels
    support_labels: tuple[int, ...]
    query: Pixels
    query_labels: tuple[int, ...]
    probabilities: Numbers

    @property
    def ways(self) -> int:
        """How many classes."""
        return int(self.probabilities.shape[2])

    @cached_property
    def support_images(self) -> tuple[Pixels, ...]:
        """The support images one by one, the same arrays at every call."""
        return tuple(self.support)

    @cached_property
    def query_images(self) -> tuple[Pixels, ...]:
        """The query images one by one, the same arrays at every call."""
        return tuple(self.query)

    def predicted(self, place: int) -> NDArray[np.int64]:
        """The class that each query is taken for `[Q]`."""
        return self.probabilities[place].argmax(-1)


@dataclass(frozen=True, eq=False)
class CurveEpisode(Adapted):
    """A true curve `truth [n]` at `x [n]`, support points `[K]`, and `predictions [S, n]`; `mean [n]` of the
    family of tasks, None where the model is told which of them it has."""

    x: Numbers
    truth: Numbers
    support_x: Numbers
    support_y: Numbers
    predictions: Numbers
    mean: Numbers | None = None

    @property
    def from_mean(self) -> float | None:
        """Root mean square over `x` of the function before adaptation less the family's mean; None where
        one of them is not there."""
        if self.mean is None or self.steps[0] != 0:
            return None
        return float(np.sqrt(np.mean((self.predictions[0] - self.mean) ** 2)))


def letter(label: int) -> str:
    """A short name for a class of an episode."""
    return LETTERS[label] if label < len(LETTERS) else f"c{label + 1}"


def read_answer(content: Mapping[str, Any]) -> ImageEpisode | CurveEpisode:
    """The answer in a result file. Raises ValueError for one that is not whole."""
    try:
        return _images(content) if content["shows"] == "images" else _curves(content)
    except (KeyError, TypeError, IndexError, OverflowError, AttributeError, binascii.Error) as fault:
        raise ValueError(f"an answer that cannot be read ({fault})") from fault


def _common(content: Mapping[str, Any]) -> dict[str, Any]:
    steps = _counts(content["steps"])
    if not steps or any(a >= b for a, b in pairwise(steps)):
        raise ValueError("steps that do not rise")
    metric = _table(content["metric"], (len(steps),))
    after = content.get("after_step")
    return {
        "algorithm": str(content["algorithm"]),
        "task": str(content["task"]),
        "number": _counts([content["episode"]])[0],
        "steps": steps,
        "metric": metric,
        "after": steps.index(after) if after in steps else len(steps) - 1,
        "moved": {str(k): _table(v, (len(steps),)) for k, v in dict(content["moved"]).items()},
    }


def _images(content: Mapping[str, Any]) -> ImageEpisode:
    common = _common(content)
    support, query = _pixels(content["support"]), _pixels(content["query"])
    probabilities = np.array(content["probabilities"], np.float64)
    if probabilities.ndim != 3:
        raise ValueError("probabilities that are no table of queries and classes for each step")
    ways = probabilities.shape[-1]
    classes = tuple(str(name) for name in content["classes"])
    if len(classes) != ways:
        raise ValueError(f"{len(classes)} classes where {ways} are told apart")
    _table(content["probabilities"], (len(common["steps"]), len(query), ways))
    return ImageEpisode(
        **common,
        classes=classes,
        support=support,
        support_labels=_labels(content["support_labels"], len(support), ways),
        query=query,
        query_labels=_labels(content["query_labels"], len(query), ways),
        probabilities=probabilities,
    )


def _curves(content: Mapping[str, Any]) -> CurveEpisode:
    common, x = _common(content), _table(content["x"], (len(content["x"]),))
    count = len(content["support_x"])
    return CurveEpisode(
        **common,
        x=x,
        truth=_table(content["truth"], (len(x),)),
        support_x=_table(content["support_x"], (count,)),
        support_y=_table(content["support_y"], (count,)),
        predictions=_table(content["predictions"], (len(common["steps"]), len(x))),
        mean=_mean(content.get("family"), x),
    )


def _mean(family: Any, x: Numbers) -> Numbers | None:
    """The mean of the family that the answer names; None where it names none."""
    if family is None:
        return None
    ranges = {key: _table(family[key], (2,)).tolist() for key in DEFAULTS}
    return family_mean({**ranges, "shift": family["shift"]}, x)


def _table(values: Any, shape: tuple[int, ...]) -> Numbers:
    found = np.array(values, np.float64)
    found[np.abs(found) > LARGEST] = np.nan
    if found.shape != shape or 0 in shape:
        raise ValueError(f"numbers of shape {found.shape} where {shape} is expected")
    return found


def _counts(values: Sequence[Any]) -> tuple[int, ...]:
    """Whole numbers from 0 on."""
    found = tuple(int(value) for value in values)
    if not all(0 <= value < LARGEST for value in found):
        raise ValueError("counts that are none")
    return found


def _labels(values: Sequence[Any], count: int, ways: int) -> tuple[int, ...]:
    labels = _counts(values)
    if len(labels) != count or not all(0 <= label < ways for label in labels):
        raise ValueError("labels that do not fit the images")
    return labels


def _pixels(packed: Mapping[str, Any]) -> Pixels:
    shape = _counts(packed["shape"])
    pixels = np.frombuffer(base64.b64decode(packed["data"]), np.uint8).reshape(shape)
    if len(shape) != 4 or 0 in shape or shape[3] not in (1, 3):
        raise ValueError(f"images of shape {shape}")
    return pixels
