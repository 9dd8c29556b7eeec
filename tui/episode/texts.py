"""The words and bars of the episode screen."""

from collections import Counter
from collections.abc import Sequence
from math import isfinite

from rich.text import Text

from tui.charts.bars import bar, sparkline
from tui.episode.answers import Adapted, CurveEpisode, ImageEpisode, letter
from tui.marks import mark_of
from tui.numbers import MISSING, metric_value
from tui.output import pad, plain

COLUMN = 7
NAME = 12


def name_of(algorithm: str) -> Text:
    """An algorithm with its mark, in its colour."""
    mark = mark_of(algorithm)
    return Text(f"{mark.shape} {plain(algorithm)}", style=mark.colour)


def figure(adapted: Adapted, place: int) -> str:
    """Accuracy in percent, or the error, after that recorded step."""
    value = float(adapted.metric[place])
    if not isfinite(value):
        return MISSING
    if isinstance(adapted, ImageEpisode):
        return metric_value(100 * value, "accuracy")
    return metric_value(value, "mse")


def heading(number: int, total: int, shown: Sequence[Adapted], width: int) -> Text:
    """Which episode of which task, and how well each algorithm does after its steps; two lines if need be."""
    text = Text.assemble((f"Test episode {number + 1:,} of {total:,}", "bold"), f"  {plain(shown[0].task)}")
    results = Text("")
    for adapted in shown:
        steps = adapted.steps[adapted.after]
        unit = " %" if isinstance(adapted, ImageEpisode) else " error"
        results.append("  ").append_text(name_of(adapted.algorithm))
        results.append(f" {figure(adapted, adapted.after)}{unit} after {steps:,} step{'s' * (steps != 1)}")
    return Text("" if text.cell_len + results.cell_len <= width else "\n").join([text, results])


def filmstrip(shown: Sequence[Adapted], step: int, width: int) -> Text:
    """The recorded steps as columns, the present one marked, with each algorithm's figure."""
    steps = sorted({step for adapted in shown for step in adapted.steps})
    room = max(1, (width - NAME - 2) // COLUMN)
    at = steps.index(step) if step in steps else 0
    begin = max(0, min(at - room // 2, len(steps) - room))
    seen = steps[begin : begin + room]
    more = ("…" if begin else " ", "…" if begin + room < len(steps) else " ")
    text = Text(pad("step", NAME) + more[0], style="bold", no_wrap=True)
    for each in seen:
        label = f"▸{each}" if each == step else str(each)
        text.append(f"{label:>{COLUMN}}", "bold reverse" if each == step else "")
    text.append(more[1])
    for adapted in shown:
        text.append("\n")
        text.append_text(_cut(name_of(adapted.algorithm), NAME)).append(" ")
        for each in seen:
            has = each in adapted.steps
            value = figure(adapted, adapted.steps.index(each)) if has else MISSING
            text.append(f"{value:>{COLUMN}}", "bold" if each == step else "")
    return text


def from_mean(shown: Sequence[CurveEpisode]) -> Text:
    """How far each function before adaptation is from the family's mean, as root mean square over the chart's
    x; empty where that is not known."""
    known = [(each, each.from_mean) for each in shown]
    found = [(each, far) for each, far in known if far is not None and isfinite(far)]
    if not found:
        return Text("")
    low, high = float(shown[0].x[0]), float(shown[0].x[-1])
    text = Text(f"RMS from family's mean at step 0 over [{low:g}, {high:g}]")
    for each, far in found:
        text.append("  ").append_text(name_of(each.algorithm)).append(f" {metric_value(far, 'mse')}")
    return text


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis", pad=True)
    return text


def query_lines(shown: Sequence[ImageEpisode], query: int, step: int, width: int) -> Text:
    """The chosen query's class probabilities: by step as a sparkline, now as a bar."""
    first = shown[0]
    truth = first.query_labels[query]
    text = Text.assemble(
        (f"Query {query + 1} of {len(first.query_labels)}", "bold"), f", truly {letter(truth)}"
    )
    # For each algorithm: a sparkline, a bar, and ` 100 %✗ ` with the spaces around.
    column = max(15, (width - 4) // len(shown))
    spark = min(max(len(episode.steps) for episode in shown), column - 12)
    text.append("\n    ").append_text(_columns(shown, column))
    for label in range(first.ways):
        text.append("\n")
        text.append(f"{letter(label):<3}{'◂' if label == truth else ' '}", "bold" if label == truth else "")
        for episode in shown:
            text.append_text(_chance(episode, query, label, step, spark, min(20, column - spark - 9)))
    return text


def _columns(shown: Sequence[Adapted], width: int) -> Text:
    """The algorithms' names, each over a column of that width."""
    return Text("").join(_cut(name_of(adapted.algorithm), width) for adapted in shown)


def _chance(episode: ImageEpisode, query: int, label: int, step: int, spark: int, room: int) -> Text:
    place, chances = episode.at(step), episode.probabilities[:, query, label]
    wins, right = episode.predicted(place)[query] == label, episode.query_labels[query] == label
    seen = chances[[round(at * (len(chances) - 1) / max(1, spark - 1)) for at in range(spark)]]
    colour, now = mark_of(episode.algorithm).colour, float(chances[place])
    text = Text(sparkline(seen.tolist() if spark < len(chances) else chances.tolist()).ljust(spark), colour)
    text.append(" " + bar(now, room), colour)
    return text.append(f"{100 * now:4.0f} %{_verdict(wins, right)} ", f"{'' if wins else 'not '}bold")


def _verdict(wins: bool, right: bool) -> str:
    return " " if not wins else "✓" if right else "✗"


def names_line(episode: ImageEpisode) -> Text:
    """What the classes are called, where the data set names them."""
    names = [f"{letter(label)} {plain(name)}" for label, name in enumerate(episode.classes)]
    return Text("Classes ", style="bold").append(", ".join(names), "not bold") if names else Text("")


def confusion(episode: ImageEpisode, step: int) -> Text:
    """Which classes are taken for which others, the most frequent first: `α→γ 2`."""
    predicted = episode.predicted(episode.at(step)).tolist()
    pairs = Counter((t, p) for t, p in zip(episode.query_labels, predicted, strict=True) if t != p)
    words = [f"{letter(truth)}→{letter(taken)} {count}" for (truth, taken), count in pairs.most_common()]
    text = Text("Confusion ", style="bold").append_text(name_of(episode.algorithm))
    return text.append("  " + (", ".join(words) or "none"), "not bold")


def layers(shown: Sequence[Adapted], step: int, width: int) -> Text:
    """How far each layer is from where adaptation began, in percent of its own size."""
    text = Text("How far each layer moved", style="bold")
    names = list(dict.fromkeys(name for adapted in shown for name in adapted.moved))
    most = max(
        (float(v) for adapted in shown for row in adapted.moved.values() for v in row if isfinite(v)),
        default=0,
    )
    if not names:
        return text.append("  nothing adapts by steps here", "not bold")
    longest = max(len(plain(name)) for name in names)
    room = max(3, min(24, (width - longest - 1) // len(shown) - 9))
    text.append("\n" + " " * (longest + 1)).append_text(_columns(shown, room + 9))
    for name in names:
        text.append("\n").append(pad(plain(name), longest + 1), "not bold")
        for adapted in shown:
            value = float(adapted.moved[name][adapted.at(step)]) if name in adapted.moved else float("nan")
            known = isfinite(value) and most > 0
            colour = mark_of(adapted.algorithm).colour
            text.append(bar(value / most if known else 0, room), f"not bold {colour}")
            text.append(f" {100 * value:5.1f} % " if known else f" {MISSING:>5}   ", "not bold")
    return text
