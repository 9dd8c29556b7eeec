"""The compare screen's sentences, and what they depend on."""

from tui.compare.testing import FAILED
from tui.compare.view import Row, View
from tui.numbers import metric_words
from tui.output import plain

NOTHING = (
    "There is nothing to compare yet: no run has finished. "
    "On the bench (1) choose a task and algorithms, then g; pretraining joins in by itself."
)


def title_of(view: View) -> str:
    """What is compared, on how many episodes, and which table of how many this is."""
    table = view.table
    episodes = table["protocol"].get("episodes")
    tested = any(row["after"] is not None for row in view.rows)
    on = f"{episodes:,} test episodes, the same for all" if tested and episodes else "not tested yet"
    words = [
        plain(f"{table['task']}: {metric_words(table['metric'], direction=True)}"),
        on,
        f"{view.standing.budget} budget",
    ]
    if view.of > 1:
        words.append(f"table {view.number + 1} of {view.of}")
    return ", ".join(words)


def why_no_difference(view: View, row: Row) -> str:
    """Why there is no histogram."""
    label = plain(row["label"])
    if row["label"] == view.baseline:
        return f"{label} is the baseline: choose another row to see its difference to it"
    if view.baseline is None:
        return "no baseline is chosen: b chooses one"
    if row["after"] is None or _baseline_after(view) is None:
        return (
            f"{label} and {plain(view.baseline)} have no test episodes in common yet: e tests what is missing"
        )
    return f"{label} and {plain(view.baseline)} {nothing_shared(view, row)}; b chooses another baseline"


def nothing_shared(view: View, row: Row) -> str:
    """What two tested rows lack to be paired."""
    found = {each.label: each.finished.keys() for each in view.standing.rows}
    if found[row["label"]] & found.get(view.baseline or "", set()):
        return "were not tested on the same episodes"
    return "have no training seed in common"


def _baseline_after(view: View) -> object:
    baseline = view.row(view.baseline)
    return baseline["after"] if baseline else None


def untested(view: View) -> bool:
    """Whether a finished run has no result in this table and can have one."""
    return any(run.id not in view.left_alone for _, run in view.standing.untested())


def failed(view: View) -> frozenset[str]:
    """The ids of the runs whose test failed, which may go well another time."""
    return frozenset(run_id for run_id, why in view.left_alone.items() if why.startswith(FAILED))


def has_finished(view: View) -> bool:
    """Whether a run of this table has finished and can be tested."""
    never = view.left_alone.keys() - failed(view)
    return any(
        run.state == "finished" and run.id not in never
        for runs in view.standing.runs.values()
        for run in runs
    )
