"""Testing: every episode's accuracy or error after chosen numbers of inner steps, without a graph."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from math import inf, isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.adaptation import Rule
from engine.adaptation.losses import task_metric
from engine.adaptation.rule import State
from engine.learner import Learner
from engine.portions import portion_size
from engine.presets.schema import Adaptation, Tune
from engine.tasks.episodes import Episodes, Part

# Up to 10 steps, what choosing asks for: it tries many candidates, and neighbouring steps hardly differ.
ASKED_IN_CHOOSING = (0, 1, 2, 3, 5, 10)
Progress = Callable[[str, int, int], None]


def recorded_steps(steps: int) -> list[int]:
    """The steps at which queries are asked: all up to 10, then 20, 50, 100, 200, 500, ..., and the last."""
    beyond = [m * 10**e for e in range(1, 7) for m in (1, 2, 5)]
    return sorted({*range(min(steps, 10) + 1), *(s for s in beyond if s < steps), steps})


def asked_steps(rule: Rule, steps: int) -> list[int]:
    """The steps at which queries are asked of a rule that takes so many; one that has no steps is asked once,
    after what counts as its first."""
    return recorded_steps(steps) if rule.shows_steps else [1]


def scores(
    learner: Learner,
    adaptation: Adaptation,
    part: Part,
    episodes: int,
    statistics: str,
    steps: Sequence[int],
    tick: Callable[[int], None] = lambda done: None,
    first: int = 0,
) -> Tensor:
    """The metric of E episodes from `first` on after each of `steps`: float64 `[E, len(steps)]` on the CPU.

    Where the device's memory does not hold a portion of the episodes, smaller ones are taken.

    A rule that has no steps is asked once, whatever `steps` says: `[E, 1]`.
    """
    rule = learner.rule(adaptation, part, statistics)
    values: list[Tensor] = []
    done, size = 0, min(episodes, _tasks_at_once(learner, part, statistics))
    while done < episodes:
        end = min(done + size, episodes)
        try:
            task = learner.tasks.episodes(part, torch.arange(first + done, first + end))
            values.append(_trajectory(rule, learner, task, steps).cpu().double())
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size = (size + 1) // 2
            continue
        done = end
        tick(done)
    return torch.cat(values)


def _tasks_at_once(learner: Learner, part: Part, statistics: str) -> int:
    ways, shots, queries = learner.tasks.shape(part)
    support = ways * shots
    passed = ways * queries * (support + 1) if statistics == "one" else support + ways * queries
    return portion_size(learner.body, passed)


@torch.no_grad()
def _trajectory(rule: Rule, learner: Learner, task: Any, steps: Sequence[int]) -> Tensor:
    states = adapted_states(rule, learner, task, steps)
    outputs = (rule.predict(state, learner.meta_parameters, task, number) for number, state in states)
    return torch.stack([task_metric(learner.tasks.kind, each, task.query_y) for each in outputs], 1)


def adapted_states(
    rule: Rule, learner: Learner, task: Episodes, steps: Sequence[int]
) -> Iterator[tuple[int, State]]:
    """Each of `steps` with the rule's state after it; a rule that has no steps gives its only one.

    To be walked through within `torch.no_grad`.
    """
    meta_parameters = learner.meta_parameters
    state = rule.start(meta_parameters, task)
    asked = set(steps) if rule.shows_steps else {rule.steps}
    for number in range(max(asked) + 1):
        if number in asked:
            yield number, state
        if number < max(asked):
            state, _ = rule.step(state, meta_parameters, task, number, second_order=False)


class Candidate(NamedTuple):
    """One way to adapt at test time, with its mean validation metric at each recorded step."""

    adaptation: Adaptation
    means: list[float]


class Choice(NamedTuple):
    """What validation chose: the candidate for each recorded step, and the step to stop at."""

    by_step: list[Adaptation]
    step: int
    tried: int


def choose(
    learner: Learner,
    adaptation: Adaptation,
    tune: Tune,
    statistics: str,
    steps: Sequence[int],
    progress: Progress,
) -> Choice:
    """Tries every combination that `tune` lists on validation episodes.

    Each number of steps gets the candidate that is best there (at 4, 6, 7, 8 and 9 steps: that of the next
    number asked), so that a row of few steps is not judged by a rate chosen for many; with `tune.steps` the
    number of steps is chosen too, else it is the last of `steps`.
    """
    better = _better(learner)
    options = {
        name: getattr(tune, name) for name in ("learning_rate", "head", "parameters") if getattr(tune, name)
    }
    combinations = [dict(zip(options, values, strict=True)) for values in product(*options.values())]
    asked = [step for step in steps if step in ASKED_IN_CHOOSING or step > 10 or step == steps[-1]]
    candidates = []
    for number, combination in enumerate(combinations):
        progress("choosing on validation", number, len(combinations))
        tried = adaptation.model_copy(update=combination)
        values = scores(learner, tried, "validation", tune.episodes, statistics, asked)
        candidates.append(Candidate(tried, [better(m) for m in values.mean(0).tolist()]))
    winners = [max(candidates, key=partial(_mean_at, at)) for at in range(len(asked))]
    heights = [winner.means[at] for at, winner in enumerate(winners)]
    chosen = asked[heights.index(max(heights))] if tune.steps else steps[-1]
    by_step = [winners[bisect_left(asked, step)].adaptation for step in steps]
    return Choice(by_step, chosen, len(combinations))


def _mean_at(at: int, candidate: Candidate) -> float:
    return candidate.means[at]


def _better(learner: Learner) -> Callable[[float], float]:
    """A metric as something to maximise; what is not finite is worst."""
    sign = 1.0 if learner.tasks.kind == "classes" else -1.0
    return lambda mean: sign * mean if isfinite(mean) else -inf


class Scored(NamedTuple):
    """Test scores `values [E, S]` at `steps`, the step that counts as after adaptation, and how it was
    chosen."""

    steps: list[int]
    values: Tensor
    after_step: int
    before_step: int | None
    chosen: dict[str, Any] | None


def evaluate(
    learner: Learner,
    adaptation: Adaptation,
    tune: Tune | None,
    part: Part,
    episodes: int,
    statistics: str,
    progress: Progress = lambda phase, done, total: None,
) -> Scored:
    """Tests a learner on a part's episodes after 0..k steps, choosing on validation first where `tune` asks
    for it."""
    rule = learner.rule(adaptation, part, statistics)
    steps = asked_steps(rule, adaptation.steps)
    if tune is None or not rule.shows_steps:
        tick = _ticker(progress, 0, episodes, episodes)
        values = scores(learner, adaptation, part, episodes, statistics, steps, tick)
        return Scored(steps, values, steps[-1], _before(adaptation) if rule.shows_steps else None, None)
    choice = choose(learner, adaptation, tune, statistics, steps, progress)
    distinct = list(dict.fromkeys(choice.by_step))
    columns: dict[int, Tensor] = {}
    for number, candidate in enumerate(distinct):
        asked = [s for s, winner in zip(steps, choice.by_step, strict=True) if winner == candidate]
        tick = _ticker(progress, number * episodes, episodes, len(distinct) * episodes)
        values = scores(learner, candidate, part, episodes, statistics, asked, tick)
        columns |= {step: values[:, at] for at, step in enumerate(asked)}
    values = torch.stack([columns[s] for s in steps], 1)
    return Scored(steps, values, choice.step, _before(choice.by_step[0]), _said(choice, tune, steps))


def _before(adaptation: Adaptation) -> int | None:
    """Step 0 counts as before adaptation, unless the head there is already made of the support set."""
    return None if adaptation.head == "means" else 0


def _ticker(progress: Progress, done: int, episodes: int, total: int) -> Callable[[int], None]:
    return lambda now: progress("testing", done + now, total)


def _said(choice: Choice, tune: Tune, steps: Sequence[int]) -> dict[str, Any]:
    names = [n for n in ("learning_rate", "head", "parameters") if getattr(tune, n)]
    by_step = [
        {"step": step} | {n: getattr(winner, n) for n in names}
        for step, winner in zip(steps, choice.by_step, strict=True)
    ]
    chosen = next(entry for entry in by_step if entry["step"] == choice.step)
    return {
        **{n: v for n, v in chosen.items() if n != "step"},
        "steps": choice.step,
        "steps_chosen": tune.steps,
        "tried": choice.tried,
        "episodes": tune.episodes,
        "by_step": by_step,
    }
