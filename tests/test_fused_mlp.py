"""The fused core's whole walks on an mlp give the generic path's numbers, switch by switch."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.adaptation import MetaGradient, follow, meta_gradient, probed
from engine.fused.library import why_not
from engine.learner import Learner
from engine.paths import FUSED, GENERIC, chosen_path
from engine.presets import Spec, resolve, test_adaptation
from engine.tasks import build_tasks
from engine.training import Trainer

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no kernels: {why_not()}")

CPU, NO_DATA = torch.device("cpu"), Path("/nowhere")
WAVES = ("model.hidden=[7, 13]", "training.tasks_per_batch=3", "training.queries=4", "training.iterations=3")
IMAGES = (
    *("model.hidden=[9, 6]", "model.norm=none", "task.image_size=6", "training.queries=2"),
    *("training.tasks_per_batch=2", "training.iterations=2", "adaptation.learning_rate=0.1"),
)
SGD = ("outer.optimizer=sgd", "outer.learning_rate=0.003")
SWITCHES: tuple[tuple[str, ...], ...] = (
    ("adaptation.steps=3",),
    ("adaptation.steps=0",),
    ("adaptation.order=1", "adaptation.steps=2"),
    ("adaptation.order={from: 1, to: 2, at: 0.5}",),
    ("adaptation.parameters=head", "adaptation.steps=2"),
    ("adaptation.parameters=body", "adaptation.steps=2"),
    ("adaptation.parameters=[linear2.weight, head.bias]", "adaptation.steps=2"),
    ("adaptation.parameters=[linear1.bias]", "adaptation.steps=2"),
    ("adaptation.learned_rates=layer", "adaptation.steps=2"),
    ("adaptation.learned_rates=layer-step", "adaptation.steps=2"),
    ("adaptation.learned_rates=parameter", "adaptation.learning_rate=[-0.01, 0.1]", "adaptation.steps=2"),
    ("adaptation.loss=multi-step", "adaptation.steps=3"),
    ("adaptation.loss_reduction=sum",),
    ("adaptation.head=zero", "adaptation.steps=2"),
    ("adaptation.head=random", "adaptation.parameters=body", "adaptation.steps=2"),
    ("adaptation.constant_memory=true", "adaptation.steps=2"),
    ("training.tasks_at_once=2",),
    ("model.hidden=[5]",),
    ("model.hidden=[40, 3, 8, 17]",),
    (
        *("adaptation.loss=multi-step", "adaptation.steps=3", "adaptation.learned_rates=layer-step"),
        *("adaptation.parameters=[linear2*, head.weight]", "adaptation.loss_reduction=sum"),
    ),
)


def closeness(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the largest value; what is below a millionth counts as that."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))


def spec_of(task: str, algorithm: str, *changes: str) -> Spec:
    small = WAVES if task.startswith("sine") else IMAGES
    return resolve(task, algorithm, overrides=[*small, *changes]).spec


def trained(spec: Spec, path: str) -> tuple[Learner, list[dict[str, Any] | None]]:
    """A learner after its few iterations in float64 by one of the paths, and what they recorded."""
    tasks = build_tasks(spec, NO_DATA, CPU, torch.float64)
    learner = Learner(spec, tasks, CPU, torch.float64)
    assert learner.path == FUSED
    learner.take(path)
    trainer = Trainer(learner)
    return learner, [trainer.step() for _ in range(trainer.iterations)]


def numbers(record: Any) -> list[float]:
    """All numbers of a record, in order."""
    if isinstance(record, dict):
        return [n for key in sorted(record) for n in numbers(record[key])]
    if isinstance(record, list):
        return [n for each in record for n in numbers(each)]
    return [] if record is None else [float(record)]


def same_training(spec: Spec) -> None:
    """Both paths train to the same parameters, keep the same and record the same."""
    (fused, seen), (generic, wanted) = (trained(spec, path) for path in (FUSED, GENERIC))
    for name, expected in (generic.meta_parameters | generic.kept).items():
        found = (fused.meta_parameters | fused.kept)[name]
        assert found.shape == expected.shape
        assert closeness(found, expected) < 1e-9, name
    for mine, its in zip(seen, wanted, strict=True):
        assert (mine is None) == (its is None)
        if mine is not None and its is not None:
            # It is rounded to four digits.
            assert numbers(mine.pop("moved", {})) == pytest.approx(numbers(its.pop("moved", {})), rel=1e-3)
            assert numbers(mine) == pytest.approx(numbers(its), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("changes", SWITCHES, ids=lambda changes: "+".join(changes))
def test_every_switch_trains_on_waves_to_the_same_parameters(changes: tuple[str, ...]) -> None:
    same_training(spec_of("sine-10shot", "maml", *SGD, *changes))


@pytest.mark.parametrize("changes", [(), *SWITCHES[:-3]], ids=lambda changes: "+".join(changes))
def test_every_switch_trains_on_images_to_the_same_parameters(changes: tuple[str, ...]) -> None:
    same_training(spec_of("glyphs-5way-1shot", "maml-no-conv", *SGD, *changes))


@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "reptile", "anil", "boil", "meta-sgd"])
def test_every_algorithm_trains_to_the_same_parameters(algorithm: str) -> None:
    plain = ("adaptation.update=sgd", "adaptation.moments=reset")
    same_training(spec_of("sine-10shot", algorithm, "adaptation.batch=null", *plain))


@pytest.mark.parametrize("stored", ["adapted", "outer"])
@pytest.mark.parametrize("steps", [0, 2])
def test_stored_heads(stored: str, steps: int) -> None:
    changes = ("adaptation.head=stored", f"adaptation.stored_heads={stored}", "training.tasks=4")
    if stored == "outer" or steps:
        same_training(spec_of("sine-10shot", "maml", *SGD, *changes, f"adaptation.steps={steps}"))


def walks(spec: Spec, threads: int = 1, tasks: int = 5) -> tuple[MetaGradient, MetaGradient]:
    """The meta-gradient and the chain alone by the fused path, in float64."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    drawn = build_tasks(spec, NO_DATA, CPU, torch.float64)
    learner = Learner(spec, drawn, CPU, torch.float64)
    assert learner.path == FUSED
    rule, task = learner.training_rule(), drawn.episodes("train", torch.arange(tasks))
    found = meta_gradient(rule, learner.meta_parameters, task, True, False)
    alone = follow(rule, learner.meta_parameters, task)
    torch.set_num_threads(before)
    return found, alone


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.fused.mlp.WORTH_THREADS", 0)
    spec = spec_of("sine-10shot", "maml", "adaptation.steps=2")
    (one, _), (two, _) = walks(spec, 1), walks(spec, 2)
    for name, gradient in one.gradient.items():
        assert torch.equal(gradient, two.gradient[name])
    assert torch.equal(one.norms, two.norms) and torch.equal(one.query_loss, two.query_loss)


def test_the_chain_alone_is_that_of_the_walk() -> None:
    found, alone = walks(spec_of("sine-10shot", "maml", "adaptation.steps=3"))
    assert alone.gradient == {} and alone.norms.shape == (5, 0)
    assert torch.equal(found.query_loss, alone.query_loss)
    assert len(found.states) == len(alone.states) == 4
    for one, other in zip(found.states, alone.states, strict=True):
        assert one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("learned", ["none", "layer-step", "parameter"])
def test_steps_beyond_those_of_training_predict_the_same(learned: str) -> None:
    spec = spec_of("sine-10shot", "maml", f"adaptation.learned_rates={learned}", "adaptation.steps=2")
    tasks = build_tasks(spec, NO_DATA, CPU, torch.float64)
    learner, predictions = Learner(spec, tasks, CPU, torch.float64), []
    task = tasks.episodes("test", torch.arange(2))
    for path in (FUSED, GENERIC):
        learner.take(path)
        rule = learner.rule(test_adaptation(spec), "test", "query")
        with torch.no_grad():
            state = rule.start(learner.meta_parameters, task)
            for number in range(4):
                state, _ = rule.step(state, learner.meta_parameters, task, number, second_order=False)
            predictions.append(rule.predict(state, learner.meta_parameters, task, 4))
    assert closeness(predictions[0], predictions[1]) < 1e-9


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    """Finite differences of the query loss after three steps, through the kernels alone."""
    changes = ("adaptation.steps=3", "adaptation.learned_rates=parameter", "adaptation.learning_rate=0.05")
    spec = spec_of("sine-10shot", "maml", *changes)
    tasks = build_tasks(spec, NO_DATA, CPU, torch.float64)
    learner = Learner(spec, tasks, CPU, torch.float64)
    assert learner.path == FUSED
    rule, phi = learner.training_rule(), learner.meta_parameters
    task = tasks.episodes("train", torch.arange(2))
    found = meta_gradient(rule, phi, task, True, False).gradient
    generator, step = torch.Generator().manual_seed(0), 1e-6
    along = {n: torch.randn(p.shape, generator=generator, dtype=torch.float64) for n, p in phi.items()}
    for chosen in phi:
        up, down = (
            follow(rule, phi | {chosen: phi[chosen] + sign * step * along[chosen]}, task).query_loss.mean()
            for sign in (1, -1)
        )
        slope = float((up - down) / (2 * step))
        by_hand = float((found[chosen] * along[chosen]).sum())
        assert by_hand == pytest.approx(slope, rel=1e-6, abs=1e-9), chosen


def test_a_loss_that_is_no_number_is_seen() -> None:
    """ReLU hides nothing: what is not finite goes through to the losses."""
    spec = spec_of("sine-10shot", "maml")
    tasks = build_tasks(spec, NO_DATA, CPU)
    learner = Learner(spec, tasks, CPU)
    assert learner.path == FUSED
    learner.meta_parameters["linear1.weight"][0, 0] = float("nan")
    task = tasks.episodes("train", torch.arange(2))
    seen = meta_gradient(learner.training_rule(), learner.meta_parameters, task, True, False)
    assert seen.query_loss.isnan().all() and seen.support_loss.isnan().all()


def test_an_output_that_is_no_number_is_a_wrong_answer() -> None:
    spec = spec_of("glyphs-5way-1shot", "maml-no-conv")
    tasks = build_tasks(spec, NO_DATA, CPU)
    learner = Learner(spec, tasks, CPU)
    assert learner.path == FUSED
    rule, parameters = learner.training_rule(), learner.meta_parameters
    task = tasks.episodes("train", torch.arange(40))
    before = probed(rule, parameters, task, meta_gradient(rule, parameters, task, True, False)).metric
    parameters["head.bias"][2] = float("inf")
    after = probed(rule, parameters, task, meta_gradient(rule, parameters, task, True, False)).metric
    assert 0.1 < before[:, 0].mean() < 0.9 and not after.any()


def test_what_the_kernels_cannot_walk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def path(algorithm: str, *changes: str) -> str:
        spec = spec_of("sine-10shot", algorithm, *changes)
        return chosen_path(spec, Learner(spec, build_tasks(spec, NO_DATA, CPU), CPU).body, CPU, torch.float32)

    assert path("maml") == FUSED
    assert "the outer rule joint" in path("pretrain")
    assert "the update adam" in path("maml", "adaptation.update=adam")
    assert "normalised layers" in path("maml", "model.norm=batch")
    assert "mini-batches" in path("maml", "adaptation.batch=3")
    monkeypatch.setenv("KSHOT_KERNELS", "0")
    assert path("maml") == "generic: KSHOT_KERNELS is 0"
