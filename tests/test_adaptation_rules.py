"""Adaptation rules beside the gradient: neighbours, centroids, kept heads, batch statistics, metrics."""

import math

import pytest
import torch
import torch.nn.functional as functional
from plain_loop import (
    CPU,
    HEAD,
    Parameters,
    close,
    image_tasks,
    moved,
    plain_class_means,
    plain_features,
    plain_meta_gradient,
    plain_outputs,
)
from torch import Tensor

from engine.adaptation import MetaGradient, meta_gradient
from engine.adaptation.heads import STORED
from engine.adaptation.losses import task_loss, task_metric
from engine.evaluation import scores
from engine.learner import Learner
from engine.presets.schema import Model, Spec
from engine.tasks import Episodes

CONV = {"name": "conv4", "filters": 4, "pooling": "max"}
STRIDED = {"name": "conv4", "filters": 4, "pooling": "stride", "features": "mean"}
MLP = {"name": "mlp", "hidden": [7, 6]}
PIXELS = {"name": "pixels"}


def learner_of(model: dict, adaptation: dict, training: dict | None = None, **task: object) -> Learner:
    spec = Spec.model_validate(
        {
            "task": {"dataset": "glyphs", "ways": 4, "shots": 3, "queries": 5} | task,
            "model": model,
            "adaptation": adaptation,
            "training": training or {},
        }
    )
    learner = Learner(spec, image_tasks(spec), CPU, torch.float64)
    for name, value in moved(learner.meta_parameters).items():
        learner.meta_parameters[name].copy_(value)
    return learner


def features_by_reference(model: Model, parameters: Parameters, reference: Tensor, x: Tensor) -> Tensor:
    """Features of `x` with every layer normalised by the statistics of `reference` at that layer."""
    layers = 4 if model.name == "conv4" else len(model.hidden)
    if model.name == "mlp":
        reference, x = reference.flatten(1), x.flatten(1)
    for layer in range(1, layers + 1):
        sides = []
        for side in (reference, x):
            if model.name == "conv4":
                stride = 1 if model.pooling == "max" else 2
                sides.append(functional.conv2d(side, parameters[f"conv{layer}.weight"], None, stride, 1))
            else:
                weight, bias = parameters[f"linear{layer}.weight"], parameters[f"linear{layer}.bias"]
                sides.append(functional.linear(side, weight, bias))
        over = [0, 2, 3] if model.name == "conv4" else [0]
        mean, variance = sides[0].mean(over), sides[0].var(over, correction=0)
        scale, shift = parameters[f"norm{layer}.scale"], parameters[f"norm{layer}.shift"]
        sides = [
            functional.batch_norm(s, mean, variance, scale, shift, False, eps=1e-5).relu() for s in sides
        ]
        if model.name == "conv4" and model.pooling == "max":
            sides = [functional.max_pool2d(side, 2) for side in sides]
        reference, x = sides
    if model.name == "mlp":
        return x
    return x.mean((2, 3)) if model.features == "mean" else x.flatten(1)


def query_features_by(statistics: str, model: Model, parameters: Parameters, support: Tensor, query: Tensor):
    """Features of the queries of one task as each protocol says, a query at a time where it matters."""
    if statistics == "query":
        return plain_features(model, parameters, query)
    if statistics == "support":
        return torch.cat([features_by_reference(model, parameters, support, one[None]) for one in query])
    return torch.stack(
        [plain_features(model, parameters, torch.cat([support, one[None]]))[-1] for one in query]
    )


@pytest.mark.parametrize("statistics", ["query", "support", "one"])
@pytest.mark.parametrize("model", [CONV, STRIDED, MLP], ids=["max", "stride", "mlp"])
@pytest.mark.parametrize("parameters", ["all", "head"])
def test_statistics_come_from_where_the_protocol_says(statistics: str, model: dict, parameters: str) -> None:
    """With weights of each task's own and with a body that all tasks share."""
    learner = learner_of(model, {"steps": 2, "learning_rate": 0.3, "parameters": parameters})
    rule = learner.rule(learner.spec.adaptation, "test", statistics)
    task = learner.tasks.episodes("test", torch.arange(3))
    state = rule.start(learner.meta_parameters, task)
    for number in range(2):
        state, _ = rule.step(state, learner.meta_parameters, task, number, second_order=False)
    found = rule.predict(state, learner.meta_parameters, task, 2).detach()
    for t in range(3):
        own = learner.meta_parameters | {name: value[t] for name, value in state.items()}
        support, query = task.support_x[t], task.query_x[t]
        features = query_features_by(statistics, learner.spec.model, own, support, query)
        assert close(found[t], functional.linear(features, own["head.weight"], own["head.bias"]))


@pytest.mark.parametrize("statistics", ["support", "one"])
def test_queries_do_not_see_each_other_unless_transductive(statistics: str) -> None:
    learner = learner_of(CONV, {"steps": 1, "learning_rate": 0.3})
    rule = learner.rule(learner.spec.adaptation, "test", statistics)
    task = learner.tasks.episodes("test", torch.arange(2))
    state = rule.start(learner.meta_parameters, task)
    together = rule.predict(state, learner.meta_parameters, task, 0)
    alone = task._replace(query_x=task.query_x[:, 3:4], query_y=task.query_y[:, 3:4])
    assert close(rule.predict(state, learner.meta_parameters, alone, 0), together[:, 3:4])


@pytest.mark.parametrize("statistics", ["query", "support", "one"])
@pytest.mark.parametrize("model", [PIXELS, CONV, MLP], ids=["pixels", "conv", "mlp"])
def test_nearest_neighbour_is_the_closest_support_example(model: dict, statistics: str) -> None:
    learner = learner_of(model, {"rule": "nearest"})
    task = learner.tasks.episodes("test", torch.arange(6))
    expected = []
    for t in range(6):
        support = plain_features(learner.spec.model, learner.meta_parameters, task.support_x[t])
        if model is PIXELS:
            query = task.query_x[t].flatten(1)
        else:
            sides = (task.support_x[t], task.query_x[t])
            query = query_features_by(statistics, learner.spec.model, learner.meta_parameters, *sides)
        right = 0
        for place, feature in enumerate(query):
            distances = [float((feature - other).norm()) for other in support]
            closest = distances.index(min(distances))
            right += int(task.support_y[t, closest] == task.query_y[t, place])
        expected.append(right / len(query))
    found = scores(learner, learner.spec.adaptation, "test", 6, statistics, [1])
    assert found.shape == (6, 1)
    assert found[:, 0].tolist() == pytest.approx(expected)


def test_nearest_outputs_are_distances_of_classes() -> None:
    learner = learner_of(PIXELS, {"rule": "nearest"})
    rule = learner.rule(learner.spec.adaptation, "test", "query")
    task = learner.tasks.episodes("test", torch.arange(2))
    state, _ = rule.step(rule.start({}, task), {}, task, 0, second_order=False)
    outputs = rule.predict(state, {}, task, 1)
    for t in range(2):
        for place, query in enumerate(task.query_x[t]):
            for way in range(4):
                examples = task.support_x[t][task.support_y[t] == way]
                closest = min(float((query - example).norm()) for example in examples)
                assert float(outputs[t, place, way]) == pytest.approx(-closest, rel=1e-6)


@pytest.mark.parametrize("model", [CONV, MLP, PIXELS], ids=["conv", "mlp", "pixels"])
def test_a_head_of_class_means_is_nearest_centroid(model: dict) -> None:
    learner = learner_of(model, {"head": "means", "steps": 0})
    task = learner.tasks.episodes("test", torch.arange(8))
    expected = []
    for t in range(8):
        support = plain_features(learner.spec.model, learner.meta_parameters, task.support_x[t])
        query = plain_features(learner.spec.model, learner.meta_parameters, task.query_x[t])
        centroids = torch.stack([support[task.support_y[t] == way].mean(0) for way in range(4)])
        closest = (query[:, None] - centroids).square().sum(-1).argmin(1)
        expected.append((closest == task.query_y[t]).double().mean())
    found = scores(learner, learner.spec.adaptation, "test", 8, "query", [0])
    assert found[:, 0].tolist() == pytest.approx(torch.stack(expected).tolist())


def test_class_means_count_each_class_by_its_own_examples() -> None:
    """Unequal numbers of support examples, in any order."""
    learner = learner_of(MLP, {"head": "means", "steps": 0})
    task = learner.tasks.episodes("test", torch.arange(1))
    labels = torch.tensor([[0, 3, 2, 0, 0, 1, 3, 0, 2, 0, 1, 1]])
    task = task._replace(support_y=labels)
    state = learner.rule(learner.spec.adaptation, "test", "query").start(learner.meta_parameters, task)
    features = plain_features(learner.spec.model, learner.meta_parameters, task.support_x[0])
    for name, expected in plain_class_means(features, labels[0], 4).items():
        assert close(state[name][0], expected)


def random_starts(index: Tensor, adaptation: dict, part: str = "test") -> Parameters:
    learner = learner_of(
        {"name": "mlp", "hidden": [40]}, adaptation, {"tasks": 5}, ways=5, shots=1, queries=1
    )
    task = learner.tasks.episodes("test", index)
    state = learner.rule(learner.spec.adaptation, part, "query").start(learner.meta_parameters, task)
    return {name: state[name] for name in HEAD}


@pytest.mark.parametrize("adaptation", [{"head": "random"}, {"head": "stored", "new_head": "random"}])
def test_random_heads_are_normal_and_a_tasks_own(adaptation: dict) -> None:
    """Weights of variance 1/D and zero biases; the same task gets the same head in any company."""
    heads = random_starts(torch.arange(100), adaptation)
    weight = heads["head.weight"]
    assert weight.shape == (100, 5, 40)
    assert not heads["head.bias"].any()
    scaled = weight.flatten() * math.sqrt(40)
    assert abs(float(scaled.mean())) < 4 / math.sqrt(scaled.numel())
    assert abs(float(scaled.square().mean()) - 1) < 4 * math.sqrt(2 / scaled.numel())
    assert abs(float(scaled.pow(4).mean()) - 3) < 4 * math.sqrt(96 / scaled.numel())
    assert len({tuple(head.flatten().tolist()) for head in weight}) == 100
    again = random_starts(torch.tensor([70, 3]), adaptation)["head.weight"]
    assert torch.equal(again, weight[[70, 3]])


def test_a_stored_head_of_an_unseen_task_starts_as_new_heads_do() -> None:
    heads = random_starts(torch.arange(4), {"head": "stored"})
    assert not any(head.any() for head in heads.values())


def training_walk(learner: Learner, task: Episodes) -> MetaGradient:
    """The walk of one training iteration, and what the rule keeps after it."""
    rule = learner.training_rule()
    walk = meta_gradient(
        rule, learner.meta_parameters, task, second_order=True, constant_memory=False
    )
    rule.remember(walk.states[-1], task)
    return walk


@pytest.mark.parametrize("new_head", ["zero", "random"])
def test_stored_heads_are_read_and_written_back(new_head: str) -> None:
    """A plain dictionary of heads by identity, one inner loop a task, over several batches."""
    adaptation = {"head": "stored", "new_head": new_head, "steps": 2, "learning_rate": 0.5}
    learner = learner_of(CONV, adaptation, {"tasks": 6})
    kept = {i: {n: learner.kept[STORED + n][i].clone() for n in HEAD} for i in range(6)}
    assert all(bool(heads["head.weight"].any()) == (new_head == "random") for heads in kept.values())
    for batch in range(4):
        task = learner.tasks.episodes("train", torch.arange(3) + 3 * batch)
        identity = task.identity.tolist()
        starts = {name: torch.stack([kept[i][name] for i in identity]) for name in HEAD}
        loop = plain_meta_gradient(
            learner.spec.model,
            learner.spec.adaptation,
            learner.meta_parameters,
            task,
            second_order=True,
            heads=starts,
        )
        walk = training_walk(learner, task)
        assert close(walk.query_loss, loop.query_loss)
        for t, i in enumerate(identity):
            kept[i] = {name: loop.states[t][-1][name] for name in HEAD}
        for i, heads in kept.items():
            for name in HEAD:
                found = learner.kept[STORED + name][i]
                assert close(found, heads[name]) or not (found.any() or heads[name].any())


def test_of_a_task_twice_in_a_batch_the_later_head_counts() -> None:
    adaptation = {"head": "stored", "steps": 1, "learning_rate": 0.5}
    learner = learner_of(CONV, adaptation, {"tasks": 3})
    indices = torch.arange(12)
    task = learner.tasks.episodes("train", indices)
    identity = task.identity.tolist()
    assert len(set(identity)) < len(identity)
    walk = training_walk(learner, task)
    for i in set(identity):
        last = max(t for t in range(12) if identity[t] == i)
        for name in HEAD:
            assert torch.equal(learner.kept[STORED + name][i], walk.states[-1][name][last])


def test_testing_leaves_stored_heads_alone() -> None:
    learner = learner_of(CONV, {"head": "stored", "learning_rate": 0.5}, {"tasks": 3})
    before = {name: table.clone() for name, table in learner.kept.items()}
    scores(learner, learner.spec.adaptation, "test", 4, "query", [0, 1])
    assert all(torch.equal(before[STORED + name], learner.kept[STORED + name]) for name in HEAD)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_of_each_task(reduction: str) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 8, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 5, (3, 8), generator=generator)
    found = task_loss("classes", outputs, labels, reduction)
    expected = [functional.cross_entropy(outputs[t], labels[t], reduction=reduction) for t in range(3)]
    assert close(found, torch.stack(expected), 1e-12)
    values = torch.randn(3, 8, 1, generator=generator, dtype=torch.float64)
    found = task_loss("values", outputs[..., :1], values, reduction)
    expected = [functional.mse_loss(outputs[t, :, :1], values[t], reduction=reduction) for t in range(3)]
    assert close(found, torch.stack(expected), 1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_outputs_that_are_not_finite_are_wrong_answers(bad: float) -> None:
    """An argmax over NaN names the NaN, which may be the right class by accident."""
    labels = torch.tensor([[0, 1, 2], [0, 1, 2]])
    outputs = functional.one_hot(labels, 3).double()
    assert task_metric("classes", outputs, labels).tolist() == [1.0, 1.0]
    outputs[0, 0, 0] = bad
    outputs[1] = bad
    assert task_metric("classes", outputs, labels).tolist() == pytest.approx([2 / 3, 0.0])
    values = torch.ones(2, 3, 1, dtype=torch.float64)
    values[1, 1] = bad
    errors = task_metric("values", values, torch.zeros(2, 3, 1, dtype=torch.float64)).tolist()
    assert errors[0] == 1.0
    assert not math.isfinite(errors[1])


def test_accuracy_is_a_fraction_of_each_tasks_queries() -> None:
    outputs = torch.tensor([[[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]], [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]])
    labels = torch.tensor([[0, 1, 1], [0, 0, 0]])
    assert task_metric("classes", outputs, labels).tolist() == pytest.approx([2 / 3, 0.0])


@pytest.mark.parametrize("rate", [0.4, -0.1])
def test_scores_follow_the_plain_inner_loop_beyond_training(rate: float) -> None:
    """Accuracy after 0..5 steps of plain gradient descent, a task at a time."""
    learner = learner_of(CONV, {"steps": 5, "learning_rate": rate})
    task = learner.tasks.episodes("test", torch.arange(4))
    expected = []
    for t in range(4):
        own = {n: p.clone().requires_grad_() for n, p in learner.meta_parameters.items()}
        row = []
        for _ in range(6):
            outputs = plain_outputs(learner.spec.model, own, task.query_x[t])
            row.append(float((outputs.argmax(1) == task.query_y[t]).double().mean()))
            outputs = plain_outputs(learner.spec.model, own, task.support_x[t])
            loss = functional.cross_entropy(outputs, task.support_y[t])
            slopes = torch.autograd.grad(loss, list(own.values()))
            own = {
                n: (p - rate * s).detach().requires_grad_()
                for (n, p), s in zip(own.items(), slopes, strict=True)
            }
        expected.append(row)
    found = scores(learner, learner.spec.adaptation, "test", 4, "query", range(6))
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64))
