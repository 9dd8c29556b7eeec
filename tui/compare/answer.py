"""Did it beat the baseline? One sentence, from the table's paired difference and its interval."""

from collections.abc import Mapping, Sequence

from engine.runs.reports import verdict
from tui.compare.remarks import paired_seeds, what_would_decide
from tui.compare.view import Row, View
from tui.compare.words import nothing_shared
from tui.numbers import interval, magnitude
from tui.output import plain

METRIC_WORDS = {"accuracy": "accuracy", "mse": "error"}
MOST_NAMED = 4


def answer(view: View, row: Row | None) -> str:
    """Whether the row beats the baseline, by how much, and over what; for the baseline itself all others."""
    if view.baseline is None:
        return "No baseline is chosen: b chooses one."
    if row is None or row["label"] == view.baseline:
        return _all_rows(view)
    difference = row["vs_baseline"]
    label, baseline = plain(row["label"]), plain(view.baseline)
    if difference is None:
        return f"Whether {label} beats {baseline} is not known: {_why_unknown(view, row)}."
    said = verdict(difference, view.table["higher_is_better"])
    basis = _basis(view, row, difference)
    if said == "better" or said == "worse":
        word = METRIC_WORDS.get(view.table["metric"], view.table["metric"])
        way = "higher" if difference["mean"] > 0 else "lower"
        verb = "beats" if said == "better" else "does not beat"
        return f"{label} {verb} {baseline}: its {word} is {way} by {_amount(view, difference)} ({basis})."
    shown = _amount(view, difference, signed=True)
    if said is None:
        return f"Whether {label} beats {baseline} is not known: {shown} has no interval ({basis})."
    return f"Undecided whether {label} beats {baseline}: {shown} ({basis}){what_would_decide(view, row)}."


def _amount(view: View, difference: Mapping[str, object], signed: bool = False) -> str:
    """`20.1 ± 1.3 points`, or in the error's own unit; without `signed` its size alone."""
    metric = view.table["metric"]
    shown = interval(dict(difference), metric, signed=True) if signed else magnitude(difference, metric)
    return f"{shown}{' points' if metric == 'accuracy' else ''}"


def _basis(view: View, row: Row, difference: Mapping[str, object]) -> str:
    """What the interval is over and how the two were paired."""
    seeds, episodes = paired_seeds(view, row), view.standing.protocol.get("episodes")
    tested = f"{episodes:,} test episodes" if isinstance(episodes, int) else "test episodes"
    if difference["over"] == "seeds":
        return f"95 % interval over {seeds} training seeds, {tested} paired one by one in each"
    return f"95 % interval over {tested}, paired one by one; one training of each"


def _why_unknown(view: View, row: Row) -> str:
    if row["after"] is None:
        return plain(row["error"] or "it is not tested")
    other = view.row(view.baseline)
    if other is None or other["after"] is None:
        return f"{plain(view.baseline or '')} is {plain((other or {}).get('error') or 'not tested')}"
    return f"they {nothing_shared(view, row)}"


def _all_rows(view: View) -> str:
    """`Against pretrain: maml, anil better; reptile worse; boil undecided.`"""
    found: dict[str, list[str]] = {"better": [], "worse": [], "undecided": [], "not known": []}
    for row in view.rows:
        if row["label"] != view.baseline:
            said = verdict(row["vs_baseline"], view.table["higher_is_better"])
            found[said or "not known"].append(plain(row["label"]))
    told = [f"{_names(labels)} {word}" for word, labels in found.items() if labels]
    if not told:
        return f"{plain(view.baseline or '')} is the baseline, and alone here."
    return f"Against {plain(view.baseline or '')}: {'; '.join(told)}."


def _names(labels: Sequence[str]) -> str:
    more = len(labels) - MOST_NAMED
    return ", ".join(labels[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
