"""One run in a few lines: what it is doing, how far it is, how fast, how long still."""

from rich.text import Text

from engine.runs import Status, Summary
from engine.runs.columns import History
from tui.marks import Mark, mark_of
from tui.numbers import count, duration, size, speed
from tui.output import plain
from tui.snapshot import Snapshot, seconds_left, speed_of, state_word, waits_for
from tui.views import named_value

LONGEST = 1e15


def run_facts(
    snapshot: Snapshot, summary: Summary, history: History | None, mark: Mark | None = None
) -> Text:
    """The lines of the panel `This run`; `mark`: as it looks among the runs shown."""
    status, mark = summary.status, mark or mark_of(summary.algorithm)
    text = Text()
    text.append(f"{mark.shape} {plain(summary.algorithm)}", style=mark.colour)
    text.append(f", seed {summary.seed}\n" if summary.seed is not None else "\n")
    text.append(plain(_doing(snapshot, summary)) + "\n")
    if status.steps and status.state != "queued":
        text.append(f"{count(status.step)} of {count(status.steps)} iterations\n")
    elif status.step:
        text.append(f"goes on from {count(status.step)} of {count(status.steps)} iterations\n")
    left = seconds_left(status)
    if left is not None:
        text.append(f"{duration(left)} left\n", style="bold")
    trained = _trained(status, history)
    if not status.alive and trained > 0:
        text.append(f"trained for {duration(trained)}\n")
    memory = status.more.get("memory_bytes") or (history.memory_bytes if history else None)
    pace = [speed(speed_of(status)), size(memory) if isinstance(memory, int | float) else ""]
    if any(pace):
        text.append("  ".join(part for part in pace if part) + "\n")
    best = (status.best or {}).get("value")
    if isinstance(best, int | float):
        text.append(f"best {named_value(best, summary.metric)}\n")
    if status.error:
        text.append(plain(status.error) + "\n", style="bold")
    text.append(plain(summary.id), style="dim")
    return text


def _trained(status: Status, history: History | None) -> float:
    """Seconds of training, without pauses: as the worker counted them, else by the records; 0: not known."""
    counted = status.more.get("seconds")
    if isinstance(counted, int | float) and 0 < counted < LONGEST:
        return float(counted)
    return history.seconds if history is not None else 0.0


def _doing(snapshot: Snapshot, summary: Summary) -> str:
    status = summary.status
    asked = snapshot.asked.get(summary.id, frozenset())
    if asked:
        return f"{status.state}, asked to {' and '.join(sorted(asked))}"
    if status.state == "queued":
        before = snapshot.ahead_of(summary)
        place = f"queued behind {before}" if before else "queued, next"
        return "; ".join(part for part in (place, waits_for(status)) if part)
    word = state_word(status)
    test = snapshot.tests.get(summary.id)
    if test is not None:
        return f"{word}; {test.told}"
    if status.state == "starting" and word != "starting":
        return f"starting: {word}"
    return word
