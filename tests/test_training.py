"""The outer loop: optimizers, schedules, orders, portions, resuming, divergence, validation, records."""

import math
import random
from pathlib import Path

import pytest
import torch
from plain_loop import (
    CPU,
    HEAD,
    Parameters,
    close,
    image_tasks,
    moved,
    plain_loss,
    plain_meta_gradient,
    plain_outputs,
)
from torch import Tensor

import engine.training
from engine.checkpoint import pack, unpack
from engine.errors import RequestError
from engine.learner import Learner
from engine.outer.joint import joint_gradient
from engine.outer.schedule import order_at, outer_rate
from engine.presets.schema import AnnealedOrder, Outer, Spec
from engine.tasks import TaskDistribution, build_tasks
from engine.training import Diverged, Trainer, examples_per_batch

NOWHERE = Path("/nonexistent")
SINE: dict = {
    "task": {"dataset": "sine", "shots": 5, "queries": 6},
    "model": {"name": "mlp", "hidden": [8, 8], "norm": "none"},
    "adaptation": {"learning_rate": 0.02},
    "training": {"iterations": 8, "tasks_per_batch": 4},
    "seed": 5,
}
IMAGES: dict = {
    "task": {"dataset": "glyphs", "ways": 4, "shots": 1, "queries": 3},
    "model": {"name": "conv4", "filters": 3, "pooling": "stride"},
    "adaptation": {"learning_rate": 0.4},
    "training": {"iterations": 8, "tasks_per_batch": 5},
    "seed": 5,
}
JOINT = {"outer": {"rule": "joint", "learning_rate": 0.01}}
STORED = {"adaptation": {"head": "stored", "learning_rate": 0.4}, "training": {"tasks": 9}}


def spec_of(base: dict, *layers: dict) -> Spec:
    content = {section: dict(keys) if isinstance(keys, dict) else keys for section, keys in base.items()}
    for layer in layers:
        for section, keys in layer.items():
            content[section] = {**content.get(section, {}), **keys}
    return Spec.model_validate(content)


def trainer_of(spec: Spec, dtype: torch.dtype = torch.float64) -> Trainer:
    tasks: TaskDistribution
    if spec.task.dataset == "sine":
        tasks = build_tasks(spec, NOWHERE, CPU, dtype)
    else:
        tasks = image_tasks(spec, dtype=dtype)
    return Trainer(Learner(spec, tasks, CPU, dtype))


def copied(tensors: Parameters) -> Parameters:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def equal(one: Parameters, other: Parameters) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def batch(trainer: Trainer, iteration: int):
    size = trainer.spec.training.tasks_per_batch
    return trainer.learner.tasks.episodes("train", torch.arange(iteration * size, (iteration + 1) * size))


def plain_optimizer(outer: Outer, tensors: list[Tensor]) -> torch.optim.Optimizer:
    if outer.optimizer == "adam":
        return torch.optim.Adam(tensors, lr=outer.learning_rate, betas=(0.9, 0.999), eps=1e-8)
    if outer.optimizer == "nesterov":
        return torch.optim.SGD(tensors, lr=outer.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.SGD(tensors, lr=outer.learning_rate)


# The outer step


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "nesterov"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("clip", [None, 0.01])
def test_three_iterations_against_a_plain_loop(optimizer: str, order: int, clip: float | None) -> None:
    """MAML on waves: the loop over tasks, PyTorch's optimizer, and a linear schedule by hand."""
    outer = {"optimizer": optimizer, "learning_rate": 0.01, "schedule": "linear", "clip": clip}
    trainer = trainer_of(spec_of(SINE, {"outer": outer, "adaptation": {"order": order, "steps": 2}}))
    spec, learner = trainer.spec, trainer.learner
    plain = copied(learner.meta_parameters)
    reference = plain_optimizer(spec.outer, list(plain.values()))
    for iteration in range(3):
        walk = plain_meta_gradient(
            spec.model, spec.adaptation, plain, batch(trainer, iteration), second_order=order == 2, ways=1
        )
        for name, parameter in plain.items():
            slope = walk.gradient[name]
            parameter.grad = slope if clip is None else slope.clamp(-clip, clip)
        reference.param_groups[0]["lr"] = 0.01 * (1 - iteration / 8)
        reference.step()
        record = trainer.step()
        if iteration == 0:
            assert record is not None
            assert record["outer_loss"] == pytest.approx(float(walk.query_loss.mean()), rel=1e-9)
            assert record["query_loss"][-1] == pytest.approx(float(walk.query_loss.mean()), rel=1e-9)
            assert record["support_loss"][:2] == pytest.approx(walk.support_loss.mean(0).tolist(), rel=1e-9)
            assert record["meta_gradient_norms"] == pytest.approx(walk.norms.mean(0).tolist(), rel=1e-8)
            whole = math.sqrt(sum(float(g.square().sum()) for g in walk.gradient.values()))
            assert record["gradient_norm"] == pytest.approx(whole, rel=1e-8)
            assert record["rates"]["outer"] == pytest.approx(0.01)
        for name, parameter in plain.items():
            assert close(learner.meta_parameters[name], parameter.detach(), 1e-7)
    assert trainer.iteration == 3


def test_an_image_learner_against_a_plain_loop() -> None:
    trainer = trainer_of(spec_of(IMAGES, {"adaptation": {"steps": 2}}))
    plain = copied(trainer.learner.meta_parameters)
    reference = torch.optim.Adam(list(plain.values()), lr=0.001)
    for iteration in range(2):
        spec = trainer.spec
        walk = plain_meta_gradient(
            spec.model, spec.adaptation, plain, batch(trainer, iteration), True, ways=4
        )
        for name, parameter in plain.items():
            parameter.grad = walk.gradient[name]
        reference.step()
        trainer.step()
    for name, parameter in plain.items():
        assert close(trainer.learner.meta_parameters[name], parameter.detach(), 1e-6)


@pytest.mark.parametrize("base", [SINE, IMAGES], ids=["sine", "images"])
def test_joint_gradient_against_plain_autograd(base: dict) -> None:
    trainer = trainer_of(spec_of(base, JOINT))
    learner = trainer.learner
    parameters = moved(learner.meta_parameters)
    examples = learner.tasks.examples(torch.arange(40))
    found, loss, logits = joint_gradient(learner.body, learner.tasks.kind, parameters, examples)
    leaves = {name: p.clone().requires_grad_() for name, p in parameters.items()}
    outputs = plain_outputs(learner.spec.model, leaves, examples.x[0])
    expected = plain_loss(outputs, examples.y[0])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    slopes = torch.autograd.grad(expected, list(leaves.values()))
    whole = math.sqrt(sum(float(slope.square().sum()) for slope in slopes))
    for name, slope in zip(leaves, slopes, strict=True):
        assert float((found[name] - slope).norm()) < 1e-9 * whole, name
    if base is IMAGES:
        assert outputs.shape[1] == learner.tasks.joint_outputs == 12
    assert torch.allclose(logits[0], outputs.detach(), rtol=1e-9)


@pytest.mark.parametrize("base", [SINE, IMAGES], ids=["sine", "images"])
def test_pretraining_sees_as_many_examples_as_a_meta_batch(base: dict) -> None:
    """Three joint iterations over examples i · B to (i + 1) · B, B the meta-batch's number of examples."""
    spec = spec_of(base, JOINT)
    trainer = trainer_of(spec)
    assert examples_per_batch(trainer.learner) == (4 * 11 if base is SINE else 5 * 4 * 4)
    chosen = trainer_of(spec_of(base, JOINT, {"training": {"examples_per_batch": 7}}))
    assert examples_per_batch(chosen.learner) == 7
    for each, size in ((trainer, examples_per_batch(trainer.learner)), (chosen, 7)):
        plain = copied(each.learner.meta_parameters)
        reference = torch.optim.Adam(list(plain.values()), lr=0.01)
        for iteration in range(3):
            x, y, _ = each.learner.tasks.examples(torch.arange(iteration * size, (iteration + 1) * size))
            leaves = {name: p.clone().requires_grad_() for name, p in plain.items()}
            loss = plain_loss(plain_outputs(spec.model, leaves, x[0]), y[0])
            slopes = torch.autograd.grad(loss, list(leaves.values()))
            for parameter, slope in zip(plain.values(), slopes, strict=True):
                parameter.grad = slope
            reference.step()
            each.step()
        for name, parameter in plain.items():
            assert close(each.learner.meta_parameters[name], parameter.detach(), 1e-5)


# Schedules


def test_schedules_follow_their_formulas() -> None:
    first, last, total = 0.4, 0.04, 200
    for i in (0, 1, 57, 100, 150, 199):
        part = i / total
        common = {"learning_rate": first, "final_learning_rate": last}
        cosine = last + 0.5 * (first - last) * (1 + math.cos(math.pi * part))
        assert outer_rate(Outer(schedule="cosine", **common), i, total) == pytest.approx(cosine)
        assert outer_rate(Outer(schedule="linear", **common), i, total) == pytest.approx(
            (1 - part) * first + part * last
        )
        assert outer_rate(Outer(schedule="constant", **common), i, total) == first


def test_drops_come_at_their_fractions() -> None:
    outer = Outer.model_validate(
        {"learning_rate": 0.8, "schedule": "drops", "drops": {"at": [0.3, 0.7], "factor": 0.5}}
    )
    rates = [outer_rate(outer, i, 10) for i in range(10)]
    assert rates == pytest.approx([0.8] * 3 + [0.4] * 4 + [0.2] * 3)


@pytest.mark.parametrize(
    ("share", "iterations"), [(0.5, 8), (0.25, 8), (0.0, 8), (1.0, 8), (0.3, 10), (0.7, 10)]
)
def test_an_annealed_order_has_its_first_order_for_its_share(share: float, iterations: int) -> None:
    order = AnnealedOrder.model_validate({"from": 1, "to": 2, "at": share})
    orders = [order_at(order, i, iterations) for i in range(iterations)]
    first = round(share * iterations)
    assert orders == [1] * first + [2] * (iterations - first)
    assert {order_at(1, i, iterations) for i in range(iterations)} == {1}


def test_training_changes_its_order_at_the_right_iteration() -> None:
    """Each iteration's gradient against the loop of that order: three of first order, five of second."""
    annealed = {"order": {"from": 1, "to": 2, "at": 0.375}, "learning_rate": 0.1, "steps": 2}
    outer = {"optimizer": "sgd", "learning_rate": 0.01}
    trainer = trainer_of(spec_of(SINE, {"adaptation": annealed, "outer": outer}))
    spec, parameters = trainer.spec, trainer.learner.meta_parameters
    seen = []
    for iteration in range(6):
        before = copied(parameters)
        trainer.step()
        gaps = []
        for second in (False, True):
            walk = plain_meta_gradient(
                spec.model, spec.adaptation, before, batch(trainer, iteration), second, ways=1
            )
            moves = [parameters[n] - (before[n] - 0.01 * walk.gradient[n]) for n in parameters]
            gaps.append(sum(float(move.norm()) for move in moves))
        assert min(gaps) < 1e-9 < max(gaps)
        seen.append(1 if gaps[0] < gaps[1] else 2)
    assert seen == [1, 1, 1, 2, 2, 2]


# Portions of a meta-batch


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
@pytest.mark.parametrize("base", [SINE, IMAGES], ids=["sine", "images"])
def test_portions_of_a_batch_give_the_same_iteration(base: dict, at_once: int) -> None:
    """Portions of unequal size too; plain gradient descent, so that the parameters are the gradient."""
    outer = {"outer": {"optimizer": "sgd", "learning_rate": 0.01}}
    whole = trainer_of(spec_of(base, outer))
    portions = trainer_of(spec_of(base, outer, {"training": {"tasks_at_once": at_once}}))
    before = copied(whole.learner.meta_parameters)
    records = [whole.step(), portions.step()]
    for name, expected in whole.learner.meta_parameters.items():
        step = expected - before[name]
        assert float((portions.learner.meta_parameters[name] - expected).norm()) < 1e-9 * (
            float(step.norm()) + 1e-9
        ), name
    assert records[0] is not None
    assert records[1] is not None
    for key in ("outer_loss", "support_loss", "query_loss", "meta_gradient_norms", "gradient_norm"):
        assert records[1][key] == pytest.approx(records[0][key], rel=1e-8), key


def test_running_out_of_memory_halves_the_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = {"outer": {"optimizer": "sgd", "learning_rate": 0.01}}
    whole, small = trainer_of(spec_of(IMAGES, outer)), trainer_of(spec_of(IMAGES, outer))
    whole.step()
    walk, sizes = engine.training.meta_gradient, []

    def narrow(rule, meta_parameters, task, **rest):
        sizes.append(len(task.support_x))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("too much")
        return walk(rule, meta_parameters, task, **rest)

    monkeypatch.setattr(engine.training, "meta_gradient", narrow)
    small.step()
    assert sizes == [5, 3, 2, 2, 1]
    assert len(small.notes) == 2
    for name, expected in whole.learner.meta_parameters.items():
        assert close(small.learner.meta_parameters[name], expected, 1e-10)
    small.step()
    assert sizes[5:] == [2, 2, 1]


# Checkpoints


def packed_at(spec: Spec, stop: int, build) -> tuple[bytes, Trainer]:
    trainer = build(spec)
    for _ in range(stop):
        trainer.step()
    data = pack(trainer.state())
    while trainer.iteration < trainer.iterations:
        trainer.step()
    return data, trainer


def resumed_equals_uninterrupted(spec: Spec, stop: int, build) -> None:
    data, whole = packed_at(spec, stop, build)
    resumed = build(spec)
    resumed.step()  # what was there before a checkpoint is loaded must not matter
    resumed.load(unpack(data, CPU, "the checkpoint"))
    assert resumed.iteration == stop
    while resumed.iteration < resumed.iterations:
        resumed.step()
    assert equal(resumed.learner.meta_parameters, whole.learner.meta_parameters)
    assert equal(resumed.learner.kept, whole.learner.kept)
    assert pack(resumed.state()) == pack(whole.state())


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [{"outer": {"optimizer": "nesterov", "schedule": "cosine", "clip": 0.1}}],
        [{"adaptation": {"order": {"from": 1, "to": 2, "at": 0.5}, "constant_memory": True, "steps": 3}}],
        [{"training": {"tasks_at_once": 3}}],
        [JOINT],
        [STORED],
    ],
    ids=["adam", "nesterov", "annealed", "portions", "joint", "stored"],
)
@pytest.mark.parametrize("base", [SINE, IMAGES], ids=["sine", "images"])
def test_resumed_training_ends_with_the_same_bytes(base: dict, layers: list[dict]) -> None:
    stop = random.Random(str((base["task"], layers))).randrange(1, 8)
    spec = spec_of(base, *layers)
    resumed_equals_uninterrupted(spec, stop, lambda spec: trainer_of(spec, torch.float32))


def test_resuming_crosses_the_blocks_of_waves_drawn_ahead() -> None:
    spec = spec_of(SINE, {"training": {"iterations": 140, "tasks_per_batch": 2}})
    resumed_equals_uninterrupted(spec, 67, lambda spec: trainer_of(spec, torch.float32))


def test_resuming_on_drawn_characters() -> None:
    """The whole way from a spec: glyphs from their cache, conv4, the default optimizer."""
    model = {"model": {"filters": 4, "pooling": "max"}, "training": {"iterations": 6, "tasks_per_batch": 3}}
    spec = spec_of(IMAGES, model)
    tasks = build_tasks(spec, NOWHERE)
    stop = random.Random(4).randrange(1, 6)
    resumed_equals_uninterrupted(spec, stop, lambda spec: Trainer(Learner(spec, tasks, CPU)))


def test_bytes_that_are_no_checkpoint_are_refused() -> None:
    trainer = trainer_of(spec_of(SINE))
    data = pack(trainer.state())
    for broken in (
        b"no checkpoint",
        data[: len(data) // 2],
        b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00idq\x85R.",
    ):
        with pytest.raises(RequestError, match=r"7\.pt"):
            unpack(broken, CPU, "7.pt")


# Divergence


@pytest.mark.parametrize("base", [SINE, IMAGES], ids=["sine", "images"])
def test_divergence_is_raised_before_anything_moves(base: dict) -> None:
    adaptation = {"adaptation": {"learning_rate": 1e300, "steps": 3}}
    trainer = trainer_of(spec_of(base, adaptation))
    before = pack(trainer.state())
    with pytest.raises(Diverged, match="iteration 1"):
        trainer.step()
    assert trainer.iteration == 0
    assert pack(trainer.state()) == before


def test_a_later_divergence_names_its_iteration() -> None:
    trainer = trainer_of(
        spec_of(SINE, {"outer": {"rule": "joint", "learning_rate": 1e200, "optimizer": "sgd"}})
    )
    with pytest.raises(Diverged, match="iteration 2"):
        for _ in range(3):
            before = copied(trainer.learner.meta_parameters)
            trainer.step()
    assert equal(trainer.learner.meta_parameters, before)
    assert trainer.iteration == 1


# Validation and records


@pytest.mark.parametrize(
    ("base", "values", "best"),
    [
        (IMAGES, [0.5, 0.7, math.nan, 0.7, 0.6], [(1, 0.5), (2, 0.7), (2, 0.7), (2, 0.7), (2, 0.7)]),
        (SINE, [math.nan, 3.0, math.inf, 2.0, 2.5], [None, (2, 3.0), (2, 3.0), (4, 2.0), (4, 2.0)]),
    ],
    ids=["accuracy", "error"],
)
def test_validation_keeps_the_best(
    base: dict, values: list[float], best: list[tuple | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Higher accuracy or lower error after the last step; what is not finite is never the best."""
    trainer = trainer_of(spec_of(base))
    asked = []
    for value, expected in zip(values, best, strict=True):

        def told(learner, adaptation, part, episodes, statistics, steps, *, first, value=value):
            asked.append((part, episodes, statistics, list(steps), first))
            columns = torch.tensor([[0.55, value]], dtype=torch.float64)
            return columns.expand(episodes, 2)

        monkeypatch.setattr(engine.training, "scores", told)
        trainer.step()
        event = trainer.validate()
        found = None if trainer.best is None else (trainer.best.step, pytest.approx(trainer.best.value))
        assert found == expected
        assert event["best"] == (expected is not None and expected[0] == trainer.iteration)
        assert event["steps"] == [0, 1]
    assert asked == [("validation", 200, "query", [0, 1], 0)] * 5


def test_validation_agrees_with_a_plain_loop_and_changes_nothing() -> None:
    """Mean error over validation tasks before and after each step, and its interval."""
    validation = {"validation": {"episodes": 12, "adaptation": {"steps": 3, "learning_rate": 0.05}}}
    trainer = trainer_of(spec_of(SINE, {"training": validation}))
    trainer.step()
    before = pack(trainer.state() | {"bests": []})
    event = trainer.validate()
    assert pack(trainer.state() | {"bests": []}) == before
    learner = trainer.learner
    tasks = learner.tasks.episodes("validation", torch.arange(12))
    rows = []
    for t in range(12):
        own, row = {n: p.clone().requires_grad_() for n, p in learner.meta_parameters.items()}, []
        for _ in range(4):
            outputs = plain_outputs(learner.spec.model, own, tasks.query_x[t])
            row.append((outputs - tasks.query_y[t]).square().mean().item())
            loss = plain_loss(plain_outputs(learner.spec.model, own, tasks.support_x[t]), tasks.support_y[t])
            slopes = torch.autograd.grad(loss, list(own.values()))
            own = {
                n: (p - 0.05 * s).detach().requires_grad_()
                for (n, p), s in zip(own.items(), slopes, strict=True)
            }
        rows.append(row)
    errors = torch.tensor(rows, dtype=torch.float64)
    assert event["steps"] == [0, 1, 2, 3]
    assert event["metric"] == pytest.approx(errors.mean(0).tolist(), rel=1e-8)
    assert event["ci95"] == pytest.approx((1.96 * errors.std(0) / math.sqrt(12)).tolist(), rel=1e-8)


@pytest.mark.parametrize("stop", [0, 4])
def test_records_come_at_their_iterations_wherever_training_began(stop: int) -> None:
    """The first, every third and the last; from a checkpoint as from the start."""
    spec = spec_of(SINE, {"training": {"record_every": 3}})
    trainer = trainer_of(spec)
    if stop:
        data, _ = packed_at(spec, stop, trainer_of)
        trainer.load(unpack(data, CPU, "the checkpoint"))
    recorded = []
    while trainer.iteration < trainer.iterations:
        record = trainer.step()
        if record is not None:
            assert record["step"] == trainer.iteration
            recorded.append(trainer.iteration)
    assert recorded == [i for i in (1, 3, 6, 8) if i > stop]


@pytest.mark.parametrize("layers", [[], [JOINT], [STORED]], ids=["maml", "joint", "stored"])
def test_recording_changes_no_number(layers: list[dict]) -> None:
    ends = []
    for every in (1, 1000):
        trainer = trainer_of(spec_of(IMAGES, *layers, {"training": {"record_every": every, "iterations": 4}}))
        records = [trainer.step() for _ in range(4)]
        assert sum(record is not None for record in records) == (4 if every == 1 else 2)
        ends.append(trainer.learner.meta_parameters)
    assert equal(*ends)


def test_a_run_is_decided_by_its_seed_alone() -> None:
    ends = []
    for seed, evaluation_seed in ((5, 0), (5, 7), (6, 0)):
        spec = spec_of({**IMAGES, "seed": seed}, {"evaluation": {"seed": evaluation_seed}})
        trainer = trainer_of(spec)
        for _ in range(2):
            trainer.step()
        ends.append(trainer.learner.meta_parameters)
    assert equal(ends[0], ends[1])
    assert not equal(ends[0], ends[2])


def test_a_rule_that_does_not_train_has_no_iterations() -> None:
    trainer = trainer_of(spec_of(SINE, {"outer": {"rule": "none"}}))
    assert trainer.iterations == 0
    state = unpack(pack(trainer.state()), CPU, "the checkpoint")
    trainer_of(trainer.spec).load(state)


@pytest.mark.parametrize("head", ["zero", "random", "means"])
def test_heads_made_for_each_task_are_not_meta_learned(head: str) -> None:
    trainer = trainer_of(spec_of(IMAGES, {"adaptation": {"head": head, "learning_rate": 0.4, "steps": 2}}))
    before = copied(trainer.learner.meta_parameters)
    assert not set(HEAD) & set(before)
    trainer.step()
    assert all(not torch.equal(before[name], p) for name, p in trainer.learner.meta_parameters.items())


FEW = {"adaptation": {"head": "stored", "learning_rate": 0.4}, "training": {"tasks": 3}}


@pytest.mark.parametrize("at_once", [1, 2])
def test_portions_read_stored_heads_as_the_whole_batch_does(at_once):
    """A task that stands twice in a batch starts both times from the head it had before the batch."""
    whole, portions = (
        trainer_of(spec_of(IMAGES, FEW)),
        trainer_of(spec_of(IMAGES, FEW, {"training": {"tasks_at_once": at_once}})),
    )
    first, second = whole.step(), portions.step()
    assert second["outer_loss"] == pytest.approx(first["outer_loss"], rel=1e-9)
    for name, table in whole.learner.kept.items():
        assert close(portions.learner.kept[name], table)


def test_divergence_leaves_stored_heads_alone():
    trainer = trainer_of(spec_of(IMAGES, FEW, {"adaptation": {"learning_rate": 1e300, "steps": 3}}))
    with pytest.raises(Diverged):
        trainer.step()
    assert all(bool(table.isfinite().all()) for table in trainer.learner.kept.values())


@pytest.mark.parametrize("first", [7, 14, 28, 55, 56])
def test_an_annealed_order_switches_after_its_share_of_100(first):
    order = AnnealedOrder.model_validate({"from": 1, "to": 2, "at": first / 100})
    assert sum(order_at(order, i, 100) == 1 for i in range(100)) == first


def test_an_empty_checkpoint_is_refused():
    with pytest.raises(RequestError):
        unpack(b"", CPU, "7.pt")
