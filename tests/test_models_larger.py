"""The larger bodies: ResNet-12 written out again, torchvision's own ResNet-18, and what DropBlock drops."""

import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from plain_loop import close, image_tasks, moved, packed_images
from torch import Tensor

from engine.adaptation import meta_gradient
from engine.adaptation.query import query_features
from engine.devices import check_model
from engine.errors import RequestError
from engine.learner import Learner
from engine.models import Body, Parameters, build_body
from engine.models.blocks import BatchStatistics, Noise
from engine.models.resnet12 import ResNet12, dropblock_mask
from engine.presets import resolve, training_key
from engine.presets.schema import Model, Spec
from engine.runs import estimate
from engine.tasks.draws import stream_key
from engine.training import Trainer

SIZE, TASKS, EXAMPLES = 16, 2, 5


def body_of(seed: int = 0, channels: int = 3, **model: object) -> Body:
    made = Model.model_validate({"name": "resnet12", "filters": 2, **model})
    return build_body(made, (channels, SIZE, SIZE), seed)


def drawn_parameters(body: Body, seed: int = 0) -> Parameters:
    drawn = body.initial_parameters(torch.Generator().manual_seed(seed))
    return moved({name: p.double() for name, p in drawn.items()}, seed, 0.1)


def own_parameters(body: Body) -> Parameters:
    """Another copy for each task."""
    copies = [drawn_parameters(body, seed) for seed in range(TASKS)]
    return {name: torch.stack([each[name] for each in copies]) for name in copies[0]}


def images(count: int = EXAMPLES, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(TASKS, count, channels, SIZE, SIZE, generator=generator, dtype=torch.float64)


def plain_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    mean = x.mean((0, 2, 3), keepdim=True)
    deviation = ((x - mean).square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
    return (x - mean) / deviation * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)


def plain_resnet12(p: Parameters, x: Tensor, features: str) -> Tensor:
    """Lee 2019's network on the images of one task: [B, C, H, W] to [B, D]."""
    for b in range(1, 5):
        inside = x
        for i in (1, 2, 3):
            inside = functional.conv2d(inside, p[f"block{b}.conv{i}.weight"], padding=1)
            inside = plain_norm(inside, p[f"block{b}.norm{i}.scale"], p[f"block{b}.norm{i}.shift"])
            inside = inside if i == 3 else torch.where(inside > 0, inside, 0.1 * inside)
        beside = functional.conv2d(x, p[f"block{b}.shortcut.weight"])
        beside = plain_norm(beside, p[f"block{b}.shortcut_norm.scale"], p[f"block{b}.shortcut_norm.shift"])
        x = functional.max_pool2d(functional.leaky_relu(inside + beside, 0.1), 2)
    return x.mean((2, 3)) if features == "mean" else x.flatten(1)


def resnet18() -> Any:
    return pytest.importorskip("torchvision.models").resnet18


def plain_resnet18(p: Parameters, x: Tensor, features: str) -> Tensor:
    """torchvision's network as it is, its parameters put in by name."""
    net = resnet18()(weights=None).double()
    net.fc = torch.nn.Identity()
    if features == "flatten":
        net.avgpool = torch.nn.Identity()
    names = {n: n.replace(".weight", ".scale").replace(".bias", ".shift") for n, _ in net.named_parameters()}
    given = {n: p.get(n, p.get(ours)) for n, ours in names.items()}
    found: Tensor = torch.func.functional_call(net.train(), given, (x,))
    return found


PLAIN = {"resnet12": plain_resnet12, "torchvision": plain_resnet18}


@pytest.mark.parametrize("features", ["mean", "flatten"])
@pytest.mark.parametrize("name", ["resnet12", "torchvision"])
def test_features_are_those_of_the_plain_network(name: str, features: str) -> None:
    """Of each task by itself, with parameters of its own, with shared ones and with both."""
    if name == "torchvision":
        resnet18()
    body = body_of(name=name, features=features)
    x = images()
    shared, own = drawn_parameters(body), own_parameters(body)
    found = body(shared, x, BatchStatistics())
    assert found.shape == (TASKS, EXAMPLES, body.feature_size)
    mixed = shared | {n: p for n, p in own.items() if n in list(own)[-6:]}
    for parameters in (shared, own, mixed):
        found = body(parameters, x, BatchStatistics())
        for t in range(TASKS):
            mine = {n: p[t] if p.dim() > shared[n].dim() else p for n, p in parameters.items()}
            assert close(found[t], PLAIN[name](mine, x[t], features), 1e-9)


@pytest.mark.parametrize("name", ["resnet12", "torchvision"])
def test_second_derivatives_are_those_of_the_plain_network(name: str) -> None:
    """∇(∇L · ∇L) by the filters of an early and of a late layer, for two tasks at once."""
    if name == "torchvision":
        resnet18()
    body = body_of(name=name)
    x, own = images(), own_parameters(body)
    convolutions = [n for n in own if "conv" in n or "downsample.0" in n]
    picked = (convolutions[0], convolutions[-1])

    def twice(features: Any, parameters: Parameters) -> tuple[Tensor, ...]:
        leaves = {n: p.detach().requires_grad_() for n, p in parameters.items()}
        loss = features(leaves).square().mean()
        first = torch.autograd.grad(loss, [leaves[n] for n in picked], create_graph=True)
        return torch.autograd.grad(sum((g * g).sum() for g in first), [leaves[n] for n in picked])

    def of_task(t: int) -> Any:
        return lambda leaves: body(leaves, x, BatchStatistics())[t]

    for t in range(TASKS):
        found = twice(of_task(t), own)
        expected = twice(lambda p, t=t: PLAIN[name](p, x[t], "flatten"), {n: p[t] for n, p in own.items()})
        for one, other in zip(found, expected, strict=True):
            assert close(one[t], other, 1e-7)


@pytest.mark.parametrize("name", ["resnet12", "torchvision"])
def test_statistics_come_from_where_the_protocol_says(name: str) -> None:
    """One query at a time, the support set alone, running ones; what a pass saw is written down by task."""
    if name == "torchvision":
        resnet18()
    body = body_of(name=name)
    spec = Spec.model_validate(
        {
            "task": {"dataset": "glyphs", "ways": 2, "shots": 2, "queries": 2},
            "training": {"tasks_per_batch": 2},
        }
    )
    pictures = torch.randint(0, 256, (48, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    packed = packed_images(
        {"train": [4] * 4, "validation": [4] * 4, "test": [4] * 4}, pictures=pictures.byte().numpy()
    )
    task = image_tasks(spec, packed).episodes("test", torch.arange(TASKS))
    for parameters in (drawn_parameters(body), own_parameters(body)):
        one = query_features(body, parameters, task, "one")
        first = torch.cat([task.support_x, task.query_x[:, :1]], 1)
        assert close(one[:, :1], body(parameters, first, BatchStatistics())[:, -1:], 1e-9)
        support = query_features(body, parameters, task, "support")
        again = task._replace(query_x=task.query_x[:, 2:])
        assert close(support[:, 2:], query_features(body, parameters, again, "support"), 1e-9)
        observed: dict[str, tuple[Tensor, Tensor]] = {}
        seen = body(parameters, task.query_x, BatchStatistics(observed=observed))
        norms = [n.removesuffix(".scale") for n in parameters if n.endswith(".scale")]
        assert set(observed) == set(norms)
        for mean, variance in observed.values():
            assert mean.shape == variance.shape
            assert len(mean) == TASKS
        # Running statistics of the first task's own batch (biased) give its features back.
        count = {n: 4 * (-(-SIZE // shrunk(name, n))) ** 2 for n in norms}
        running = {f"{n}.mean": observed[n][0][0] for n in norms}
        running |= {f"{n}.variance": observed[n][1][0] * (count[n] - 1) / count[n] for n in norms}
        used = body(parameters | running, task.query_x, BatchStatistics())
        assert close(used[0], seen[0], 1e-7)


def shrunk(name: str, norm: str) -> int:
    """By how much smaller the maps of a norm are than the image."""
    if name == "resnet12":
        return int(2 ** (int(norm[len("block")]) - 1))
    if norm == "bn1":
        return 2
    return int(2 ** (int(norm[len("layer")]) + 1))


def test_torchvision_s_first_layer_takes_grey_images() -> None:
    resnet18()
    body = body_of(name="torchvision", channels=1)
    found = body(drawn_parameters(body), images(channels=1), BatchStatistics())
    assert found.shape == (TASKS, EXAMPLES, 512)


def test_without_torchvision_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(RequestError, match="torchvision is not installed") as raised:
        body_of(name="torchvision")
    assert "\n" not in str(raised.value)
    with pytest.raises(RequestError, match="torchvision is not installed"):
        check_model(Model(name="torchvision"))


# DropBlock


def test_dropblock_drops_its_share_in_squares() -> None:
    mask = dropblock_mask(stream_key("mask"), torch.arange(40), (20, 10, 10), 0.2, 3)
    assert mask.shape == (40, 20, 10, 10)
    assert close(mask.mean((1, 2, 3)), torch.ones(40), 1e-6)
    dropped = mask == 0
    assert 0.15 < float(dropped.double().mean()) < 0.2  # overlapping squares leave a little more
    # Whatever is dropped lies in a whole square of dropped ones.
    inner = -functional.max_pool2d(-dropped.float(), 3, stride=1)
    covered = functional.max_pool2d(functional.pad(inner, [2] * 4), 3, stride=1)
    assert torch.equal(covered.bool(), dropped)
    single = dropblock_mask(stream_key("mask"), torch.arange(400), (5, 4, 4), 0.2, 1) == 0
    assert abs(float(single.double().mean()) - 0.2) < 4 * (0.16 / 32000) ** 0.5
    whole = dropblock_mask(stream_key("mask"), torch.arange(400), (50, 2, 2), 0.2, 5) == 0
    assert torch.equal(whole.all(-1).all(-1), whole.any(-1).any(-1))


def test_masks_hang_on_seed_task_example_and_pass_alone() -> None:
    x = images()
    body = body_of(dropblock=0.3, dropblock_size=1, features="mean", filters=4)
    shared, own = drawn_parameters(body), own_parameters(body)

    def features(purpose: str = "query 1", body: Body = body, indices: Any = (4, 9)) -> Tensor:
        return body(shared, x, BatchStatistics(noise=Noise(torch.tensor(indices), purpose)))

    assert torch.equal(features(), features())
    assert not torch.equal(features(), body(shared, x, BatchStatistics()))
    assert not torch.equal(features(), features("query 2"))
    assert not torch.equal(features()[0], features(indices=(5, 9))[0])
    other = body_of(seed=1, dropblock=0.3, dropblock_size=1, features="mean", filters=4)
    assert not torch.equal(features(), features(body=other))
    # Tasks that are more examples, or that have filters of their own, drop the same.
    alike = {n: p[:1].expand_as(p) for n, p in own.items()}
    noise = Noise(torch.tensor([4, 9]), "query 1")
    one = body({n: p[0] for n, p in own.items()}, x, BatchStatistics(noise=noise))
    assert close(body(alike, x, BatchStatistics(noise=noise)), one, 1e-9)
    alone = body(
        {n: p[:1] for n, p in own.items()}, x[:1], BatchStatistics(noise=Noise(noise.indices[:1], "query 1"))
    )
    assert close(alone, one[:1], 1e-9)


def dropping_spec(**adaptation: object) -> Spec:
    joint = adaptation.pop("joint", False)
    return Spec.model_validate(
        {
            "task": {"dataset": "glyphs", "ways": 2, "shots": 1, "queries": 2},
            "model": {"name": "resnet12", "filters": 2, "dropblock": 0.3, "dropblock_size": 1},
            "adaptation": {"rule": "none"} if joint else {"steps": 2, "learning_rate": 0.1, **adaptation},
            "outer": {"rule": "joint"} if joint else {},
            "training": {"tasks_per_batch": 2, "iterations": 4},
            "evaluation": {"adaptation": {"rule": "gradient", "head": "zero"}} if joint else {},
            "seed": 3,
        }
    )


def learner_of(spec: Spec) -> Learner:
    tasks = image_tasks(spec, packed_images({"train": [4] * 4, "validation": [4] * 4, "test": [4] * 4}))
    return Learner(spec, tasks, torch.device("cpu"), torch.float64)


def test_a_step_that_is_computed_again_drops_the_same() -> None:
    learner = learner_of(dropping_spec())
    assert isinstance(learner.body, ResNet12)
    assert learner.body.seed == 3
    rule, task = learner.training_rule(), learner.tasks.episodes("train", torch.arange(2))
    walks = [meta_gradient(rule, learner.meta_parameters, task, True, memory) for memory in (False, True)]
    for name, gradient in walks[0].gradient.items():
        assert close(walks[1].gradient[name], gradient, 1e-9)
    portions = [
        meta_gradient(rule, learner.meta_parameters, task.rows(t, t + 1), True, False) for t in range(2)
    ]
    assert close(torch.cat([p.query_loss for p in portions]), walks[0].query_loss, 1e-9)
    tested = learner.rule(learner.spec.adaptation, "test", "query")
    x = learner.tasks.episodes("test", torch.arange(2))
    kept = learner.body(learner.meta_parameters, x.query_x, BatchStatistics())
    assert torch.equal(tested.query_features(learner.meta_parameters, x), kept)
    assert not torch.equal(rule.query_features(learner.meta_parameters, x), kept)


@pytest.mark.parametrize("joint", [False, True])
def test_a_resumed_training_drops_as_one_never_interrupted(joint: bool) -> None:
    whole, first, second = (Trainer(learner_of(dropping_spec(joint=joint))) for _ in range(3))
    for _ in range(4):
        whole.step()
    for _ in range(2):
        first.step()
    state = first.state()
    second.load(state)
    for _ in range(2):
        second.step()
    for name, parameter in whole.learner.meta_parameters.items():
        assert torch.equal(second.learner.meta_parameters[name], parameter)


@pytest.mark.parametrize(
    ("model", "size", "operations"),
    [
        # Two operations for each multiplication and addition that torchvision's pages count.
        ({"name": "torchvision", "backbone": "resnet18"}, 224, 3.63e9),
        ({"name": "torchvision", "backbone": "resnet34"}, 224, 7.33e9),
        # Three 3x3 convolutions and a 1x1 of each block, on maps of 84, 42, 21 and 10 pixels.
        (
            {"name": "resnet12", "filters": 64},
            84,
            2 * 84**2 * (27 * 64 + 2 * 9 * 64**2 + 3 * 64)
            + 2 * 42**2 * (9 * 64 * 160 + 2 * 9 * 160**2 + 64 * 160)
            + 2 * 21**2 * (9 * 160 * 320 + 2 * 9 * 320**2 + 160 * 320)
            + 2 * 10**2 * (9 * 320 * 640 + 2 * 9 * 640**2 + 320 * 640),
        ),
    ],
)
def test_their_cost_is_estimated(model: dict, size: int, operations: float) -> None:
    task = {"dataset": "miniimagenet", "image_size": size}
    spec = Spec.model_validate({"task": task, "model": model})
    assert estimate._operations(spec) == pytest.approx(operations, rel=0.04)


def test_a_training_is_another_where_it_reads_another_body() -> None:
    def key(*overrides: str) -> str:
        return training_key(resolve("glyphs-5way-1shot", "maml", overrides=overrides).spec)

    larger, drops = "model.name=resnet12", "model.dropblock=0.1"
    assert key(larger) == key(larger, "model.dropblock_size=3") == key(larger, "model.pooling=max")
    assert len({key(), key(larger), key(larger, drops), key(larger, drops, "model.dropblock_size=3")}) == 4
    other = "model.name=torchvision"
    assert key(other) == key(other, "model.filters=3")
    assert len({key(other), key(other, "model.backbone=resnet34"), key(other, "model.features=mean")}) == 3
