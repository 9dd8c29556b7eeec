"""Testing: what is asked, of which episodes, and that choices are made on validation alone."""

import math

import pytest
import torch
from plain_loop import CPU, HEAD, adapts, image_tasks, moved, plain_class_means, plain_features, plain_outputs
from torch import Tensor

import engine.portions
from engine.evaluation import evaluate, recorded_steps, scores
from engine.learner import Learner
from engine.presets.schema import Adaptation, Spec, Tune
from engine.tasks import Episodes
from engine.tasks.sine import Sine


def image_learner(adaptation: dict | None = None, joint: bool = False, seed: int = 0) -> Learner:
    spec = Spec.model_validate(
        {
            "task": {"dataset": "glyphs", "ways": 4, "shots": 2, "queries": 4},
            "model": {"name": "conv4", "filters": 3, "pooling": "stride"},
            "adaptation": adaptation or {"learning_rate": 0.4, "steps": 2},
            "outer": {"rule": "joint"} if joint else {},
            "seed": seed,
        }
    )
    learner = Learner(spec, image_tasks(spec), CPU, torch.float64)
    for name, value in moved(learner.meta_parameters).items():
        learner.meta_parameters[name].copy_(value)
    return learner


def wave_learner(adaptation: dict | None = None) -> Learner:
    spec = Spec.model_validate(
        {
            "task": {"dataset": "sine", "shots": 5, "queries": 9},
            "model": {"name": "mlp", "hidden": [8, 8], "norm": "none"},
            "adaptation": adaptation or {"learning_rate": 0.05, "steps": 3},
        }
    )
    tasks = Sine(spec.task, (1, 5, 9), 0, 0, None, CPU, torch.float64)
    return Learner(spec, tasks, CPU, torch.float64)


class Watched:
    """A task distribution that remembers which part it was asked for, and for which tasks, in order."""

    def __init__(self, tasks) -> None:
        self.tasks, self.asked = tasks, []

    def episodes(self, part: str, index: Tensor) -> Episodes:
        self.asked.append((part, index.tolist()))
        return self.tasks.episodes(part, index)

    def __getattr__(self, name: str):
        return getattr(self.tasks, name)


def watched(learner: Learner) -> list:
    tasks = Watched(learner.tasks)
    learner.tasks = tasks
    return tasks.asked


def plain_scores(learner: Learner, adaptation: Adaptation, part: str, episodes: int, steps: int) -> Tensor:
    """Accuracy or error `[E, steps + 1]` after 0..steps of plain gradient descent, an episode at a time."""
    model, batch = learner.spec.model, learner.tasks.episodes(part, torch.arange(episodes))
    rows = []
    for t in range(episodes):
        support_x, support_y = batch.support_x[t], batch.support_y[t]
        own = dict(learner.meta_parameters)
        if adaptation.head == "zero":
            size = learner.body.feature_size
            own |= {HEAD[0]: torch.zeros(4, size).double(), HEAD[1]: torch.zeros(4).double()}
        elif adaptation.head == "means":
            own |= plain_class_means(plain_features(model, own, support_x), support_y, 4)
        row = []
        for _ in range(steps + 1):
            own = {n: p.detach().requires_grad_() for n, p in own.items()}
            outputs = plain_outputs(model, own, batch.query_x[t])
            if learner.tasks.kind == "classes":
                row.append((outputs.argmax(1) == batch.query_y[t]).double().mean().item())
                loss = torch.nn.functional.cross_entropy(plain_outputs(model, own, support_x), support_y)
            else:
                row.append((outputs - batch.query_y[t]).square().mean().item())
                loss = (plain_outputs(model, own, support_x) - support_y).square().mean()
            names = [n for n in own if adapts(n, adaptation.parameters)]
            slopes = torch.autograd.grad(loss, [own[n] for n in names])
            own |= {n: own[n] - adaptation.learning_rate * s for n, s in zip(names, slopes, strict=True)}
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (0, [0]),
        (1, [0, 1]),
        (10, list(range(11))),
        (11, [*range(11), 11]),
        (20, [*range(11), 20]),
        (100, [*range(11), 20, 50, 100]),
        (130, [*range(11), 20, 50, 100, 130]),
        (1000, [*range(11), 20, 50, 100, 200, 500, 1000]),
    ],
)
def test_recorded_steps(steps: int, expected: list[int]) -> None:
    assert recorded_steps(steps) == expected


@pytest.mark.parametrize("head", ["learned", "zero", "means"])
@pytest.mark.parametrize("parameters", ["all", "head"])
def test_scores_of_images_against_a_plain_loop(head: str, parameters: str) -> None:
    learner = image_learner({"head": head, "learning_rate": 0.4, "steps": 3, "parameters": parameters})
    found = evaluate(learner, learner.spec.adaptation, None, "test", 10, "query")
    expected = plain_scores(learner, learner.spec.adaptation, "test", 10, 3)
    assert found.steps == [0, 1, 2, 3]
    assert found.after_step == 3
    assert found.chosen is None
    assert found.values.dtype == torch.float64
    assert torch.allclose(found.values, expected)
    assert found.before_step == (None if head == "means" else 0)


def test_scores_of_waves_against_a_plain_loop() -> None:
    learner = wave_learner()
    found = evaluate(learner, learner.spec.adaptation, None, "test", 15, "query")
    assert torch.allclose(found.values, plain_scores(learner, learner.spec.adaptation, "test", 15, 3))


def test_steps_asked_for_do_not_change_the_ones_between() -> None:
    learner = wave_learner()
    adaptation = learner.spec.adaptation
    every = scores(learner, adaptation, "test", 6, "query", range(8))
    some = scores(learner, adaptation, "test", 6, "query", [1, 4, 7])
    assert torch.equal(some, every[:, [1, 4, 7]])


@pytest.mark.parametrize("statistics", ["query", "support", "one"])
def test_portions_do_not_change_scores(statistics: str, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = image_learner()
    asked = watched(learner)
    whole = scores(learner, learner.spec.adaptation, "test", 13, statistics, [0, 1, 2])
    assert len(asked) == 1
    ticks: list[int] = []
    examples = 16 * 9 * 3 if statistics == "one" else 24 * 3
    monkeypatch.setattr(engine.portions, "WIDEST_LAYER", learner.body.widest_layer * examples)
    portions = scores(learner, learner.spec.adaptation, "test", 13, statistics, [0, 1, 2], ticks.append)
    assert len(asked) > 3
    assert [i for _, index in asked[1:] for i in index] == list(range(13))
    assert ticks == sorted(ticks)
    assert ticks[-1] == 13
    assert torch.allclose(portions, whole)
    monkeypatch.setattr(engine.portions, "WIDEST_LAYER", 1)
    assert torch.allclose(scores(learner, learner.spec.adaptation, "test", 13, statistics, [0, 1, 2]), whole)


def test_every_algorithm_is_tested_on_the_same_episodes() -> None:
    """MAML, pretraining and nearest neighbour, of several seeds: the same tasks in one order."""
    seen = []
    for learner, adaptation in (
        (image_learner(), {"learning_rate": 0.4}),
        (image_learner(seed=1), {"learning_rate": 0.4}),
        (image_learner(joint=True), {"head": "zero", "parameters": "head"}),
        (image_learner(seed=2), {"rule": "nearest"}),
    ):
        given: list[Episodes] = []
        draw = learner.tasks.episodes

        def keep(part: str, index: Tensor, draw=draw, given=given) -> Episodes:
            given.append(draw(part, index))
            return given[-1]

        learner.tasks.episodes = keep  # type: ignore[method-assign]
        evaluate(learner, Adaptation.model_validate(adaptation), None, "test", 7, "query")
        seen.append([torch.cat(field) for field in zip(*given, strict=True)])
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))


def test_testing_changes_no_parameter() -> None:
    learner = image_learner()
    before = {name: p.clone() for name, p in learner.meta_parameters.items()}
    tune = Tune(learning_rate=(0.1, 0.5), steps=True, episodes=4)
    evaluate(learner, learner.spec.adaptation, tune, "test", 4, "query")
    assert all(torch.equal(before[name], p) for name, p in learner.meta_parameters.items())


def test_nearest_neighbour_has_one_score() -> None:
    learner = image_learner()
    asked = watched(learner)
    nearest = Adaptation(rule="nearest")
    found = evaluate(learner, nearest, Tune(learning_rate=(0.1, 0.2)), "test", 5, "query")
    assert found.values.shape == (5, 1)
    assert (found.steps, found.after_step, found.before_step, found.chosen) == ([1], 1, None, None)
    assert {part for part, _ in asked} == {"test"}


# Choosing on validation


@pytest.mark.parametrize("choose_steps", [False, True])
def test_choices_follow_validation_and_never_see_test_episodes(choose_steps: bool) -> None:
    """Every combination by a plain loop on validation; each number of steps gets its own best."""
    learner = image_learner(joint=True)
    asked = watched(learner)
    adaptation = Adaptation(steps=3, head="zero")
    rates, heads, parts = (0.01, 0.3, 3.0), ("zero", "means"), ("all", "head")
    tune = Tune(learning_rate=rates, head=heads, parameters=parts, steps=choose_steps, episodes=12)
    found = evaluate(learner, adaptation, tune, "test", 8, "query")
    tested = [part for part, _ in asked].index("test")
    assert {part for part, _ in asked[:tested]} == {"validation"}
    assert {part for part, _ in asked[tested:]} == {"test"}
    assert {i for part, index in asked[:tested] for i in index} == set(range(12))
    assert found.chosen is not None
    assert found.chosen["tried"] == 12
    assert found.chosen["episodes"] == 12
    table, tests = {}, {}
    for rate in rates:
        for head in heads:
            for part in parts:
                one = adaptation.model_copy(update={"learning_rate": rate, "head": head, "parameters": part})
                table[rate, head, part] = plain_scores(learner, one, "validation", 12, 3).mean(0)
                tests[rate, head, part] = plain_scores(learner, one, "test", 8, 3)
    best = torch.stack(list(table.values())).max(0).values
    for at, said in enumerate(found.chosen["by_step"]):
        key = said["learning_rate"], said["head"], said["parameters"]
        assert said["step"] == at
        assert float(table[key][at]) == pytest.approx(float(best[at]))
        assert torch.allclose(found.values[:, at], tests[key][:, at])
    if choose_steps:
        assert float(best[found.after_step]) == pytest.approx(float(best.max()))
    else:
        assert found.after_step == 3
    assert found.chosen["steps"] == found.after_step
    final = found.chosen["by_step"][found.after_step]
    assert all(found.chosen[key] == final[key] for key in ("learning_rate", "head", "parameters"))


@pytest.mark.parametrize("choose_steps", [False, True])
def test_lower_errors_win_and_divergence_loses(choose_steps: bool) -> None:
    """On waves the smaller error is better; a rate that explodes is tried and left."""
    learner = wave_learner({"learning_rate": 0.05, "steps": 12})
    rates = (1e30, 1e-6, 0.02, 1.5)
    tune = Tune(learning_rate=rates, steps=choose_steps, episodes=20)
    found = evaluate(learner, learner.spec.adaptation, tune, "test", 10, "query")
    assert found.chosen is not None
    assert found.steps == [*range(11), 12]
    means = []
    for rate in rates:
        one = learner.spec.adaptation.model_copy(update={"learning_rate": rate})
        column = plain_scores(learner, one, "validation", 20, 12).mean(0)[found.steps]
        means.append(torch.where(column.isfinite(), column, math.inf))
    lowest = torch.stack(means).min(0)
    asked = (0, 1, 2, 3, 5, 10, 11)  # places among the steps at which candidates are compared
    for at in range(1, 12):
        compared = next(place for place in asked if place >= at)
        assert found.chosen["by_step"][at]["learning_rate"] == rates[int(lowest.indices[compared])]
    best = min(asked, key=lambda place: float(lowest.values[place]))
    expected = found.steps[best] if choose_steps else 12
    assert found.after_step == expected
    assert bool(found.values.isfinite().all())


def test_progress_is_told_to_the_end() -> None:
    learner = image_learner()
    told: list[tuple[str, int, int]] = []
    tune = Tune(learning_rate=(0.1, 0.5, 2.0), episodes=4)

    def progress(phase: str, done: int, total: int) -> None:
        told.append((phase, done, total))

    evaluate(learner, learner.spec.adaptation, tune, "test", 5, "query", progress)
    choosing = [entry for entry in told if entry[0] != "testing"]
    testing = [entry for entry in told if entry[0] == "testing"]
    assert [total for *_, total in choosing] == [3] * len(choosing)
    assert testing
    assert testing[-1][1] == testing[-1][2]
    assert all(0 <= done <= total for _, done, total in told)


def test_a_rule_of_no_steps_is_asked_before_any() -> None:
    learner = image_learner({"steps": 0})
    found = evaluate(learner, learner.spec.adaptation, None, "test", 5, "query")
    assert found.steps == [0]
    assert torch.allclose(found.values, plain_scores(learner, learner.spec.adaptation, "test", 5, 0))
