"""MAML without inner steps, or with a rate of zero, is the multi-task union with a head for each task."""

import pytest
import torch
import torch.nn.functional as functional
from plain_loop import CPU, HEAD, Parameters, close, image_tasks, moved, plain_features
from test_learning import GLYPHS, score_of
from torch import Tensor

from engine.learner import Learner
from engine.presets import resolve
from engine.presets.schema import Spec
from engine.tasks import build_tasks
from engine.training import Trainer

OUTER_STEPS, TASKS, BATCH, RATE = 20, 5, 3, 0.02
GLYPH_LIKE = {
    "task": {"dataset": "glyphs", "ways": 4, "shots": 1, "queries": 3, "rotations": "drawn"},
    "model": {"name": "conv4", "filters": 4, "pooling": "stride"},
}
WAVES = {
    "task": {"dataset": "sine", "shots": 5, "queries": 8},
    "model": {"name": "mlp", "hidden": [8, 6], "norm": "none"},
}
STILL = {"k = 0": {"steps": 0}, "k = 5, rate 0": {"steps": 5, "learning_rate": 0.0}}


def trainer_of(base: dict, steps: dict, optimizer: str, new_head: str) -> Trainer:
    adaptation = {"head": "stored", "stored_heads": "outer", "new_head": new_head, **steps}
    spec = Spec.model_validate(
        base
        | {
            "adaptation": adaptation,
            "outer": {"optimizer": optimizer, "learning_rate": RATE},
            "training": {"tasks": TASKS, "tasks_per_batch": BATCH, "iterations": OUTER_STEPS},
        }
    )
    images = spec.task.dataset != "sine"
    tasks = image_tasks(spec) if images else build_tasks(spec, None, CPU, torch.float64)  # type: ignore[arg-type]
    learner = Learner(spec, tasks, CPU, torch.float64)
    for name, value in moved(learner.meta_parameters, size=0.1).items():
        learner.meta_parameters[name].copy_(value)
    return Trainer(learner)


def union(trainer: Trainer, optimizer: str) -> Parameters:
    """One body and a head for each task, trained on the query sets together: no support set, no inner loop.

    Gradient descent, or Adam as Kingma & Ba 2015 write it (algorithm 1).
    """
    parameters = {n: p.clone() for n, p in trainer.learner.meta_parameters.items()}
    first = {n: torch.zeros_like(p) for n, p in parameters.items()}
    second = {n: torch.zeros_like(p) for n, p in parameters.items()}
    for step in range(1, OUTER_STEPS + 1):
        tasks = trainer.stream.episodes(step - 1)
        leaves = {n: p.requires_grad_() for n, p in parameters.items()}
        losses: list[Tensor] = []
        for x, y, own in zip(tasks.query_x, tasks.query_y, tasks.identity.tolist(), strict=True):
            weight, bias = (leaves[f"stored.{name}"][own] for name in HEAD)
            outputs = functional.linear(plain_features(trainer.spec.model, leaves, x), weight, bias)
            regression = y.is_floating_point()
            losses.append((functional.mse_loss if regression else functional.cross_entropy)(outputs, y))
        slopes = torch.autograd.grad(torch.stack(losses).mean(), list(leaves.values()))
        for (name, value), slope in zip(parameters.items(), slopes, strict=True):
            move = slope
            if optimizer == "adam":
                first[name] = 0.9 * first[name] + 0.1 * slope
                second[name] = 0.999 * second[name] + 0.001 * slope**2
                mean, square = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
                move = mean / (square.sqrt() + 1e-8)
            parameters[name] = (value - RATE * move).detach()
    return parameters


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("steps", STILL)
@pytest.mark.parametrize(
    ("base", "new_head"), [(GLYPH_LIKE, "random"), (WAVES, "zero")], ids=["glyphs", "waves"]
)
def test_an_inner_loop_that_stands_still_is_the_union(
    base: dict, new_head: str, steps: str, optimizer: str
) -> None:
    trainer = trainer_of(base, STILL[steps], optimizer, new_head)
    expected = union(trainer, optimizer)
    before = {n: p.clone() for n, p in trainer.learner.meta_parameters.items()}
    while trainer.iteration < OUTER_STEPS:
        trainer.step()
    for name, value in expected.items():
        found = trainer.learner.meta_parameters[name]
        assert close(found, value, 1e-9), name
        assert not close(found, before[name], 1e-3), name


def test_the_preset_is_such_a_union() -> None:
    for task in ("omniglot-5way-1shot", "sine-10shot"):
        spec = resolve(task, "multitask-union").spec
        adaptation = spec.adaptation
        assert (adaptation.steps, adaptation.head, adaptation.stored_heads) == (0, "stored", "outer")
        assert spec.outer.rule == "meta-gradient"
        assert spec.training.tasks
        assert spec.evaluation.tune is not None


def test_the_union_learns_glyphs() -> None:
    tested = ("evaluation.adaptation.head=means", "evaluation.steps=0")
    shorter = ("training.iterations=250", "training.tasks=100")
    assert score_of("glyphs-5way-1shot", "multitask-union", *GLYPHS, *shorter, *tested) > 0.55
