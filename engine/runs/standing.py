"""What can be compared from the runs folder as it stands: its results as tables, nothing started for it."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.errors import RequestError
from engine.runs.files import plain
from engine.runs.listing import Summary
from engine.runs.reports import Result, RowRuns, Trained, _episodes_at, table
from engine.runs.results import read_evaluations
from engine.runs.reuse import choose
from engine.runs.row_labels import RowKey, labelled
from engine.runs.sound_results import number, sound
from engine.runs.store import Run

if TYPE_CHECKING:
    from engine.presets import Spec

BASELINE = "pretrain"
SHAPE = ("dataset", "ways", "shots", "queries")
SAME_EPISODES = (*SHAPE, "episodes", "evaluation_seed", "statistics")
"""The protocol's keys on which results must agree to stand in one table."""
NOT_TESTED = "not tested yet"


class Protocol(NamedTuple):
    """What must be equal for two results to have the same test episodes, measured the same way."""

    metric: str
    split: str
    images: str
    stated: tuple[Any, ...]
    """The values of SAME_EPISODES."""


@dataclass(frozen=True)
class Standing:
    """One table that the folder's results make: one task, one budget, the same test episodes for all rows."""

    task: str
    budget: str
    metric: str
    higher_is_better: bool
    protocol: Mapping[str, Any]
    """`episodes`, `evaluation_seed` and `statistics` of the results here, or of the specs where none is."""
    rows: tuple[RowRuns, ...]
    runs: Mapping[str, tuple[Summary, ...]]
    """By row label: the run of each of the row's seeds."""
    tasks_each: Mapping[str, float] = field(default_factory=dict)
    """By row label: training tasks that one iteration sees, where the spec tells."""

    @property
    def key(self) -> str:
        """What stays the same while results come: task, budget and protocol."""
        return "\0".join([self.task, self.budget, *(str(value) for value in self.protocol.values())])

    @cached_property
    def default_baseline(self) -> str | None:
        """The row of pretraining that has results, else any pretraining; None where there is none."""
        tested = sorted(self.rows, key=lambda row: not row.finished)
        exact = [row.label for row in tested if row.algorithm == BASELINE]
        return next(iter([*exact, *(r.label for r in tested if r.algorithm.startswith(BASELINE))]), None)

    def table(self, baseline: str | None) -> dict[str, Any]:
        """The table as contracts §4 has it, paired with the row `baseline`; the best first, that one last."""
        seeds = sorted({seed for row in self.rows for seed in row.seeds})
        named = {name: self.protocol.get(name) for name in ("episodes", "statistics")}
        protocol = {**named, "budget": self.budget, "seeds": seeds}
        made = table(self.task, self.rows, baseline, protocol, self.metric, self.higher_is_better)
        sign = -1 if made["higher_is_better"] else 1

        def order(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
            mean = row["after"]["mean"] if row["after"] else None
            return row["label"] == baseline, mean is None, sign * mean if mean is not None else 0.0

        made["rows"].sort(key=order)
        return made

    def differences(self, baseline: str | None) -> dict[str, np.ndarray]:
        """By row label: row minus baseline after adaptation, every episode of every shared seed [episodes].

        In percent points for accuracy; rows that cannot be paired are left out.
        """
        reference = next((row for row in self.rows if row.label == baseline), None)
        found: dict[str, np.ndarray] = {}
        for row in self.rows:
            if reference is None or row is reference:
                continue
            pairs = [
                (_episodes_at(mine, mine["after_step"]), _episodes_at(theirs, theirs["after_step"]))
                for seed, mine in row.finished.items()
                if (theirs := reference.finished.get(seed)) is not None
            ]
            if pairs:
                found[row.label] = np.concatenate([one - other for one, other in pairs])
        return found


@dataclass(frozen=True)
class _Seen:
    """A run with what is on its disk: the spec (None: unreadable) and its sound evaluations, oldest first."""

    summary: Summary
    spec: "Spec | None"
    results: tuple[Result, ...]


class Standings:
    """Reads the folder's tables; what has not changed is not read again. Not for several threads at once."""

    def __init__(self) -> None:
        self._stamp: object = None
        self._specs: dict[str, Spec | None] = {}
        self._results: dict[str, tuple[object, tuple[Result, ...]]] = {}

    def look(self, summaries: Sequence[Summary]) -> tuple[Standing, ...] | None:
        """The tables of these runs, those with the newest runs first; None where nothing has changed."""
        wanted = _candidates(summaries)
        stamp = [(each.id, each.state, each.status.step * (not each.status.alive)) for each in wanted]
        changed = (stamp, [_modified(each.run.results) for each in wanted])
        if changed == self._stamp:
            return None
        seen = [self._seen(summary) for summary in wanted]
        self._stamp = changed
        return tuple(_standings(seen))

    def _seen(self, summary: Summary) -> _Seen:
        modified = _modified(summary.run.results)
        kept = self._results.get(summary.id)
        if kept is None or kept[0] != modified:
            results = (sound(result) for result in read_evaluations(summary.run))
            kept = (modified, tuple(result for result in results if result is not None))
            self._results[summary.id] = kept
        if summary.id not in self._specs:
            self._specs[summary.id] = _spec(summary.run)
        return _Seen(summary, self._specs[summary.id], kept[1])


def _candidates(summaries: Sequence[Summary]) -> list[Summary]:
    """For each (training key, seed) the run that counts, the newest first; those that ended early may."""
    by_key: dict[tuple[str, int], list[Summary]] = {}
    for each in summaries:
        if each.kind == "train" and each.seed is not None and each.key:
            by_key.setdefault((each.key, each.seed), []).append(each)
    chosen = []
    for (key, seed), group in by_key.items():
        found = choose(group, key, seed)
        chosen += [each for each in group if found is not None and each.run == found[0]][:1]
    return sorted(chosen, key=lambda each: each.id, reverse=True)


def _standings(seen: Sequence[_Seen]) -> Iterable[Standing]:
    groups: dict[tuple[str, str], dict[RowKey, dict[int, _Seen]]] = {}
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


def _tables(task: str, budget: str, rows: Mapping[RowKey, Mapping[int, _Seen]]) -> Iterable[Standing]:
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
    task: str, budget: str, rows: Mapping[RowKey, Mapping[int, _Seen]], protocol: Protocol | None
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
            from engine.runs.execution import tasks_seen

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
    by_seed: Mapping[int, _Seen],
    results: Mapping[int, Result | None],
    settings: Mapping[str, Any],
    task: str,
) -> RowRuns:
    algorithm, _, trained_on = key
    seeds = tuple(sorted(by_seed))
    specs = [by_seed[seed].spec for seed in seeds]
    statuses = [by_seed[seed].summary.status for seed in seeds]
    iterations = next((s.step for s, seed in zip(statuses, seeds, strict=True) if results[seed]), None)
    missing = [
        f"seed {seed}: {_why(by_seed[seed])}" if len(seeds) > 1 else _why(by_seed[seed])
        for seed in seeds
        if results[seed] is None
    ]
    from engine.runs.execution import tasks_seen

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
        tasks_seen=tasks_seen(specs[0], iterations) if specs[0] else None,
        error="; ".join(missing) or None,
    )


def _why(seen: _Seen) -> str:
    """Why there is no result yet."""
    state = seen.summary.state
    return {"queued": "queued", "starting": "starting", "running": "training"}.get(state, NOT_TESTED)


def _result(seen: _Seen, task: str, algorithm: str, protocol: Protocol | None) -> Result | None:
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


def _fits(by_seed: Mapping[int, _Seen], key: RowKey, task: str, protocol: Protocol | None) -> bool:
    """Whether a row belongs in a table: it has a result there, or could be given one."""
    if protocol is None or any(_result(each, task, key[0], protocol) for each in by_seed.values()):
        return True
    spec = next(iter(by_seed.values())).spec
    if spec is None or key[2] != task:
        return False
    stated = dict(zip(SAME_EPISODES, protocol.stated, strict=True))
    own = {name: getattr(spec.task, name, None) for name in SHAPE}
    return all(stated[name] in (None, own[name]) for name in SHAPE)


def _stated(rows: Mapping[RowKey, Mapping[int, _Seen]]) -> dict[str, Any]:
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
    """The literature's figure from the task's preset, for what was trained on the task it is tested on."""
    if spec is None or task != trained_on:
        return None
    if algorithm == spec.origin.algorithm:
        found = spec.origin.published
        return found.model_dump() if found else None
    from engine.presets import resolve

    try:
        found = resolve(task, algorithm).spec.origin.published
    except (RequestError, OSError):
        return None
    return found.model_dump() if found else None


def _spec(run: Run) -> "Spec | None":
    """The run's spec; None where its file is not one."""
    from engine.presets import load_spec

    try:
        return load_spec(run.spec_path)
    except (RequestError, OSError, ValueError, RecursionError):
        return None


def _modified(folder: Path) -> object:
    """The results there are and when each was written; a test's progress beside them changes nothing here."""
    try:
        return frozenset(
            (entry.name, entry.stat().st_mtime_ns)
            for entry in os.scandir(folder)
            if entry.name.endswith(".json") and not entry.name.startswith(".")
        )
    except OSError:
        return None
