"""The cosine classifier (Baseline++, Chen 2019): its logits, its fine-tuning, its joint training, and where
it is refused."""

import pytest
import torch
import torch.nn.functional as functional
from plain_loop import CPU, Parameters, close, image_tasks, moved, plain_features
from test_learning import GLYPHS, score_of
from torch import Tensor

from engine.errors import RequestError
from engine.learner import Learner
from engine.presets import resolve, test_adaptation
from engine.presets.names import parameter_names
from engine.presets.schema import Spec
from engine.training import Trainer

SCALE, RATE = 7.0, 0.1
BASE = {
    "task": {"dataset": "glyphs", "ways": 4, "shots": 2, "queries": 3},
    "model": {"name": "conv4", "filters": 12, "pooling": "stride", "head": "cosine", "head_scale": SCALE},
}


def learner_of(**sections: object) -> Learner:
    spec = Spec.model_validate(BASE | sections)
    learner = Learner(spec, image_tasks(spec), CPU, torch.float64)
    for name, value in moved(learner.meta_parameters).items():
        learner.meta_parameters[name].copy_(value)
    return learner


def logits(learner: Learner, own: Parameters, x: Tensor) -> Tensor:
    """Scale times the cosine of each feature and each class's weight, one pair at a time."""
    features = plain_features(learner.spec.model, own, x)
    rows = [[(f @ w) / (f.norm() * w.norm()).clamp(min=1e-12) for w in own["head.weight"]] for f in features]
    return SCALE * torch.stack([torch.stack(row) for row in rows])


@pytest.mark.parametrize("head", ["learned", "random", "means", "stored"])
@pytest.mark.parametrize("parameters", ["head", "all"])
def test_inner_steps_on_a_cosine_head(head: str, parameters: str) -> None:
    adaptation = {"steps": 2, "learning_rate": RATE, "parameters": parameters, "head": head}
    learner = learner_of(adaptation=adaptation | {"new_head": "random"}, training={"tasks": 3})
    rule = learner.rule(learner.spec.adaptation, "train", "query")
    task = learner.tasks.episodes("train", torch.arange(2))
    state = start = rule.start(learner.meta_parameters, task)
    assert "head.bias" not in state and "head.bias" not in learner.meta_parameters
    for number in range(2):
        state, _ = rule.step(state, learner.meta_parameters, task, number, second_order=False)
    found = rule.predict(state, learner.meta_parameters, task, 2)
    for t in range(2):
        own = learner.meta_parameters | {n: value[t].detach() for n, value in start.items()}
        if head == "means":
            features = plain_features(learner.spec.model, own, task.support_x[t])
            means = torch.stack([features[task.support_y[t] == way].mean(0) for way in range(4)])
            assert close(own["head.weight"], means / means.norm(dim=1, keepdim=True))
        for _ in range(2):
            moving = {n: own[n].clone().requires_grad_() for n in start}
            outputs = logits(learner, own | moving, task.support_x[t])
            loss = functional.cross_entropy(outputs, task.support_y[t])
            slopes = torch.autograd.grad(loss, list(moving.values()))
            own |= {n: (p - RATE * s).detach() for (n, p), s in zip(moving.items(), slopes, strict=True)}
        assert close(found[t], logits(learner, own, task.query_x[t]))


def test_joint_training_of_a_cosine_head() -> None:
    outer = {"rule": "joint", "optimizer": "sgd", "learning_rate": RATE}
    training = {"examples_per_batch": 12, "iterations": 3}
    learner = learner_of(adaptation={"rule": "none"}, outer=outer, training=training)
    trainer = Trainer(learner)
    expected = {n: p.clone() for n, p in learner.meta_parameters.items()}
    assert expected["head.weight"].shape == (12, learner.body.feature_size)
    for iteration in range(3):
        examples = trainer.stream.examples(iteration)
        leaves = {n: p.requires_grad_() for n, p in expected.items()}
        loss = functional.cross_entropy(logits(learner, leaves, examples.x[0]), examples.y[0])
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        expected = {n: (p - RATE * s).detach() for (n, p), s in zip(leaves.items(), slopes, strict=True)}
        trainer.step()
    for name, value in expected.items():
        assert close(learner.meta_parameters[name], value, 1e-9), name


def test_a_cosine_head_has_no_bias() -> None:
    spec = resolve("omniglot-5way-1shot", "pretrain-cosine").spec
    assert "head.weight" in parameter_names(spec.model) and "head.bias" not in parameter_names(spec.model)
    assert test_adaptation(spec).parameters == "head"


REFUSED = [
    ("maml", "adaptation.head=zero", "adaptation.head zero: a cosine head of zeros has no direction"),
    ("pretrain", "", "evaluation.adaptation.head zero: a cosine head of zeros has no direction"),
    ("maml", "evaluation.tune={head: [zero, random]}", "evaluation.tune.head zero: a cosine head of zeros"),
    (
        "maml",
        "training.validation.adaptation.head=zero",
        "training.validation.adaptation.head zero: a cosine head",
    ),
]


@pytest.mark.parametrize(("algorithm", "override", "reason"), REFUSED)
def test_a_cosine_head_cannot_start_at_zero(algorithm: str, override: str, reason: str) -> None:
    overrides = ["model.head=cosine", *([override] if override else [])]
    with pytest.raises(RequestError, match=reason.replace("[", r"\[")):
        resolve("glyphs-5way-1shot", algorithm, overrides=overrides)


def test_waves_have_no_classes_to_set_apart() -> None:
    with pytest.raises(RequestError, match=r"model.head cosine tells classes apart by direction"):
        resolve("sine-10shot", "maml", overrides=["model.head=cosine"])
    with pytest.raises(RequestError, match=r"rule svm in .* sets classes apart; a sine task has none"):
        resolve("sine-10shot", "metaoptnet")


def test_the_cosine_baseline_learns_glyphs() -> None:
    assert score_of("glyphs-5way-1shot", "pretrain-cosine", *GLYPHS, "evaluation.steps=3") > 0.55
