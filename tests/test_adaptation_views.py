"""Ways of looking at a trained learner: its tangent at the start, several checkpoints together, how far
layers move."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as functional
from plain_loop import CPU, close, image_tasks, moved, plain_outputs

from engine.adaptation.movement import moved as movement
from engine.evaluation import scores
from engine.learner import Learner
from engine.presets.schema import Spec

MODEL = {"name": "conv4", "filters": 3, "pooling": "stride"}


@dataclass
class Made:
    """A learner of float64 on small images of noise, off its special starts, and three test tasks."""

    adaptation: dict[str, object]
    seed: int = 0

    def __post_init__(self) -> None:
        task = {"dataset": "glyphs", "ways": 4, "shots": 2, "queries": 3}
        spec = {"task": task, "model": MODEL, "adaptation": self.adaptation}
        self.spec = Spec.model_validate(spec)
        self.learner = Learner(self.spec, image_tasks(self.spec), CPU, torch.float64)
        self.learner.meta_parameters = moved(self.learner.meta_parameters, self.seed)
        self.task = self.learner.tasks.episodes("test", torch.arange(3))
        self.rule = self.learner.rule(self.spec.adaptation, "test", "query")


def tangent(made: Made, t: int, own: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """f(θ₀) + J (θ − θ₀) of task t by a central difference along θ − θ₀."""
    start, step = made.learner.meta_parameters, 1e-4
    sides = [
        plain_outputs(
            made.spec.model, {n: p + sign * step * (own[n] - p) for n, p in start.items()}, x
        )
        for sign in (1, -1)
    ]
    return plain_outputs(made.spec.model, start, x) + (sides[0] - sides[1]) / (2 * step)


def test_a_linearised_model_descends_on_its_tangent() -> None:
    """Two steps: each gradient is that of the tangent's loss, here J at the start times the loss's slope."""
    made = Made({"steps": 2, "learning_rate": 0.05, "linearised": True})
    start, task, rule = made.learner.meta_parameters, made.task, made.rule
    states = [rule.start(start, task)]
    for number in range(2):
        states.append(rule.step(states[-1], start, task, number, second_order=False)[0])
    outputs = rule.predict(states[-1], start, task, 2)
    for t in range(3):
        leaves = {n: p.clone().requires_grad_() for n, p in start.items()}
        at_start = plain_outputs(made.spec.model, leaves, task.support_x[t])
        own = {n: p.clone() for n, p in start.items()}
        for number in range(2):
            logits = tangent(made, t, own, task.support_x[t]).requires_grad_()
            loss = functional.cross_entropy(logits, task.support_y[t])
            (slope,) = torch.autograd.grad(loss, logits)
            found = torch.autograd.grad(at_start, list(leaves.values()), slope, retain_graph=True)
            own = {n: p - 0.05 * g for (n, p), g in zip(own.items(), found, strict=True)}
            for name, value in own.items():
                assert close(states[number + 1][name][t], value, 1e-5), (number, name)
        assert close(outputs[t], tangent(made, t, own, task.query_x[t]), 1e-5)


def test_a_tangent_of_the_head_alone_is_the_model_itself() -> None:
    real = Made({"steps": 3, "learning_rate": 0.3, "parameters": "head"})
    view = Made({"steps": 3, "learning_rate": 0.3, "parameters": "head", "linearised": True})
    found = [
        scores(made.learner, made.spec.adaptation, "test", 5, "query", [0, 3]) for made in (real, view)
    ]
    assert torch.equal(*found)


@pytest.mark.parametrize("rule", ["gradient", "prototypes"])
def test_an_ensemble_predicts_by_the_mean_of_its_members_outputs(rule: str) -> None:
    settings = {"rule": rule, "steps": 2, "learning_rate": 0.1}
    members = [Made(settings, seed) for seed in range(3)]
    made, expected = members[0], []
    for each in members:
        parameters = each.learner.meta_parameters
        state = each.rule.start(parameters, made.task)
        steps = 2 if rule == "gradient" else 1
        for number in range(steps):
            state, _ = each.rule.step(state, parameters, made.task, number, second_order=False)
        expected.append(each.rule.predict(state, parameters, made.task, steps).detach())
    made.learner.others = [each.learner for each in members[1:]]
    together = made.learner.rule(made.spec.adaptation, "test", "query")
    state = together.start(made.learner.meta_parameters, made.task)
    for number in range(together.steps):
        state, _ = together.step(state, made.learner.meta_parameters, made.task, number, second_order=False)
    found = together.predict(state, made.learner.meta_parameters, made.task, together.steps)
    assert close(found, (expected[0] + expected[1] + expected[2]) / 3, 1e-12)
    assert not close(found, expected[0], 1e-3)


def test_layers_move_by_the_norm_of_their_change() -> None:
    start = {"a.weight": torch.tensor([[3.0, 0.0]]), "a.bias": torch.tensor([[4.0]]), "b": torch.zeros(1, 2)}
    after = {"a.weight": torch.tensor([[3.0, 1.0]]), "a.bias": torch.tensor([[4.0]]), "b": torch.ones(1, 2)}
    assert movement([start, after]) == {"a": [0.0, 0.2], "b": [None, None]}
    assert movement([start, start]) == {}
