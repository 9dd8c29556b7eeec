"""Metric learners against their papers' formulas, one task and one pair at a time, in float64."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as functional
from plain_loop import CPU, Parameters, close, image_tasks, moved, packed_images, plain_features
from torch import Tensor

from engine.adaptation import probe
from engine.errors import RequestError
from engine.evaluation import evaluate, scores
from engine.learner import Learner
from engine.presets import resolve, test_adaptation, training_key
from engine.presets.schema import Adaptation, Spec
from engine.tasks import build_tasks
from engine.training import Trainer

RATE, TASKS = 0.05, 3
PlainLoss = Callable[[Parameters, Tensor, Tensor, Tensor, Tensor], Tensor]
"""Loss of one task from φ, support features `[S, D]` and labels, query features `[Q, D]` and labels."""


def spec_of(adaptation: dict, **more: object) -> Spec:
    return Spec.model_validate(
        {
            "task": {"dataset": "glyphs", "ways": 3, "shots": 2, "queries": 3},
            "model": {"name": "conv4", "filters": 5},
            "adaptation": adaptation,
            "outer": {"optimizer": "sgd", "learning_rate": RATE},
            "training": {"tasks_per_batch": TASKS, "ways": 4, "shots": 2, "queries": 2},
        }
        | more
    )


def learner_of(spec: Spec) -> Learner:
    packed = packed_images({"train": [8] * 9, "validation": [8] * 6, "test": [8] * 6}, size=16)
    learner = Learner(spec, image_tasks(spec, packed), CPU, torch.float64)
    for name, value in moved(learner.meta_parameters).items():
        learner.meta_parameters[name].copy_(value)
    return learner


def centroids(support: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([support[labels == way].mean(0) for way in range(int(labels.max()) + 1)])


def euclidean(φ: Parameters, support: Tensor, s_y: Tensor, query: Tensor, q_y: Tensor) -> Tensor:
    """Snell 2017: −log softmax of −d(f(x), c) with d the squared distance."""
    means = centroids(support, s_y)
    losses = []
    for feature, label in zip(query, q_y, strict=True):
        distances = torch.stack([((feature - mean) ** 2).sum() for mean in means])
        losses.append(distances[label] + torch.log(torch.exp(-distances).sum()))
    return torch.stack(losses).mean()


def cosine(φ: Parameters, support: Tensor, s_y: Tensor, query: Tensor, q_y: Tensor) -> Tensor:
    means = centroids(support, s_y)
    alike = functional.cosine_similarity(query[:, None], means[None], dim=-1)
    return functional.cross_entropy(φ["prototypes.scale"] * alike, q_y)


def attention(
    φ: Parameters, support: Tensor, s_y: Tensor, query: Tensor, q_y: Tensor, sharpness: float = 1
) -> Tensor:
    """Vinyals 2016, equation 1: the probability of a label is the attention on its examples."""
    losses = []
    for feature, label in zip(query, q_y, strict=True):
        alike = torch.stack([feature @ other / feature.norm() / other.norm() for other in support])
        weights = torch.exp(sharpness * alike) / torch.exp(sharpness * alike).sum()
        losses.append(-torch.log(weights[s_y == label].sum()))
    return torch.stack(losses).mean()


def in_context(φ: Parameters, support: Tensor, s_y: Tensor, query: Tensor, q_y: Tensor) -> Tensor:
    """Appendix A by PyTorch's own LSTM layers: g over the support set, f with three readings."""
    size = support.shape[1]
    both = torch.nn.LSTM(size, size, bidirectional=True, dtype=torch.float64)
    weights = {}
    for end, cell in (("", "context.forward"), ("_reverse", "context.backward")):
        weight, bias = φ[f"{cell}.weight"], φ[f"{cell}.bias"]
        weights |= {f"weight_ih_l0{end}": weight[:, :size], f"weight_hh_l0{end}": weight[:, size:]}
        weights |= {f"bias_ih_l0{end}": bias, f"bias_hh_l0{end}": 0 * bias}
    said = torch.func.functional_call(both, weights, (support,))[0]
    g = said[:, :size] + said[:, size:] + support
    reader = torch.nn.LSTMCell(3 * size, size, dtype=torch.float64)
    weight, bias = φ["context.reading.weight"], φ["context.reading.bias"]
    ours = {"weight_ih": weight, "weight_hh": 0 * weight[:, :size], "bias_ih": bias, "bias_hh": 0 * bias}
    embedded = []
    for feature in query:
        h, c = torch.zeros_like(feature), torch.zeros_like(feature)
        for _ in range(3):
            r = ((g @ h).softmax(0)[:, None] * g).sum(0)
            seen = torch.cat([feature, h, r])
            out, c = torch.func.functional_call(reader, ours, (seen, (torch.zeros_like(h), c)))
            h = out + feature
        embedded.append(h)
    return attention(φ, g, s_y, torch.stack(embedded), q_y, 4.0)


def verification(φ: Parameters, support: Tensor, s_y: Tensor, query: Tensor, q_y: Tensor) -> Tensor:
    """Koch 2015: σ(Σ α |f − f'| + b) is the probability of one class; both kinds of pairs count alike."""
    same, different = [], []
    for feature, label in zip(query, q_y, strict=True):
        for other, its in zip(support, s_y, strict=True):
            logit = (φ["siamese.weight"] * (feature - other).abs()).sum() + φ["siamese.bias"]
            if label == its:
                same.append(-torch.log(torch.sigmoid(logit)))
            else:
                different.append(-torch.log(1 - torch.sigmoid(logit)))
    return (torch.stack(same).mean() + torch.stack(different).mean()) / 2


CONTEXT = {"rule": "matching", "full_context": True, "context_steps": 3, "sharpness": 4.0}
RULES: dict[str, tuple[dict, PlainLoss]] = {
    "protonet": ({"rule": "prototypes"}, euclidean),
    "protonet, cosine": ({"rule": "prototypes", "distance": "cosine"}, cosine),
    "matching": ({"rule": "matching"}, attention),
    "matching, full context": (CONTEXT, in_context),
    "siamese": ({"rule": "siamese"}, verification),
}


@pytest.mark.parametrize("name", RULES)
def test_three_outer_steps_are_the_papers(name: str) -> None:
    """With more ways in training than in testing."""
    adaptation, plain_loss = RULES[name]
    spec = spec_of(adaptation)
    learner = learner_of(spec)
    expected = {n: p.clone() for n, p in learner.meta_parameters.items()}
    trainer = Trainer(learner)
    for iteration in range(3):
        tasks = learner.tasks.episodes("train", torch.arange(iteration * TASKS, (iteration + 1) * TASKS))
        leaves = {n: p.requires_grad_() for n, p in expected.items()}
        losses = []
        for t in range(TASKS):
            sides = [plain_features(spec.model, leaves, x[t]) for x in (tasks.support_x, tasks.query_x)]
            losses.append(plain_loss(leaves, sides[0], tasks.support_y[t], sides[1], tasks.query_y[t]))
        gradients = torch.autograd.grad(torch.stack(losses).mean(), list(leaves.values()))
        expected = {n: (p - RATE * g).detach() for (n, p), g in zip(leaves.items(), gradients, strict=True)}
        trainer.step()
    for name, parameter in learner.meta_parameters.items():
        assert close(parameter, expected[name], 1e-9), name


@pytest.mark.parametrize("name", RULES)
def test_training_events_have_no_inner_steps(name: str) -> None:
    learner = learner_of(spec_of(RULES[name][0]))
    record = Trainer(learner).step()
    assert record is not None and record["support_loss"] == []
    assert record["meta_gradient_norms"] == []
    assert len(record["query_loss"]) == len(record["accuracy"]) == 1
    assert record["query_loss"][0] == pytest.approx(record["outer_loss"])
    validated = Trainer(learner).validate()
    assert validated["steps"] == [1] and len(validated["metric"]) == 1


def test_a_siamese_pair_decides_by_the_best_match() -> None:
    learner = learner_of(spec_of({"rule": "siamese"}))
    rule, task = learner.training_rule(), learner.tasks.episodes("train", torch.arange(2))
    state, _ = rule.step({}, learner.meta_parameters, task, 0, second_order=False)
    outputs = rule.predict(state, learner.meta_parameters, task, 1)
    weight, bias = learner.meta_parameters["siamese.weight"], learner.meta_parameters["siamese.bias"]
    for t in range(2):
        sides = (task.support_x[t], task.query_x[t])
        support, query = (plain_features(learner.spec.model, learner.meta_parameters, x) for x in sides)
        for place, feature in enumerate(query):
            logits = [float((weight * (feature - other).abs()).sum() + bias) for other in support]
            for way in range(4):
                best = max(x for x, label in zip(logits, task.support_y[t], strict=True) if label == way)
                assert float(outputs[t, place, way]) == pytest.approx(best)
    loss, metric = probe(rule, learner.meta_parameters, task, state, 1)
    assert loss.shape == metric.shape == (2,)


@pytest.mark.parametrize(
    ("adaptation", "scored"),
    [
        ({"rule": "nearest", "distance": "cosine"}, lambda c: {y: max(v) for y, v in c.items()}),
        ({"rule": "matching"}, lambda c: {y: sum(2.718281828459045**x for x in v) for y, v in c.items()}),
        ({"rule": "matching", "sharpness": 1e3}, lambda c: {y: max(v) for y, v in c.items()}),
    ],
    ids=["nearest", "vote", "sharp vote"],
)
def test_any_body_is_tested_by_cosines(adaptation: dict, scored: Callable) -> None:
    """Nearest neighbour by cosine, and NIL: the vote of all support examples, on a body trained as MAML."""
    learner = learner_of(spec_of({"rule": "gradient"}))
    tested = Adaptation.model_validate(adaptation)
    found = scores(learner, tested, "test", 4, "query", [1])[:, 0]
    task = learner.tasks.episodes("test", torch.arange(4))
    for t in range(4):
        sides = (task.support_x[t], task.query_x[t])
        support, query = (plain_features(learner.spec.model, learner.meta_parameters, x) for x in sides)
        right = 0
        for feature, label in zip(query, task.query_y[t], strict=True):
            by_class: dict[int, list[float]] = {}
            for other, its in zip(support, task.support_y[t], strict=True):
                alike = float(functional.cosine_similarity(feature, other, dim=0))
                by_class.setdefault(int(its), []).append(alike)
            totals = scored(by_class)
            right += max(totals, key=totals.__getitem__) == int(label)
        assert float(found[t]) == pytest.approx(right / len(query))


def test_the_logarithm_of_attention_stays_finite() -> None:
    """A sharp softmax leaves classes whose probability is zero in float32: their logarithm is not."""
    learner = learner_of(spec_of({"rule": "matching", "sharpness": 1e4}))
    rule, task = learner.training_rule(), learner.tasks.episodes("train", torch.arange(2))
    parameters = {n: p.float() for n, p in learner.meta_parameters.items()}
    task = task._replace(support_x=task.support_x.float(), query_x=task.query_x.float())
    state, _ = rule.step({}, parameters, task, 0, second_order=False)
    outputs = rule.predict(state, parameters, task, 1)
    assert outputs.isfinite().all() and float(outputs.min()) < -100
    assert torch.allclose(outputs.exp().sum(-1), torch.ones(()))


REFUSED = [
    ("sine-10shot", "protonet", [], "rule prototypes compares classes"),
    ("glyphs-5way-1shot", "protonet", ["adaptation.parameters=head"], "adapts no parameters"),
    ("glyphs-5way-1shot", "protonet", ["adaptation.head=zero"], "rule prototypes has no head"),
    ("glyphs-5way-1shot", "protonet", ["model.name=pixels"], "no parameters that rule prototypes could"),
    ("glyphs-5way-1shot", "protonet", ["outer.rule=interpolate"], "only rule gradient has"),
    ("glyphs-5way-1shot", "protonet", ["adaptation.full_context=true"], "through rule matching"),
    ("glyphs-5way-1shot", "protonet", ["adaptation.sharpness=3"], "sharpness is for rule matching"),
    ("glyphs-5way-1shot", "maml", ["evaluation.adaptation.rule=siamese"], "learns no comparison"),
    ("glyphs-5way-1shot", "maml", ["adaptation.distance=cosine"], "is for rule nearest or prototypes"),
    ("glyphs-5way-1shot", "maml", ["evaluation.adaptation.distance=cosine"], "is for rule nearest or proto"),
    ("glyphs-5way-1shot", "siamese", ["outer.rule=none"], "outer.rule none learns nothing"),
]


@pytest.mark.parametrize(("task", "algorithm", "overrides", "reason"), REFUSED)
def test_what_makes_no_sense_is_refused(task: str, algorithm: str, overrides: list[str], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        resolve(task, algorithm, overrides=overrides)


@pytest.mark.parametrize("budget", ["quick", "paper"])
@pytest.mark.parametrize("task", ["omniglot-5way-1shot", "glyphs-20way-5shot", "miniimagenet-5way-1shot"])
def test_tested_otherwise_trained_alike(task: str, budget: str) -> None:
    def key(algorithm: str) -> str:
        return training_key(resolve(task, algorithm, budget=budget).spec)

    assert key("nil") == key("maml")
    assert key("pretrain-nearest") == key("pretrain-centroid") == key("pretrain")


def learned(algorithm: str, trained: bool = True) -> float:
    """The mean over 100 test episodes of glyphs after a short training of a small model."""
    overrides = ["training.iterations=100", "training.tasks_per_batch=4", "training.ways=10"]
    overrides += ["training.queries=3", "model.filters=16", "outer.learning_rate=1e-2"]
    spec = resolve("glyphs-5way-1shot", algorithm, overrides=overrides).spec
    learner = Learner(spec, build_tasks(spec, Path("no-data")), CPU)
    trainer = Trainer(learner)
    while trained and trainer.iteration < trainer.iterations:
        trainer.step()
    return float(evaluate(learner, test_adaptation(spec), None, "test", 100, "query").values.mean())


@pytest.mark.parametrize(("algorithm", "floor"), [("protonet", 0.6), ("matching", 0.62), ("siamese", 0.52)])
def test_metric_learners_learn_glyphs(algorithm: str, floor: float) -> None:
    """Measured: 68, 71 and 61 % or more, and 33 to 35 % untrained."""
    assert learned(algorithm, trained=False) < 0.45
    assert learned(algorithm) > floor
