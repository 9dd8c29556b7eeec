"""The fused core gives the generic path's numbers, switch by switch, and the kernels those of PyTorch."""

import gc
import os
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.fused.library import NoKernelsError, compiled, why_not
from engine.learner import Learner
from engine.models.blocks import BatchStatistics
from engine.models.conv4 import Conv4
from engine.paths import FUSED, GENERIC, chosen_path
from engine.presets import Spec, resolve, test_adaptation
from engine.tasks import build_tasks
from engine.training import Trainer

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no kernels: {why_not()}")

REAL = os.environ.get("KSHOT_DATA")
CPU, NO_DATA = torch.device("cpu"), Path("/nowhere")
NO_OMNIGLOT = not (REAL and (Path(REAL) / "omniglot").is_dir())
NO_OMNIGLOT_REASON = "needs Omniglot in KSHOT_DATA"
TASKS = (
    "glyphs-5way-1shot",
    pytest.param(
        "omniglot-5way-1shot",
        marks=(pytest.mark.long, pytest.mark.skipif(NO_OMNIGLOT, reason=NO_OMNIGLOT_REASON)),
    ),
)
SMALL = (
    "model.filters=16",
    "outer.optimizer=sgd",
    "outer.learning_rate=0.1",
    "training.tasks_per_batch=3",
    "training.queries=2",
    "training.iterations=4",
)
LEARNERS = (
    "maml",
    "fomaml",
    "reptile",
    "anil",
    "boil",
    "meta-sgd",
    "maml++",
    "maml-bn",
    "maml-bnrs",
    "maml-bnwb",
    "maml-lslr",
    "maml-msl",
    "maml-da",
    "maml-negative-rate",
    "multitask-union",
    "r2d2",
    "metaoptnet",
    "protonet",
    "matching",
    "siamese",
    "pretrain",
    "pretrain-cosine",
)
SWITCHES = (
    ("adaptation.update=momentum", "adaptation.steps=2"),
    ("adaptation.update=adam", "adaptation.parameters=head", "adaptation.learning_rate=0.01"),
    ("adaptation.batch=3", "adaptation.steps=3"),
    ("adaptation.constant_memory=true", "adaptation.steps=3"),
    ("adaptation.head=means",),
    ("adaptation.parameters=[conv2*, norm3.shift, head*]", "adaptation.steps=2"),
    ("adaptation.loss_reduction=sum", "adaptation.learning_rate=0.05"),
    ("training.tasks_at_once=2",),
)


def closeness(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the largest value; what is below a millionth counts as that."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))


def trained(spec: Spec, path: str) -> Learner:
    """A learner after the spec's few iterations in float64 by one of the paths."""
    tasks = build_tasks(spec, Path(REAL or NO_DATA), CPU, torch.float64)
    learner = Learner(spec, tasks, CPU, torch.float64)
    assert learner.path == FUSED
    learner.take(path)
    trainer = Trainer(learner)
    for _ in range(trainer.iterations):
        trainer.step()
    return learner


def spec_of(algorithm: str, *changes: str, task: str = "glyphs-5way-1shot") -> Spec:
    """Of a few iterations with a small net, on drawn characters unless told otherwise."""
    return resolve(task, algorithm, overrides=[*SMALL, *changes]).spec


def same_training(spec: Spec, within: float = 1e-9) -> None:
    """Both paths train to the same parameters and keep the same."""
    fused, generic = (trained(spec, path) for path in (FUSED, GENERIC))
    for name, wanted in (generic.meta_parameters | generic.kept).items():
        found = (fused.meta_parameters | fused.kept)[name]
        assert closeness(found, wanted) < within, name


@pytest.mark.parametrize("algorithm", LEARNERS)
@pytest.mark.parametrize("task", TASKS)
def test_every_algorithm_trains_to_the_same_parameters(algorithm: str, task: str) -> None:
    changes = [] if algorithm in ("pretrain", "pretrain-cosine") else ["model.pooling=max"]
    same_training(spec_of(algorithm, *changes, task=task))


@pytest.mark.skipif(NO_OMNIGLOT, reason=NO_OMNIGLOT_REASON)
@pytest.mark.parametrize("algorithm", ["maml", "maml++"])
@pytest.mark.parametrize("pooling", ["max", "stride"])
def test_real_drawings_whose_blank_windows_tie(algorithm: str, pooling: str) -> None:
    same_training(spec_of(algorithm, f"model.pooling={pooling}", task="omniglot-5way-1shot"))


@pytest.mark.parametrize("algorithm", ["maml", "anil", "protonet", "pretrain"])
def test_adam_takes_the_same_steps(algorithm: str) -> None:
    """Its kernel reads gradients as they lie in memory."""
    same_training(spec_of(algorithm, "outer.optimizer=adam", "outer.learning_rate=0.01"), within=1e-7)


@pytest.mark.parametrize("pooling", ["max", "stride"])
@pytest.mark.parametrize("changes", SWITCHES, ids=lambda changes: changes[0])
@pytest.mark.parametrize("task", TASKS)
def test_every_switch_trains_to_the_same_parameters(
    pooling: str, changes: tuple[str, ...], task: str
) -> None:
    same_training(spec_of("maml", f"model.pooling={pooling}", *changes, task=task))


@pytest.mark.parametrize("pooling", ["max", "stride"])
def test_more_channels_than_a_thousand_rows_of_places(pooling: str) -> None:
    few = ("training.tasks_per_batch=1", "training.queries=1", "training.iterations=1")
    same_training(spec_of("maml", f"model.pooling={pooling}", "model.filters=520", *few))


@pytest.mark.parametrize("statistics", ["query", "one", "support"])
def test_every_protocol_predicts_the_same(statistics: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the kernels leave the queries' pass to the generic path: another's statistics."""
    passes, by_kernels = [], Conv4._by_kernels
    monkeypatch.setattr(Conv4, "_by_kernels", lambda *given: passes.append(1) or by_kernels(*given))
    spec = spec_of("maml-bn", f"evaluation.statistics={statistics}")
    tasks = build_tasks(spec, NO_DATA, CPU, torch.float64)
    learner = Learner(spec, tasks, CPU, torch.float64)
    task = tasks.episodes("test", torch.arange(2))
    adaptation, predictions = test_adaptation(spec), []
    for path in (FUSED, GENERIC):
        passes.clear()
        learner.take(path)
        rule = learner.rule(adaptation, "test", statistics)
        state = rule.start(learner.meta_parameters, task)
        for number in range(2):
            state, _ = rule.step(state, learner.meta_parameters, task, number, second_order=False)
        predictions.append(rule.predict(state, learner.meta_parameters, task, 2).detach())
        assert bool(passes) == (path == FUSED)
    assert closeness(predictions[0], predictions[1]) < 1e-9


def second_derivative(body: Conv4, parameters: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """Of a loss after one inner step, by the body's parameters."""
    names = list(parameters)

    def loss(values: dict[str, Tensor]) -> Tensor:
        features = body(values, x, BatchStatistics())
        return (features.sin() * torch.arange(features.shape[-1], dtype=x.dtype).cos()).sum()

    gradients = torch.autograd.grad(loss(parameters), list(parameters.values()), create_graph=True)
    moved = {n: parameters[n] - 0.1 * g for n, g in zip(names, gradients, strict=True)}
    return list(torch.autograd.grad(loss(moved), list(parameters.values())))


@pytest.mark.parametrize("features", ["mean", "flatten"])
@pytest.mark.parametrize("pooling", ["max", "stride"])
@pytest.mark.parametrize(("size", "channels", "filters"), [(28, 1, 8), (19, 3, 24), (33, 1, 40)])
def test_odd_sizes_and_ties(features: str, pooling: str, size: int, channels: int, filters: int) -> None:
    """Rows that no window covers, vectors that fill no tile, and windows of equal values."""
    body = Conv4((channels, size, size), filters, pooling, features, "batch")
    generator = torch.Generator().manual_seed(0)
    parameters = {
        n: (p.double() + 0.1 * torch.randn(2, *p.shape, generator=generator, dtype=torch.float64))
        for n, p in body.initial_parameters(generator).items()
    }
    parameters = {n: p.requires_grad_() for n, p in parameters.items()}
    x = torch.rand(2, 3, channels, size, size, generator=generator, dtype=torch.float64)
    x[..., : size // 2] = 0
    found = []
    for body.kernels in (True, False):
        found.append(second_derivative(body, parameters, x))
    for ours, wanted in zip(*found, strict=True):
        assert closeness(ours, wanted) < 1e-9


def test_the_second_derivative_against_finite_differences() -> None:
    body = Conv4((1, 12, 12), 8, "stride", "flatten", "batch")
    body.kernels = True
    generator = torch.Generator().manual_seed(1)
    parameters = {
        n: p.double().expand(2, *p.shape).clone() for n, p in body.initial_parameters(generator).items()
    }
    x = torch.rand(2, 4, 1, 16, 16, generator=generator, dtype=torch.float64)
    direction = {
        n: torch.randn(p.shape, generator=generator, dtype=torch.float64) for n, p in parameters.items()
    }

    def slopes(along: float) -> dict[str, Tensor]:
        values = {n: (p + along * direction[n]).requires_grad_() for n, p in parameters.items()}
        found = body(values, x, BatchStatistics()).square().sum()
        return dict(zip(values, torch.autograd.grad(found, list(values.values())), strict=True))

    values = {n: p.clone().requires_grad_() for n, p in parameters.items()}
    found = body(values, x, BatchStatistics()).square().sum()
    gradients = torch.autograd.grad(found, list(values.values()), create_graph=True)
    pairs = zip(gradients, direction.values(), strict=True)
    product = torch.autograd.grad(sum((g * d).sum() for g, d in pairs), list(values.values()))
    step = 1e-6
    up, down = slopes(step), slopes(-step)
    for name, ours in zip(values, product, strict=True):
        assert closeness(ours, (up[name] - down[name]) / (2 * step)) < 1e-6, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("stride", "inputs", "outputs", "tasks", "size"),
    [
        (1, 16, 32, 2, (9, 11)),
        (1, 64, 48, 5, (8, 14)),
        (1, 32, 32, 1, (3, 3)),
        (1, 3, 64, 2, (9, 11)),
        (2, 16, 32, 2, (9, 11)),
        (2, 48, 16, 2, (8, 6)),
    ],
)
def test_convolutions_against_pytorch(
    stride: int, inputs: int, outputs: int, tasks: int, size: tuple[int, int], dtype: torch.dtype
) -> None:
    from engine.fused.maps import convolve, convolve_back, convolve_filters, transposed

    generator = torch.Generator().manual_seed(0)
    near = 1e-5 if dtype == torch.float32 else 1e-13
    x = torch.randn(tasks, 3, inputs, *size, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(tasks, outputs, inputs, 3, 3, generator=generator, dtype=dtype, requires_grad=True)
    each = [functional.conv2d(x[t], weight[t], stride=stride, padding=1) for t in range(tasks)]
    wanted = torch.stack(each)
    slope = torch.randn(wanted.shape, generator=generator, dtype=dtype)
    by_x, by_weight = torch.autograd.grad(wanted, [x, weight], slope)
    maps = functional.pad(x.detach().permute(0, 1, 3, 4, 2), (0, 0, 1, 1, 1, 1)).contiguous()
    slopes = functional.pad(slope.permute(0, 1, 3, 4, 2), (0, 0, 1, 1, 1, 1)).contiguous()
    filters = weight.detach().permute(0, 3, 4, 2, 1).contiguous()
    found = convolve(maps, filters, stride)
    assert closeness(found.permute(0, 1, 4, 2, 3), wanted.detach()) < near
    assert closeness(convolve(maps, filters, stride, onto=found.clone()), 2 * found) < near
    found = convolve_filters(maps, slopes, stride, shared=False)
    assert closeness(found.permute(0, 4, 3, 1, 2), by_weight) < near
    assert (
        closeness(convolve_filters(maps, slopes, stride, shared=False, onto=found.clone()), 2 * found) < near
    )
    summed = convolve_filters(maps, slopes, stride, shared=True)
    assert closeness(summed, found.sum(0, keepdim=True)) < near
    if inputs % 16 == 0:
        turned = transposed(filters)
        found = convolve_back(slopes, turned, size, stride)
        assert closeness(found.permute(0, 1, 4, 2, 3), by_x) < near
        assert closeness(convolve_back(slopes, turned, size, stride, onto=found.clone()), 2 * found) < near


@pytest.mark.parametrize("tasks", [1, 5])
def test_numbers_do_not_depend_on_threads(tasks: int) -> None:
    from engine.fused.maps import convolve, convolve_filters

    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(tasks, 9, 16, 16, 64, generator=generator)
    slopes = torch.randn(tasks, 9, 16, 16, 32, generator=generator)
    filters = torch.randn(tasks, 3, 3, 64, 32, generator=generator)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append((convolve(maps, filters, 1), convolve_filters(maps, slopes, 1, shared=False)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


@pytest.mark.parametrize("pooling", ["max", "stride"])
def test_what_is_not_a_number_goes_on(pooling: str) -> None:
    """A filter that has gone bad must not become a channel of zeros."""
    body = Conv4((1, 28, 28), 16, pooling, "flatten", "batch")
    generator = torch.Generator().manual_seed(0)
    parameters = body.initial_parameters(generator)
    parameters["conv4.weight"][3] = torch.nan
    x = torch.rand(2, 4, 1, 28, 28, generator=generator)
    found = []
    for body.kernels in (True, False):
        found.append(body(parameters, x, BatchStatistics()).isnan())
    assert found[0].any() and not found[0].all() and torch.equal(*found)


def test_one_pass_differentiated_in_several_ways() -> None:
    """Two losses on the same features, one of them linear in these; then a third derivative is refused."""
    body = Conv4((1, 16, 16), 8, "max", "flatten", "batch")
    generator = torch.Generator().manual_seed(2)
    initial = body.initial_parameters(generator)
    x = torch.rand(2, 4, 1, 16, 16, generator=generator, dtype=torch.float64)
    head = torch.rand(2, 1, body.feature_size, generator=generator, dtype=torch.float64)

    def product(three_times: bool) -> list[Tensor]:
        values = {n: p.double().expand(2, *p.shape).clone().requires_grad_() for n, p in initial.items()}
        features = body(values, x, BatchStatistics())
        weights = head.clone().requires_grad_()
        one = torch.autograd.grad((features * weights).sum(), list(values.values()), create_graph=True)
        two = torch.autograd.grad(features.square().sum(), list(values.values()), create_graph=True)
        linear = list(
            torch.autograd.grad(sum(g.sin().sum() for g in one), list(values.values()), retain_graph=True)
        )
        total = sum((g.sin() + h.cos()).sum() for g, h in zip(one, two, strict=True))
        # A walk that stops before the pass must leave nothing behind for the next.
        linear += torch.autograd.grad(total, weights, retain_graph=True)
        return [*linear, *torch.autograd.grad(total, list(values.values()), create_graph=three_times)]

    found = []
    for body.kernels in (True, False):
        found.append(product(three_times=False))
    for ours, wanted in zip(*found, strict=True):
        assert closeness(ours, wanted) < 1e-9
    body.kernels = True
    with pytest.raises(RuntimeError, match="twice"):
        product(three_times=True)


def test_a_pass_goes_when_its_graph_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that autograd's nodes hold leads back to them: Python cannot free such a circle."""
    from engine.fused import body as calculus

    passes: list[weakref.ref[calculus.Pass]] = []

    class Watched(calculus.Pass):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            passes.append(weakref.ref(self))

    monkeypatch.setattr("engine.fused.features.Pass", Watched)
    body = Conv4((1, 16, 16), 8, "max", "flatten", "batch")
    body.kernels = True
    parameters = body.initial_parameters(torch.Generator().manual_seed(0))
    parameters = {n: p.double().expand(2, *p.shape).clone().requires_grad_() for n, p in parameters.items()}
    x = torch.rand(2, 4, 1, 12, 12, dtype=torch.float64)
    gc.collect()
    gc.disable()
    second_derivative(body, parameters, x)
    gc.enable()
    assert len(passes) == 2 and not any(passed() for passed in passes)


def test_threads_change_no_bit() -> None:
    spec = spec_of("maml", "model.pooling=max", "training.iterations=2")
    threads, found = torch.get_num_threads(), []
    for count in (1, 2):
        torch.set_num_threads(count)
        learner = Learner(spec, build_tasks(spec, NO_DATA, CPU), CPU)
        assert learner.path == FUSED
        x = learner.tasks.episodes("train", torch.arange(3)).support_x
        found.append(learner.body(learner.meta_parameters, x, BatchStatistics()).detach())
    torch.set_num_threads(threads)
    assert torch.equal(*found)


def test_a_compiler_that_fails_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path))
    for script, said in (
        ("exit 3", "ended with 3"),
        ('case "$1" in --version) echo cxx 1;; *) echo "k.cpp:1: error: no" >&2; exit 1;; esac', "error: no"),
    ):
        compiler = tmp_path / "cxx"
        compiler.write_text(f"#!/bin/sh\n{script}\n")
        compiler.chmod(0o755)
        monkeypatch.setenv("CXX", str(compiler))
        with pytest.raises(NoKernelsError, match=said):
            compiled("kernels")
    assert not list(tmp_path.rglob("*.so"))


def test_what_the_kernels_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def path(spec: Spec, dtype: torch.dtype = torch.float32) -> str:
        body = Conv4((1, 28, 28), spec.model.filters, "max", "mean", spec.model.norm)
        return chosen_path(spec, body, CPU, dtype)

    assert path(spec_of("maml")) == FUSED
    assert "filters by" in path(spec_of("maml", "model.filters=9"))
    monkeypatch.setenv("KSHOT_KERNELS", "0")
    assert path(spec_of("maml")) == "generic: KSHOT_KERNELS is 0"
