"""The selected run in words: what is, what can be done, and what its files say of it."""

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import RequestError
from engine.runs import Summary, list_checkpoints, read_evaluations
from engine.runs.files import open_regular
from engine.runs.files import plain as one_line
from tui.numbers import age, count, duration, interval, size, speed
from tui.output import plain
from tui.run_texts import own_words, spec_of
from tui.runs.rows import best_of, state_told
from tui.snapshot import seconds_left, speed_of, waits_for
from tui.views import value_text

SPEC_LINES = ("task", "model", "adaptation", "outer", "training", "evaluation")
LOG_END = 4096
LARGEST = 1e15
UNSET = ("none", "null")


@dataclass(frozen=True)
class Filed:
    """What a run's files hold beside its status; `stamp` is the files' state when they were read."""

    stamp: tuple[int, ...]
    results: tuple[str, ...] = ()
    spec: tuple[tuple[str, str], ...] = ()
    checkpoint: int | None = None
    """The iteration after which the newest checkpoint was written."""
    last_words: str = ""
    """The last line of the log."""


def stamp_of(summary: Summary) -> tuple[int, ...]:
    """Times of the files and folders that `read_filed` reads; 0 for what is not there. Reads no content."""
    run = summary.run
    times = []
    for path in (run.spec_path, run.results, run.checkpoints, run.log_path):
        try:
            times.append(path.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)


def read_filed(summary: Summary, known: Filed | None = None) -> Filed:
    """What the files say, or `known` where they have not changed since. Raises nothing; never on the loop."""
    stamp = stamp_of(summary)
    if known is not None and known.stamp == stamp:
        return known
    checkpoints = list_checkpoints(summary.run)
    return Filed(
        stamp,
        _results(summary),
        _spec_lines(spec_of(summary.run)),
        checkpoints[-1].step if checkpoints else None,
        _last_line(summary),
    )


def sentence(
    summary: Summary, asked: Collection[str], filed: Filed | None, ahead: int, host: str, now: float
) -> str:
    """The run's state in a sentence, with what can be done about it.

    `ahead` is how many runs wait or train before a queued one, `host` the name of this machine.
    """
    status = summary.status
    at = f" at {count(status.step)} of {count(status.steps)}" if status.steps else ""
    fault = plain(status.error or "")
    if status.alive:
        return f"{_under_way(summary, asked, at, ahead)}{f' ({fault})' if fault else ''}"
    again = _again(filed)
    if status.state == "finished":
        early = f" of {count(status.steps)}" if status.step < status.steps else ""
        did = f" after {count(status.step)}{early} iterations" if status.steps else ""
        return f"finished{did}; R replays it, f trains it again with changed settings"
    if status.state == "crashed":
        heard = f", last heard of {age(now - status.updated)}" if status.updated else ""
        where = f" on {plain(status.host)}" if status.host and status.host != host else ""
        return f"crashed{at}: {fault or 'its process ended without a word'}{heard}{where}; {again}"
    if status.state == "failed":
        return f"failed{at}: {fault or 'without a reason given'}; L shows its log, {again}"
    return f"{status.state}{at}; {again}"


def _under_way(summary: Summary, asked: Collection[str], at: str, ahead: int) -> str:
    status = summary.status
    if "stop" in asked or "pause" in asked:
        return f"{state_told(summary, asked)}{at}: it writes a checkpoint and ends"
    if status.state == "queued":
        after = f" behind {ahead} other{'s' if ahead > 1 else ''}" if ahead else ""
        begins = f"goes on from {count(status.step)} of {count(status.steps)}" if status.step else "starts"
        if waits := waits_for(status):
            return f"queued{after}, {waits}; it {begins} when that is free; x takes it out"
        return f"queued{after}: it {begins} when the device is free; x takes it out"
    left = seconds_left(status)
    how_long = f", {duration(left)} left" if _sound(left) else ""
    return f"{plain(state_told(summary, ()))}{at}{how_long}; enter opens it, p pauses, x stops"


def _again(filed: Filed | None) -> str:
    if filed is None:
        return "r resumes"
    if filed.checkpoint is None:
        return "r starts it again, there is no checkpoint yet"
    return f"r resumes from {count(filed.checkpoint)}"


def facts(summary: Summary, filed: Filed | None, now: float) -> list[tuple[str, str]]:
    """(what, its text) for the lines under the sentence; what is not known is left out."""
    status, best = summary.status, best_of(summary)
    seconds = status.more.get("seconds")
    memory = status.more.get("memory_bytes")
    pace = speed(speed_of(status))
    took = f"{duration(seconds)} of training" if _sound(seconds) else ""
    held = size(memory) if _sound(memory) else ""
    at = (status.best or {}).get("step")
    where = f" at iteration {count(at)}" if type(at) is int else ""
    lines = [
        ("run", summary.id),
        ("name", summary.name or ""),
        ("fork of", summary.parent or ""),
        ("trains", _trains(summary)),
        ("started" if status.started else "made", _moment(status.started or status.created, now)),
        ("best", "" if best is None else f"{value_text(best, summary.metric)} on validation{where}"),
        ("speed", ", ".join(text for text in (pace, took, held) if text)),
        ("device", ", ".join(text for text in (status.device, _process(summary)) if text)),
        ("path", own_words(status, "path")),
        ("seeds", own_words(status, "together")),
    ]
    if filed is not None:
        lines += [("result", text) for text in filed.results]
        lines += [("log ends", filed.last_words)] if summary.state in ("failed", "crashed") else []
        lines += list(filed.spec)
    lines.append(("folder", str(summary.run.path)))
    return [(name, plain(text)) for name, text in lines if text]


def _moment(at: float | None, now: float) -> str:
    """`2 h ago, 2026-11-21 14:03`, by this machine's time of day; nothing for what is no time."""
    if not _sound(at) or at is None:
        return ""
    try:
        return f"{age(now - at)}, {time.strftime('%Y-%m-%d %H:%M', time.localtime(at))}"
    except (OverflowError, ValueError, OSError):
        return ""


def _sound(value: Any) -> bool:
    """Whether a figure from a file is a number above zero that can be told."""
    return isinstance(value, int | float) and 0 < value < LARGEST


def _trains(summary: Summary) -> str:
    words = [summary.algorithm, f"on {summary.task}" if summary.task else ""]
    words += [f"seed {summary.seed}" if summary.seed is not None else "", f"budget {summary.budget}"]
    return ", ".join(word for word in words if word.strip() and word != "budget ")


def _process(summary: Summary) -> str:
    status = summary.status
    if not status.alive:
        return plain(status.host)
    return f"process {status.pid} on {status.host}" if status.pid else ""


def _results(summary: Summary) -> tuple[str, ...]:
    from engine.runs.reports import evaluation_report

    lines = []
    for result in read_evaluations(summary.run):
        try:
            report = evaluation_report(summary.id, result)
            lines.append(_result_line(report))
        except (KeyError, TypeError, ValueError, IndexError, RequestError):
            lines.append("one result cannot be read")
    return tuple(lines)


def _result_line(report: Mapping[str, Any]) -> str:
    after, metric = report["after"], report["metric"]
    unit = " %" if metric == "accuracy" else f" {metric}"
    before = f"{interval(report['before'], metric)} → " if report["before"] else ""
    steps = after.get("step")
    tail = f" after {steps} step{'' if steps == 1 else 's'}" if report["before"] and steps is not None else ""
    return f"{report['task']}: {before}{interval(after, metric)}{unit}{tail}, {report['episodes']:,} episodes"


def _spec_lines(spec: Any) -> tuple[tuple[str, str], ...]:
    """A line for each section, with its values that are set."""
    if not isinstance(spec, dict):
        return (("spec", "spec.yaml cannot be read"),)
    lines = []
    for name in SPEC_LINES:
        section = spec.get(name)
        if isinstance(section, dict):
            words = [
                f"{key} {value}"
                for key, value in section.items()
                if isinstance(value, str | int | float) and str(value) not in UNSET
            ]
            lines.append((name, one_line(", ".join(words), 400)))
    return tuple(lines)


def _last_line(summary: Summary) -> str:
    try:
        data = _log_end(summary)
    except (OSError, ValueError):
        return ""
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    return one_line(lines[-1], 300) if lines else ""


def _log_end(summary: Summary) -> bytes:
    with open_regular(summary.run.log_path) as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - LOG_END))
        return file.read(LOG_END)
