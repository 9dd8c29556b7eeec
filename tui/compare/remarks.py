"""What stands under the table: how many episodes would decide, what published figures rest on, protocol."""

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

from engine.runs.reports import verdict
from engine.statistics import seed_quantile
from tui.compare.view import Row, View
from tui.numbers import count
from tui.tables import choices

MOST_EPISODES = 1_000_000
MOST_SEEDS = 1_000
MOST_ASKED = 20_000
"""Test episodes that one key asks for at the most."""


def episodes_needed(difference: Mapping[str, Any], episodes: int) -> int | None:
    """Episodes at which this mean difference would leave its 95 % interval, were mean and spread the same.

    n · (half-width / |mean|)², the half-width being that of n episodes; None where no number would.
    """
    mean, half_width = difference["mean"], difference["ci95"]
    if not mean or half_width is None or difference["over"] != "episodes":
        return None
    needed = episodes * (half_width / abs(mean)) ** 2
    return ceil(needed) if needed < MOST_EPISODES else None


def seeds_needed(difference: Mapping[str, Any], seeds: int) -> int | None:
    """Training seeds at which this mean difference would leave its 95 % interval (Student's t below ten)."""
    mean, half_width = difference["mean"], difference["ci95"]
    if not mean or half_width is None or difference["over"] != "seeds" or seeds < 2:
        return None
    deviation = half_width * sqrt(seeds) / seed_quantile(seeds)
    counts = range(seeds, MOST_SEEDS)
    return next((n for n in counts if seed_quantile(n) * deviation / sqrt(n) < abs(mean)), None)


def rounded(number: int) -> int:
    """Two significant digits, rounded up: 2,861 becomes 2,900."""
    size: int = 10 ** max(0, len(str(number)) - 2)
    return -(-number // size) * size


def undecided_note(view: View, row: Row) -> str | None:
    """Why a difference is undecided, and about how many episodes or seeds would decide it."""
    difference = row["vs_baseline"]
    if verdict(difference, view.table["higher_is_better"]) != "undecided":
        return None
    if difference["over"] == "seeds":
        return f"{paired_seeds(view, row)} seeds cannot tell these apart{what_would_decide(view, row)}"
    episodes = view.differences[row["label"]].size
    return f"{episodes:,} episodes cannot tell these apart{what_would_decide(view, row)}"


def what_would_decide(view: View, row: Row) -> str:
    """`; about 2,900 would [e]`: how many episodes or seeds would decide a difference; else nothing."""
    difference = row["vs_baseline"]
    if difference["over"] == "seeds":
        paired = paired_seeds(view, row)
        needed = seeds_needed(difference, paired)
        return f"; about {needed:,} would" if needed and needed > paired else ""
    needed = episodes_needed(difference, view.differences[row["label"]].size)
    if not needed:
        return ""
    key = "[e]" if rounded(needed) <= MOST_ASKED else f"([e] asks for {MOST_ASKED:,} at the most)"
    return f"; about {rounded(needed):,} would {key}"


def against_published(row: Row) -> str | None:
    """`below`, `above` or `within`: the figure measured here beside the published one, by both intervals."""
    after, published = row["after"], row["published"]
    if not after or not published or after["mean"] is None or after["ci95"] is None:
        return None
    difference = after["mean"] - published["value"]
    if abs(difference) <= sqrt(after["ci95"] ** 2 + (published["ci95"] or 0.0) ** 2):
        return "within"
    return "above" if difference > 0 else "below"


def more_episodes(view: View, row: Row | None) -> int | None:
    """How many test episodes to ask for next: what would decide the row, else twice as many.

    None where there are as many as one key asks for.
    """
    now = view.standing.protocol.get("episodes")
    if not isinstance(now, int) or now >= MOST_ASKED:
        return None
    difference = row["vs_baseline"] if row else None
    undecided = verdict(difference, view.table["higher_is_better"]) == "undecided"
    needed = episodes_needed(difference, now) if difference and undecided else None
    return min(MOST_ASKED, max(rounded(needed) if needed else 2 * now, now + 1))


def published_note(view: View, row: Row) -> str | None:
    """The figure's source, and how much training this one had beside the published protocol."""
    if row["published"] is None:
        return None
    source: str = row["published"]["source"]
    paper, seen = view.paper_tasks.get(row["label"]), row["tasks_seen"]
    trained = sum(len(known.finished) for known in view.standing.rows if known.label == row["label"])
    each = seen // max(1, trained) if seen is not None else None
    if paper and each is not None and each < paper:
        return f"{source}; {view.standing.budget} budget: {count(each)} of {count(paper)} tasks"
    return source


def remarks(view: View) -> list[str]:
    """Choices made on validation, trainings cut short, rows without results."""
    lines = choices(view.table)
    for row in view.rows:
        done = row["protocol"].get("iterations_done")
        if done:
            counts = ", ".join(f"{number:,}" for number in done)
            asked = row["protocol"]["iterations_asked"]
            lines.append(f"{row['label']}: its time limit ended it after {counts} of {asked:,} iterations")
        if row["error"]:
            lines.append(f"{row['label']}: {row['error']}")
    return lines


def paired_seeds(view: View, row: Row) -> int:
    """How many training seeds the row and the baseline both have results of."""
    found = {each.label: set(each.finished) for each in view.standing.rows}
    return len(found[row["label"]] & found.get(view.baseline or "", set()))
