"""The session under the charts: what is being trained and tested, and at the end the verdict."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from tui.marks import mark_of
from tui.numbers import interval, magnitude, metric_value
from tui.output import plain
from tui.snapshot import SessionNow, Snapshot


def session_lines(snapshot: Snapshot) -> Text:
    """Progress while the session is under way, one line for each algorithm's verdict when it is done."""
    session = snapshot.session
    if session is None:
        return Text("")
    if session.error is not None:
        return Text(plain(session.error), style="bold")
    if session.done:
        lines = [line for table in session.tables for line in verdict_lines(table)]
        return Text("\n").join(lines) if lines else Text("")
    return _progress(snapshot, session)


def _progress(snapshot: Snapshot, session: SessionNow) -> Text:
    found = [snapshot.run(run) for ids in session.runs.values() for run in ids]
    runs = [summary for summary in found if summary is not None]
    training = sum(summary.status.alive for summary in runs)
    trained = sum(summary.state == "finished" for summary in runs)
    parts = [f"{trained} of {len(runs)} trained"] if training else []
    for test in session.tests:
        share = f" {test.done:,} of {test.total:,}" if test.total else ""
        parts.append(f"testing {plain(test.label)}: {plain(test.phase)}{share}")
    if not parts:
        parts.append("testing follows")
    return Text("; ".join(parts))


def verdict_lines(table: Mapping[str, Any]) -> list[Text]:
    """`maml 0.0935 after 10 steps, pretrain 0.372: better by 0.279 ± 0.058; 3 compares`, a line a row."""
    reference = next((row for row in table["rows"] if row["label"] == table["baseline"]), None)
    lines = []
    for row in table["rows"]:
        if row is reference:
            continue
        line = Text(f"{mark_of(row['algorithm']).shape} ", style=mark_of(row["algorithm"]).colour)
        line.append(plain(_sentence(table, row, reference)))
        lines.append(line)
    if lines:
        lines[-1].append("; 3 compares", style="dim")
    return lines


def _sentence(table: Mapping[str, Any], row: Mapping[str, Any], reference: Mapping[str, Any] | None) -> str:
    metric, label = table["metric"], row["label"]
    if row["after"] is None:
        return f"{label}: {row['error'] or 'no result'}"
    step = row["after"]["step"]
    steps = f" after {step} step{'' if step == 1 else 's'}" if row["before"] is not None and step else ""
    said = f"{label} {metric_value(row['after']['mean'], metric)}{steps}"
    if reference is None or reference["after"] is None or row["vs_baseline"] is None:
        return said
    from engine.runs.reports import verdict

    word = verdict(row["vs_baseline"], table["higher_is_better"])
    against = f"{said}, {reference['label']} {metric_value(reference['after']['mean'], metric)}"
    if word is None:
        return against
    if word == "undecided":
        return f"{against}: undecided, difference {interval(row['vs_baseline'], metric, signed=True)}"
    return f"{against}: {word} by {magnitude(row['vs_baseline'], metric)}"
