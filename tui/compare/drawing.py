"""The compare screen's two charts, drawn from a view: curves on an axis, and one row's differences."""

from collections.abc import Mapping

from engine.runs.columns import History
from tui.compare.curves import X_LABELS, Axis, seeds_drawn, step_series, validation_series
from tui.compare.histogram import Histogram, shares_text
from tui.compare.view import Row, View
from tui.compare.words import why_no_difference
from tui.output import plain
from tui.widgets.chart import Chart


def draw_curves(
    chart: Chart, view: View, axis: Axis, histories: Mapping[str, History], each_seed: bool
) -> None:
    """The metric against inner steps, or validation against training time or tasks seen; of that each seed's
    line or their mean."""
    accuracy = view.table["metric"] == "accuracy"
    chart.unit = "percent" if accuracy else "error"
    word = "accuracy" if accuracy else "error"
    if axis == "steps":
        chart.title = f"{word.capitalize()} against inner steps, 95 % intervals"
        series, chart.x_label = step_series(view)
        chart.show(series, "" if series else "no results yet")
        return
    series = validation_series(view, histories, axis, each_seed)
    seeds = seeds_drawn(view, histories)
    of_seeds = "" if seeds == "1" else "each seed" if each_seed else f"mean of {seeds} seeds"
    chart.title = f"Validation {word} by {'training time' if axis == 'time' else 'tasks seen'}"
    chart.x_label = X_LABELS[axis]
    chart.show(series, of_seeds if series else "reading the runs")


def draw_histogram(histogram: Histogram, view: View, row: Row) -> None:
    """The row's differences to the baseline, or why there are none."""
    title = f"Difference to {plain(view.baseline)}, episode by episode" if view.baseline else "Difference"
    differences = view.differences.get(row["label"])
    if differences is None:
        histogram.show(None, title, why_no_difference(view, row))
        return
    said = shares_text(plain(row["label"]), differences, view.table["higher_is_better"])
    unit = "points" if view.table["metric"] == "accuracy" else view.table["metric"]
    histogram.show(differences, title, said, view.marks[row["label"]].colour, unit)
