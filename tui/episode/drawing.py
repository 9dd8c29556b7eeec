"""What the episode screen gives its pictures and charts to draw."""

from collections.abc import Sequence

import numpy as np
from rich.style import Style
from textual.color import Color

from tui.charts.series import Series
from tui.episode.answers import CurveEpisode, ImageEpisode, letter
from tui.marks import mark_of
from tui.widgets.images import Group, Picture

WRONG = "✗"
MOST_CURVES = 6
FAINT = "#5f5f5f"
MUTED = "#8a8a8a"
DOTTED = 3
"""Every so many of the points of a dotted curve are drawn."""


def groups(shown: Sequence[ImageEpisode], step: int, chosen: int) -> list[Group]:
    """The support set by class, then each class's queries with what each algorithm takes them for."""
    first = shown[0]
    order = sorted(range(len(first.support_labels)), key=first.support_labels.__getitem__)
    support = [
        Picture(first.support_images[at], letter(first.support_labels[at]), Style(bold=True)) for at in order
    ]
    found = [Group("Support", support, large=True)]
    predicted = [episode.predicted(episode.at(step)) for episode in shown]
    for label in range(first.ways):
        own = [at for at, truth in enumerate(first.query_labels) if truth == label]
        wrong = sum(predicted[0][at] != label for at in own)
        right = f"{len(own) - wrong} of {len(own)} right"
        found.append(
            Group(
                f"Query {letter(label)}  {right}",
                [_query(first, [each[at] for each in predicted], label, at, at == chosen) for at in own],
            )
        )
    return found


def _query(episode: ImageEpisode, predicted: Sequence[int], label: int, at: int, chosen: bool) -> Picture:
    """A query's picture: ✗ and the wrong class, underlined; the baseline's word behind it."""
    words = [letter(taken) if taken == label else WRONG + letter(taken) for taken in predicted]
    caption = words[0] + "".join(f" ┄{word}" for word in words[1:])
    caption = f"▸{caption}" if chosen else caption
    wrong = predicted[0] != label
    return Picture(episode.query_images[at], caption, Style(underline=wrong, bold=wrong, reverse=chosen))


def curve_series(
    episode: CurveEpisode,
    step: int,
    other: CurveEpisode | None = None,
    *,
    short: bool = False,
    mean_label: str = "family's mean",
) -> list[Series]:
    """The true curve, the support points, the function after each step so far, from faint to strong, and the
    family's mean, dotted.

    `other` is drawn dashed, as it is now, where there is no room for a chart of its own. Steps between the
    first and the present one have no label: there is little room, and faint to strong is an order.
    `short`: for a chart of few columns.
    """
    series = [Series("true", episode.x, episode.truth, "$foreground")]
    if episode.mean is not None:
        x, y = episode.x[::DOTTED], episode.mean[::DOTTED]
        series.append(Series("family's mean", x, y, MUTED, kind="points", label=mean_label))
    series += _steps_so_far(episode, step, short)
    if other is not None:
        theirs, place = mark_of(other.algorithm), other.at(step)
        name = f"{other.algorithm} step {other.steps[place]:,}"
        line = other.predictions[place]
        series.append(Series(name, other.x, line, theirs.colour, theirs.shape, dashed=True))
    order = np.argsort(episode.support_x)
    points = Series(
        "support",
        episode.support_x[order],
        episode.support_y[order],
        "$accent",
        shape="●",
        kind="points",
        label="" if short else None,
    )
    return [*series, points]


def _steps_so_far(episode: CurveEpisode, step: int, short: bool) -> list[Series]:
    mark, now = mark_of(episode.algorithm), episode.at(step)
    places, found = _spread(now), []
    for number, place in enumerate(places, start=1):
        share = number / len(places)
        colour = Color.parse(FAINT).blend(Color.parse(mark.colour), share**2).hex
        last, name = place == now, f"step {episode.steps[place]:,}"
        # In the line over the chart: "step 0", then the present one.
        label = name if number == 1 else name.removeprefix("step " if short else "") if last else ""
        found.append(
            Series(
                name,
                episode.x,
                episode.predictions[place],
                mark.colour if last else colour,
                shape=mark.shape if last else "",
                label=label,
                number=str(number),
            )
        )
    return found


def _spread(now: int) -> list[int]:
    """A few of the steps up to now, the first and the present one among them."""
    count = min(now + 1, MOST_CURVES)
    return sorted({round(place) for place in np.linspace(0, now, count).tolist()})
