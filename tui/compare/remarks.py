"""What is said of a row beside its figures: how many episodes would decide, what published ones rest on."""

from math import sqrt

from engine.runs.reports import verdict
from engine.runs.settling import episodes_needed, rounded
from tui.compare.view import Row, View
from tui.numbers import count
from tui.table_notes import published_note as published_text
from tui.undecided import cannot_tell, what_would

MOST_ASKED = 20_000
"""Test episodes that one key asks for at the most."""


def undecided_note(view: View, row: Row) -> str | None:
    """Why a difference is undecided, and about how many episodes or seeds would decide it."""
    difference = row["vs_baseline"]
    if verdict(difference, view.table["higher_is_better"]) != "undecided":
        return None
    return cannot_tell(difference, _key)


def what_would_decide(view: View, row: Row) -> str:
    """`; about 2,900 would [e]`: how many episodes or seeds would decide a difference; else nothing."""
    difference = row["vs_baseline"]
    if "to_settle" not in difference:
        episodes = episodes_needed(difference, view.differences[row["label"]].size)
        difference = {**difference, "to_settle": {"episodes": episodes}}
    return what_would(difference, _key)


def _key(episodes: int) -> str:
    return " [e]" if episodes <= MOST_ASKED else f" ([e] asks for {MOST_ASKED:,} at the most)"


def against_published(row: Row) -> str | None:
    """The verdict on the figure measured here beside the published one; of an entry without a verdict
    `below`, `above` or `within`, by both intervals."""
    after, published = row["after"], row["published"]
    if published and published.get("verdict"):
        said: str = published["verdict"]
        return said
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
    source = published_text(row["published"])
    paper, seen = view.paper_tasks.get(row["label"]), row["tasks_seen"]
    trained = sum(len(known.finished) for known in view.standing.rows if known.label == row["label"])
    each = seen // max(1, trained) if seen is not None else None
    if paper and each is not None and each < paper:
        return f"{source}; {view.standing.budget} budget: {count(each)} of {count(paper)} tasks"
    return source


def paired_seeds(view: View, row: Row) -> int:
    """How many training seeds the row and the baseline both have results of."""
    found = {each.label: set(each.finished) for each in view.standing.rows}
    return len(found[row["label"]] & found.get(view.baseline or "", set()))
