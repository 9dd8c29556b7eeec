"""Runs as text: the list, one run, its events as they come, its results for other programs."""

import csv
import io
import time
from collections.abc import Iterable, Sequence
from math import nan
from typing import Any

from engine.errors import RequestError
from engine.runs import Run, Status, Summary, asked, read_evaluations, read_events
from engine.runs.files import read_small
from tui.numbers import age, count, duration, interval, metric_words, size, speed
from tui.output import cells, columns, emit, left_out, plain, say, shown_width
from tui.views import RunView, named_value, value_text

EVENTS_END = 1 << 20
"""How much of the end of a run's events is read for the newest record."""


def runs_table(summaries: Sequence[Summary]) -> str:
    """All runs, one a line."""
    now = time.time()
    rows = []
    for summary in summaries:
        status = summary.status
        best = (status.best or {}).get("value")
        rows.append(
            [
                summary.id,
                state_text(summary),
                f"{count(status.step)} of {count(status.steps)}" if status.steps else "",
                _best_text(best, summary.metric) if isinstance(best, int | float) else "",
                age(now - status.updated) if status.updated else "",
                summary.name or "",
            ]
        )
    headings = ["run", "state", "step", "best", "heard of", "name"]
    wide = columns(headings, rows, right=(2, 3))
    width = shown_width()
    if width is None or max(map(cells, wide.splitlines())) <= width:
        return wide
    # The id is the longest by far: at the end it may run over without tearing the columns.
    narrow = [[*row[1:], row[0]] for row in rows]
    return columns([*headings[1:], headings[0]], narrow, right=(1, 2))


def _best_text(value: float, metric: str) -> str:
    """The best validation value with its unit, or what it measures: `74.5 %`, `0.709 mse`."""
    return value_text(value, metric) if metric == "accuracy" else f"{value_text(value, metric)} mse"


def state_text(summary: Summary) -> str:
    """The state, and what the run was asked but has not done yet: `running, stopping`."""
    waiting = asked(summary.run) if summary.status.alive else set()
    word = "stopping" if "stop" in waiting else "pausing" if "pause" in waiting else ""
    return f"{summary.state}, {word}" if word else summary.state


def crashed_hint(crashed: Sequence[Summary]) -> str:
    """How to go on with the crashed runs, in one line."""
    if len(crashed) == 1:
        only = crashed[0]
        return f"{only.id}: {only.error or 'crashed'}; {resume_hint(only.id)}"
    return f"{len(crashed)} runs crashed: their processes ended without a word; {resume_hint('RUN')}"


def resume_hint(run_id: str) -> str:
    """The command that goes on with a run."""
    return f"kshot runs resume {run_id} goes on"


def own_words(status: Status, name: str) -> str:
    """What a run says itself of its way: `path` (fused, or generic and why), `together` (other seeds train
    with it, or why none does); empty for one that does not say."""
    said = status.more.get(name)
    return plain(said) if isinstance(said, str) else ""


def run_text(summary: Summary, reports: Sequence[dict[str, Any]], whole_spec: bool) -> str:
    """One run: status, results, spec."""
    from tui.tables import takes_steps

    status = summary.status
    shared = status.more.get("processes")
    facts = [
        ("run", summary.id),
        ("name", summary.name or ""),
        ("task", summary.task),
        ("algorithm", summary.algorithm),
        ("seed", str(summary.seed)),
        (
            "state",
            state_text(summary)
            + (f" ({status.phase})" if status.alive and status.phase not in ("", status.state) else ""),
        ),
        ("step", f"{count(status.step)} of {count(status.steps)}"),
        ("device", status.device),
        ("path", own_words(status, "path")),
        ("seeds", own_words(status, "together")),
        ("process", f"{status.pid} on {status.host}" if status.pid else ""),
        ("shared by", f"{shared} processes" if type(shared) is int and shared > 1 else ""),
        ("error", status.error or ""),
        ("folder", str(summary.run.path)),
    ]
    if status.best:
        best = status.best.get("value")
        facts.insert(
            7,
            ("best", f"{named_value(best, summary.metric)} at step {count(status.best.get('step'))}"),
        )
    lines = [f"{name:<10}  {value}" for name, value in facts if value]
    for report in reports:
        after = report["after"]
        before = f"{interval(report['before'], report['metric'])} before, " if report["before"] else ""
        plural = "" if after["step"] == 1 else "s"
        steps = f" after {after['step']} step{plural}" if takes_steps(report) else ""
        metric = metric_words(report["metric"])
        lines.append(
            f"{'result':<10}  {report['task']}: {before}{interval(after, report['metric'])}{steps} "
            f"({metric}, {report['episodes']:,} episodes)"
        )
    lines += [f"{name:<10}  {text}" for name, text in _by_layer(summary.run)]
    return "\n".join([*lines, "", _spec_text(summary.run, whole_spec)]).rstrip()


def last_by_layer(run: Run) -> dict[str, Any]:
    """`step`, learned `rates` by parameter tensor and how far layers `moved` in the newest training record;
    empty where it says neither, as for a rule without learned rates or inner steps."""
    from engine.runs.named import moves_in, rates_in

    try:
        size = run.events_path.stat().st_size
    except OSError:
        return {}
    events, _ = read_events(run.events_path, max(0, size - EVENTS_END))
    trained = [event for event in events if event["kind"] == "train"]
    event = trained[-1] if trained else {}
    rates = {name: [_number(value) for value in values] for name, values in rates_in(event).items()}
    moved = {name: _number(value) for name, value in moves_in(event).items()}
    return {"step": event.get("step"), "rates": rates, "moved": moved} if rates or moved else {}


def _number(value: Any) -> float:
    """A value as a number; NaN for what is none."""
    try:
        return float(value) if type(value) in (int, float) else nan
    except OverflowError:
        return nan


def _by_layer(run: Run) -> list[tuple[str, str]]:
    """The newest learned rates and movement in a line each, where there are any."""
    from tui.inner_rates import moved_sentence, rates_sentence

    found = last_by_layer(run)
    if not found:
        return []
    at = f"at step {found['step']:,}: " if type(found["step"]) is int else ""
    lines = [("rates", rates_sentence(found["rates"])), ("moved", moved_sentence(found["moved"]))]
    return [(name, f"{at}{text}") for name, text in lines if text]


def spec_of(run: Run) -> Any:
    """The spec's content, or None where it cannot be read."""
    from engine.presets.source import read_text

    try:
        return read_text(read_small(run.spec_path).decode("utf-8", "replace"), "spec.yaml").content
    except (OSError, ValueError, RequestError):
        return None


def status_of(status: Status) -> dict[str, Any]:
    """The status as plain values."""
    from dataclasses import asdict

    fields = asdict(status)
    more = fields.pop("more")
    return {**fields, **more}


def watch_run(run: Run) -> int:
    """Prints events as they come until the run is over; 1 where it did not finish."""
    from engine.runs import summarise

    view = RunView(run, run.id, summarise(run).metric)
    state = ""
    while True:
        for event in view.fresh:
            line = event_line(event, view)
            if line:
                emit(line)
        if view.status.state != state:
            state = view.status.state
            emit(f"{state}{f': {view.status.error}' if view.status.error else ''}")
            if state == "crashed":
                say(resume_hint(run.id))
        if not view.active:
            return 0 if state == "finished" else 1
        time.sleep(0.25)
        view.refresh()


def event_line(event: dict[str, Any], view: RunView) -> str:
    """A phase, validation, speed, note or checkpoint as a line; training losses come with the speed.

    An event that holds something else than it should says so.
    """
    try:
        return _event_line(event, view)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        return f"{'':>9}  a {event['kind']} event that cannot be read"


def _event_line(event: dict[str, Any], view: RunView) -> str:
    kind, step = event["kind"], event.get("step")
    at = f"{step:>9,}  " if isinstance(step, int) else f"{'':>9}  "
    if kind == "phase":
        return f"{at}{event.get('name', '')}"
    if kind == "validation":
        metrics, widths = event.get("metric") or [], event.get("ci95") or []
        if not (isinstance(metrics, list) and isinstance(widths, list)):
            raise ValueError("metric and ci95 of a validation are lists")
        values = [named_value(value, view.metric) for value in metrics[:1]]
        values += [value_text(value, view.metric) for value in metrics[1:]]
        last = f" ± {value_text(widths[-1], view.metric)}" if widths and widths[-1] is not None else ""
        path = " → ".join([values[0], values[-1]]) if len(values) > 1 else "".join(values)
        return f"{at}{path}{last}{'  best so far' if event.get('best') else ''}"
    if kind == "speed":
        left = view.seconds_left
        parts = [speed(event.get("iterations_per_second")), size(event.get("memory_bytes")), view.value_text]
        parts += [f"{duration(left)} left"] if left is not None else []
        return at + ", ".join(part for part in parts if part)
    if kind == "note":
        return f"{at}note: {event.get('text', '')}"
    if kind == "resumed":
        return f"{at}resumed"
    if kind == "checkpoint":
        return f"{at}checkpoint {event.get('file', '')}"
    return ""


def exported_json(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Every result of the runs as its file has it, with the run's id."""
    return [{"run": run.id, **result} for run in runs for result in read_evaluations(run)]


def exported_csv(runs: Iterable[Run]) -> str:
    """A line for each episode and recorded step; accuracy as a fraction, as results have it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["run", "result", "task", "algorithm", "metric", "checkpoint_step", "step", "episode", "value"]
    )
    for result in exported_json(runs):
        head = [result[key] for key in ("run", "id", "task", "algorithm", "metric", "checkpoint_step")]
        for episode, values in enumerate(result["values"]):
            for step, value in zip(result["steps"], values, strict=True):
                writer.writerow([*head, step, episode, "" if value is None else value])
    return out.getvalue().rstrip("\n")


def _spec_text(run: Run, whole: bool) -> str:
    """The spec as its file has it, or of it what has an effect."""
    content = None if whole else spec_of(run)
    if isinstance(content, dict):
        from engine.runs.store import yaml_text
        from tui.spec_text import told_content

        if (found := told_content(content, str(run.spec_path))) is not None:
            shown, number = found
            return yaml_text(shown) + (f"# {left_out(number)}" if number else "")
    try:
        return read_small(run.spec_path).decode("utf-8", "replace")
    except OSError:
        return "(spec.yaml cannot be read)"
