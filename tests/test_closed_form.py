"""Heads solved in closed form, against their papers' formulas written out a task at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from plain_loop import CPU, Parameters, close, image_tasks, moved, plain_features
from test_crammer_singer import solved_by_scipy
from test_learning import GLYPHS, SINE, score_of
from torch import Tensor

from engine.evaluation import scores
from engine.learner import Learner
from engine.presets.schema import Spec
from engine.tasks import Episodes, build_tasks
from engine.training import Trainer

RATE = 0.1
GLYPH_LIKE = {
    "task": {"dataset": "glyphs", "ways": 3, "shots": 2, "queries": 3},
    "model": {"name": "conv4", "filters": 3, "pooling": "max"},
}
WAVES = {
    "task": {"dataset": "sine", "shots": 5, "queries": 7},
    "model": {"name": "mlp", "hidden": [8, 6], "norm": "none"},
}


def learner_of(
    base: dict, adaptation: dict, dtype: torch.dtype = torch.float64, **training: object
) -> Learner:
    """A small learner, moved off its special starts; its outer steps are plain descent."""
    spec = Spec.model_validate(
        base
        | {
            "adaptation": adaptation,
            "outer": {"optimizer": "sgd", "learning_rate": RATE},
            "training": {"tasks_per_batch": 3, "iterations": 3, **training},
        }
    )
    images = spec.task.dataset != "sine"
    tasks = image_tasks(spec) if images else build_tasks(spec, None, CPU, dtype)  # type: ignore[arg-type]
    learner = Learner(spec, tasks, CPU, dtype)
    for name, value in moved(learner.meta_parameters).items():
        learner.meta_parameters[name].copy_(value)
    return learner


def plain_ridge(learner: Learner, parameters: Parameters, task: Episodes, t: int) -> Tensor:
    """Bertinetto 2019, equations 4 and 7: (XᵀX + λI)⁻¹XᵀY, by as many unknowns as features; α X′W + β."""
    ridge = learner.spec.adaptation.ridge
    x, query = (plain_features(learner.spec.model, parameters, s[t]) for s in (task.support_x, task.query_x))
    if ridge.intercept:
        x, query = (torch.cat([side, torch.ones(len(side), 1).double()], 1) for side in (x, query))
    y = task.support_y[t]
    y = y if y.is_floating_point() else functional.one_hot(y, 3).double()
    strength = parameters["ridge.log_lambda"].exp() if ridge.learned else ridge.strength
    weight = torch.linalg.inv(x.T @ x + strength * torch.eye(x.shape[1]).double()) @ x.T @ y
    return parameters["ridge.scale"] * (query @ weight) + parameters["ridge.bias"]


def plain_machine(learner: Learner, parameters: Parameters, task: Episodes, t: int) -> Tensor:
    """Lee 2019, equations 6 and 7: which constraints hold is SciPy's finding, the rest is a linear system."""
    x, query = (plain_features(learner.spec.model, parameters, s[t]) for s in (task.support_x, task.query_x))
    member = functional.one_hot(task.support_y[t], 3).double().T
    kernel = x @ x.T + torch.eye(len(x)).double()
    found = torch.from_numpy(solved_by_scipy(kernel.detach().numpy(), member.numpy()))
    free = ((0.1 * member - found) > 1e-6).flatten().nonzero().squeeze(1)
    ways, examples = member.shape
    held = (0.1 * member).flatten().index_fill(0, free, 0.0)
    whole, sums = torch.kron(torch.eye(ways).double(), kernel), torch.eye(examples).double().repeat(1, ways)
    corner = torch.zeros(examples, examples).double()
    rows = torch.cat([whole[free][:, free], sums[:, free].T], 1)
    system = torch.cat([rows, torch.cat([sums[:, free], corner], 1)])
    right = torch.cat([(member.flatten() - whole @ held)[free], -sums @ held])
    z = held.index_add(0, free, torch.linalg.solve(system, right)[: len(free)])
    return parameters["svm.scale"] * (query @ (z.reshape(ways, examples) @ x).T)


CASES = {
    "ridge": (GLYPH_LIKE, {"rule": "ridge", "ridge": {"lambda": 2.0, "scale": 3.0}}, plain_ridge),
    "ridge, fixed": (
        GLYPH_LIKE,
        {"rule": "ridge", "ridge": {"lambda": 0.5, "learned": False, "intercept": False}},
        plain_ridge,
    ),
    "ridge, waves": (WAVES, {"rule": "ridge", "ridge": {"lambda": 0.3}}, plain_ridge),
    "svm": (GLYPH_LIKE, {"rule": "svm", "svm": {"scale": 5.0}}, plain_machine),
}


@pytest.mark.parametrize("case", CASES)
def test_three_outer_steps_follow_the_paper(case: str) -> None:
    base, adaptation, plain = CASES[case]
    learner = learner_of(base, adaptation)
    expected = {name: value.clone() for name, value in learner.meta_parameters.items()}
    trainer = Trainer(learner)
    for iteration in range(3):
        task = trainer.stream.episodes(iteration)
        leaves = {name: value.clone().requires_grad_() for name, value in expected.items()}
        losses = []
        for t in range(3):
            outputs, y = plain(learner, leaves, task, t), task.query_y[t]
            regression = y.is_floating_point()
            losses.append((functional.mse_loss if regression else functional.cross_entropy)(outputs, y))
        slopes = torch.autograd.grad(sum(losses) / 3, list(leaves.values()))
        expected = {n: (p - RATE * s).detach() for (n, p), s in zip(leaves.items(), slopes, strict=True)}
        trainer.step()
    for name, value in expected.items():
        assert close(learner.meta_parameters[name], value, 1e-9), name
    assert {n for n in expected if "." in n and n.split(".")[0] in ("ridge", "svm")}


def test_ridge_of_a_single_precision_model_where_examples_coincide() -> None:
    """The kernel of two equal examples is singular but for a λ that single precision cannot add. Checked
    by least squares in double precision on the same features, √λ times the identity below them."""
    learner = learner_of(WAVES, {"rule": "ridge", "ridge": {"lambda": 1e-8}}, dtype=torch.float32)
    tasks = learner.tasks.episodes("train", torch.arange(3))
    for side in (tasks.support_x, tasks.support_y):
        side[:, 1] = side[:, 0]
    parameters = learner.meta_parameters | {"ridge.log_lambda": torch.tensor(1e-8).log()}
    rule = learner.rule(learner.spec.adaptation, "train", "query")
    state, _ = rule.step(rule.start(parameters, tasks), parameters, tasks, 0, True)
    found = state["weight"]
    features = rule.support_features(parameters, tasks)
    assert features.dtype == found.dtype == torch.float32
    for t in range(3):
        x = np.concatenate([features[t].double().numpy(), np.ones((5, 1))], 1)
        below = 1e-4 * np.eye(x.shape[1])
        targets = np.concatenate([tasks.support_y[t].double().numpy(), np.zeros((len(below), 1))])
        expected = np.linalg.lstsq(np.concatenate([x, below]), targets, rcond=None)[0]
        assert close(found[t].double(), torch.from_numpy(expected.T), 1e-4)


@pytest.mark.parametrize("rule", ["ridge", "svm"])
def test_more_ways_in_training_than_in_testing(rule: str) -> None:
    learner = learner_of(GLYPH_LIKE, {"rule": rule}, ways=5, queries=1)
    trainer = Trainer(learner)
    record = trainer.step()
    assert record is not None and np.isfinite(record["outer_loss"])
    found = scores(learner, learner.spec.adaptation, "test", 4, "query", [1])
    assert found.shape == (4, 1)


@pytest.mark.parametrize("rule", ["ridge", "svm"])
def test_a_body_trained_otherwise_is_tested_so(rule: str) -> None:
    """No scale and no λ was learned: the start's serve."""
    learner = learner_of(GLYPH_LIKE, {"steps": 1})
    adaptation = learner.spec.adaptation.model_copy(update={"rule": rule})
    assert scores(learner, adaptation, "test", 4, "query", [1]).isfinite().all()


@pytest.mark.parametrize("algorithm", ["r2d2", "metaoptnet", "metaoptnet-ridge"])
def test_closed_forms_learn_glyphs(algorithm: str) -> None:
    """One episode of 20 ways an iteration."""
    shorter = ("training.iterations=100", "training.tasks_per_batch=1", "training.ways=20")
    assert score_of("glyphs-5way-1shot", algorithm, *GLYPHS, *shorter) > 0.6


def test_ridge_learns_waves() -> None:
    assert score_of("sine-10shot", "r2d2", *SINE, "training.iterations=150") < 0.15
