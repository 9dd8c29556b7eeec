"""Runs and their results grouped into tables: what stands in one row, and which rows in one table."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.baseline import BASELINE
from engine.errors import RequestError
from engine.runs.files import plain
from engine.runs.listing import Summary
from engine.runs.reports import Result, RowRuns, Trained
from engine.runs.row_labels import RowKey, labelled
from engine.runs.sound_results import number
from engine.runs.standing import Standing, missing

if TYPE_CHECKING:
    from engine.presets import Spec

SHAPE = ("dataset", "ways", "shots", "queries")
SAME_EPISODES = (*SHAPE, "episodes", "evaluation_seed", "statistics")
"""The protocol's keys on which results must agree to stand in one table."""


class Protocol(NamedTuple):
    """What must be equal for two results to have the same test episodes, measured the same way."""

    metric: str
    split: str
    images: str
    stated: tuple[Any, ...]
    """The values of SAME_EPISODES."""


@dataclass(frozen=True)
class Seen:
    """A run with what is on its disk: the spec (None: unreadable) and its sound evaluations, oldest first."""

    summary: Summary
    spec: "Spec | None"
    results: tuple[Result, ...]


def tables_of(seen: Sequence[Seen]) -> Iterable[Standing]:
    """The tables of these runs, by task and budget, those with the newest runs first."""
    groups: dict[tuple[str, str], dict[RowKey, dict[int, Seen]]] = {}
    for each in seen:
        summary = each.summary
        counts = summary.state == "finished" or summary.status.alive
        own = [(summary.task, summary.algorithm)] if counts else []
        tested = [(plain(result["task"], 80), plain(result["algorithm"], 80)) for result in each.results]
        for task, algorithm in dict.fromkeys([*own, *tested]):
            rows = groups.setdefault((task, summary.budget), {})
            rows.setdefault((algorithm, summary.key, summary.task), {})[summary.seed or 0] = each
    for (task, budget), rows in groups.items():
        yield from _tables(task, budget, rows)


def _tables(task: str, budget: str, rows: Mapping[RowKey, Mapping[int, Seen]]) -> Iterable[Standing]:
    """One table for each protocol, that of the most results first; one without results where none is."""
    found: Counter[Protocol] = Counter()
    for (algorithm, _, _), by_seed in rows.items():
        for each in by_seed.values():
            found.update({_protocol(result) for result in each.results if _is_of(result, task, algorithm)})
    ordered: list[Protocol | None] = [protocol for protocol, _ in found.most_common()]
    for protocol in ordered or [None]:
        there = {key: by_seed for key, by_seed in rows.items() if _fits(by_seed, key, task, protocol)}
        if there:
            yield _standing(task, budget, there, protocol)


def _standing(
    task: str, budget: str, rows: Mapping[RowKey, Mapping[int, Seen]], protocol: Protocol | None
) -> Standing:
    labels, settings = labelled({key: next(iter(by_seed.values())).spec for key, by_seed in rows.items()})
    made: list[RowRuns] = []
    runs: dict[str, tuple[Summary, ...]] = {}
    tasks_each: dict[str, float] = {}
    for key, by_seed in rows.items():
        label, seeds = labels[key], sorted(by_seed)
        results = {seed: _result(by_seed[seed], task, key[0], protocol) for seed in seeds}
        made.append(_row(label, key, by_seed, results, settings[key], task))
        runs[label] = tuple(by_seed[seed].summary for seed in seeds)
        spec = by_seed[seeds[0]].spec
        if spec is not None:
            from engine.runs.spec_facts import tasks_seen

            tasks_each[label] = float(tasks_seen(spec, 1_000_000) or 0) / 1e6
    anyone = next(iter(next(iter(rows.values())).values()))
    metric = anyone.summary.metric if protocol is None else protocol.metric
    return Standing(
        task=task,
        budget=budget,
        metric=metric,
        higher_is_better=metric == "accuracy",
        protocol=_stated(rows)
        if protocol is None
        else dict(zip(SAME_EPISODES, protocol.stated, strict=True)),
        rows=tuple(made),
        runs=runs,
        tasks_each=tasks_each,
    )


def _row(
    label: str,
    key: RowKey,
    by_seed: Mapping[int, Seen],
    results: Mapping[int, Result | None],
    settings: Mapping[str, Any],
    task: str,
) -> RowRuns:
    algorithm, _, trained_on = key
    seeds = tuple(sorted(by_seed))
    specs = [by_seed[seed].spec for seed in seeds]
    statuses = [by_seed[seed].summary.status for seed in seeds]
    iterations = next((s.step for s, seed in zip(statuses, seeds, strict=True) if results[seed]), None)
    trained = sum(result is not None for result in results.values())
    from engine.runs.spec_facts import normalises, tasks_seen

    return RowRuns(
        label=label,
        algorithm=algorithm,
        trained_on=trained_on,
        seeds=seeds,
        runs=tuple(by_seed[seed].summary.id for seed in seeds),
        results=tuple(results[seed] for seed in seeds),
        set=settings,
        published=_published(specs[0], algorithm, task, trained_on),
        trained=tuple(Trained(s.step, s.steps, number(s.more.get("seconds"))) for s in statuses),
        time_limit=specs[0].training.time_limit if specs[0] else None,
        tasks_seen=_of_all(tasks_seen(specs[0], iterations), trained) if specs[0] else None,
        normalised=specs[0] is None or normalises(specs[0]),
        error=missing([by_seed[seed].summary for seed in seeds], [results[seed] for seed in seeds]),
    )


def _of_all(tasks: int | None, seeds: int) -> int | None:
    """Tasks of all the seeds, as the training time beside them is of all."""
    return None if tasks is None else tasks * seeds


def _result(seen: Seen, task: str, algorithm: str, protocol: Protocol | None) -> Result | None:
    """The newest result of that task, algorithm and protocol."""
    fitting = [each for each in seen.results if _is_of(each, task, algorithm) and _protocol(each) == protocol]
    return fitting[-1] if fitting else None


def _is_of(result: Result, task: str, algorithm: str) -> bool:
    return (plain(result["task"], 80), plain(result["algorithm"], 80)) == (task, algorithm)


def _protocol(result: Result) -> Protocol:
    said = {**result["protocol"], "episodes": len(result["values"])}
    images = str(result.get("images_hash") or "")
    return Protocol(
        result["metric"], result["split_hash"], images, tuple(said.get(name) for name in SAME_EPISODES)
    )


def _fits(by_seed: Mapping[int, Seen], key: RowKey, task: str, protocol: Protocol | None) -> bool:
    """Whether a row belongs in a table: it has a result there, or could be given one."""
    if protocol is None or any(_result(each, task, key[0], protocol) for each in by_seed.values()):
        return True
    spec = next(iter(by_seed.values())).spec
    if spec is None or key[2] != task:
        return False
    stated = dict(zip(SAME_EPISODES, protocol.stated, strict=True))
    own = {name: getattr(spec.task, name, None) for name in SHAPE}
    return all(stated[name] in (None, own[name]) for name in SHAPE)


def _stated(rows: Mapping[RowKey, Mapping[int, Seen]]) -> dict[str, Any]:
    """The protocol that testing these rows would have: of the first algorithm that is no baseline."""
    ordered = sorted(rows, key=lambda key: key[0].startswith(BASELINE))
    for key in ordered:
        for each in rows[key].values():
            if each.spec is not None:
                asked = each.spec.evaluation
                shape = {name: getattr(each.spec.task, name, None) for name in SHAPE}
                test = {"episodes": asked.episodes, "evaluation_seed": asked.seed}
                return {**shape, **test, "statistics": asked.statistics}
    return dict.fromkeys(SAME_EPISODES)


def _published(spec: "Spec | None", algorithm: str, task: str, trained_on: str) -> Mapping[str, Any] | None:
    """The literature's figure from the task's preset, for what was trained on that task, or on another."""
    if spec is None or (task != trained_on and spec.origin.published is None):
        return None
    if algorithm == spec.origin.algorithm and task == trained_on:
        found = spec.origin.published
        return found.figure(task, trained_on) if found else None
    from engine.presets import resolve

    try:
        found = resolve(task, algorithm).spec.origin.published
    except (RequestError, OSError):
        return None
    return found.figure(task, trained_on) if found else None
