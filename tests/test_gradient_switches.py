"""Every switch of the gradient rule, in float64, against the papers' formulas in plain loops over tasks."""

import hashlib
from collections.abc import Iterator

import pytest
import torch
from plain_loop import CPU, HEAD, Parameters, adapts
from plain_switches import (
    PlainTrainer,
    batch,
    copied,
    draws_of,
    engine_outputs,
    plain_outputs_by_step,
    released_weights,
    spec_of,
    trainer_of,
)
from torch import Tensor

import engine.training
from engine.adaptation import MetaGradient, meta_gradient
from engine.checkpoint import pack, unpack
from engine.presets.overlay import test_adaptation as adaptation_in_testing
from engine.presets.schema import MultiStep, Spec
from engine.training import Trainer

SINE: dict = {
    # Waves so gentle that three iterations of every switch stay where rounding is small.
    "task": {
        "dataset": "sine",
        "amplitude": [0.5, 1.5],
        "support_x": [-2.0, 2.0],
        "query_x": [-2.0, 2.0],
        "shots": 6,
        "queries": 7,
    },
    "model": {"name": "mlp", "hidden": [8, 8], "norm": "none"},
    "adaptation": {"learning_rate": 0.02, "steps": 3},
    "outer": {"optimizer": "sgd", "learning_rate": 0.02},
    "training": {"iterations": 6, "tasks_per_batch": 3},
    "seed": 5,
}
NORMED: dict = {**SINE, "model": {"name": "mlp", "hidden": [8, 8], "norm": "batch"}}
IMAGES: dict = {
    **SINE,
    "task": {"dataset": "glyphs", "ways": 3, "shots": 2, "queries": 3},
    "model": {"name": "conv4", "filters": 3, "pooling": "stride"},
    "adaptation": {"learning_rate": 0.3, "steps": 3},
    "outer": {"optimizer": "sgd", "learning_rate": 0.3},
}
POOLED: dict = {**IMAGES, "model": {"name": "conv4", "filters": 2, "pooling": "max"}}
BASES = {"sine": SINE, "normed": NORMED, "images": IMAGES, "pooled": POOLED}
ADAM = {"outer": {"optimizer": "adam", "learning_rate": 0.01}}
ANNEALED = {"order": {"from": 1, "to": 2, "at": 0.5}}
NORMS = {"per_step_norms": True, "running_statistics": True}


def inner(**keys: object) -> dict:
    return {"adaptation": keys}


def near(found: Tensor, expected: Tensor, length: float, tolerance: float = 1e-9) -> bool:
    """Whether two tensors agree to `tolerance` of a length that matters, or to rounding.

    Lengths are those of tamed examples: of numbers that explode anything would be near.
    """
    assert length < 100
    rounding = 1e-13 * (1 + float(expected.norm()))
    return found.shape == expected.shape and float((found - expected).norm()) < tolerance * length + rounding


def same_training(spec: Spec, iterations: int = 3) -> tuple[Trainer, PlainTrainer]:
    """The engine's and the plain outer loop side by side: after each iteration everything that was learned
    agrees to 1e-9 of how far it moved, and everything kept to 1e-9 of itself."""
    trainer = trainer_of(spec)
    learner, plain = trainer.learner, PlainTrainer(trainer)
    for iteration in range(iterations):
        tasks = batch(trainer, iteration)
        drawn = draws_of(learner, spec.adaptation, "train", tasks) if spec.adaptation.batch else None
        trainer.step()
        plain.step(tasks, drawn)
        assert learner.meta_parameters.keys() == plain.parameters.keys()
        for name, expected in plain.parameters.items():
            if undetermined(spec, name):
                continue
            moved = float((expected - plain.start[name]).norm())
            assert near(learner.meta_parameters[name], expected, moved), (iteration, name)
        assert learner.kept.keys() == plain.kept.keys()
        for name, expected in plain.kept.items():
            assert near(learner.kept[name], expected, float(expected.norm())), (iteration, name)
    return trainer, plain


def undetermined(spec: Spec, name: str) -> bool:
    """A bias before a normalisation has no gradient but rounding, which Adam makes large; it moves nothing
    else."""
    normed = spec.model.name == "mlp" and spec.model.norm == "batch" and name.startswith("linear")
    return normed and name.endswith(".bias") and "adam" in (spec.outer.optimizer, spec.adaptation.update)


def same_testing(trainer: Trainer, statistics: str = "query") -> None:
    """Query outputs of test tasks before and after each step."""
    adaptation = adaptation_in_testing(trainer.spec)
    tasks = trainer.learner.tasks.episodes("test", torch.arange(3))
    drawn = draws_of(trainer.learner, adaptation, "test", tasks) if adaptation.batch else None
    found = engine_outputs(trainer, adaptation, "test", tasks, statistics)
    expected = plain_outputs_by_step(trainer, adaptation, tasks, statistics, trainer.learner.kept, drawn)
    assert len(found) == len(expected) == adaptation.steps + 1
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert near(one, other, float(other.norm())), number


def moved_names(trainer: Trainer, plain: PlainTrainer) -> set[str]:
    parameters = trainer.learner.meta_parameters
    return {name for name, start in plain.start.items() if not torch.equal(parameters[name], start)}


# Learned rates


def rate_cases() -> Iterator:
    for learned in ("parameter", "layer", "layer-step"):
        for order in (1, 2):
            for base in ("sine", "images", "normed"):
                keys = {"learned_rates": learned, "order": order}
                yield pytest.param(base, keys, id=f"{base}-{learned}-{order}")
    for learned, parameters in (("parameter", "head"), ("layer-step", "body"), ("layer", ["conv[23]*"])):
        keys = {"learned_rates": learned, "parameters": parameters, "constant_memory": True}
        yield pytest.param("pooled", keys, id=f"pooled-{learned}-part")
    keys = {"learned_rates": "layer-step", "loss_reduction": "sum", "head": "zero"}
    yield pytest.param("images", keys, id="images-zero-head")


@pytest.mark.parametrize(("base", "keys"), list(rate_cases()))
def test_learned_rates(base: str, keys: dict) -> None:
    """Meta-SGD (Li 2017), a rate a tensor, and a rate a tensor and step (Antoniou 2019); rates learn in first
    order too, and in testing the last step's hold."""
    spec = spec_of(BASES[base], inner(**keys), {"evaluation": {"steps": 5}})
    trainer, plain = same_training(spec)
    rates = {name for name in plain.start if name.startswith("rates.")}
    assert {name.removeprefix("rates.") for name in rates} <= {*plain.start, *HEAD}
    assert all(adapts(name.removeprefix("rates."), spec.adaptation.parameters) for name in rates)
    idle = {name for name in rates if undetermined_rate(spec, name)}
    assert rates - idle <= moved_names(trainer, plain)
    same_testing(trainer)


def undetermined_rate(spec: Spec, name: str) -> bool:
    return spec.model.norm == "batch" and "linear" in name and name.endswith("bias")


@pytest.mark.parametrize("learned", ["parameter", "layer", "layer-step"])
def test_learned_rates_under_adam_outside(learned: str) -> None:
    same_training(spec_of(SINE, inner(learned_rates=learned), ADAM))
    same_training(spec_of(POOLED, inner(learned_rates=learned), ADAM))


def test_learned_rates_start_where_the_spec_says() -> None:
    """One number, or drawn from a range by the run's seed, one for each rate."""
    for learned, shape in (("parameter", (8, 8)), ("layer", ()), ("layer-step", (3,))):
        one = trainer_of(spec_of(SINE, inner(learned_rates=learned)), shaken=False).learner
        assert torch.equal(one.meta_parameters["rates.linear2.weight"], torch.full(shape, 0.02).double())
        drawn = []
        for seed in (5, 5, 6):
            spec = spec_of({**SINE, "seed": seed}, inner(learned_rates=learned, learning_rate=[0.005, 0.1]))
            learner = trainer_of(spec, shaken=False).learner
            rates = [p.flatten() for n, p in learner.meta_parameters.items() if n.startswith("rates.")]
            drawn.append(torch.cat(rates))
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])
        assert len(set(drawn[0].tolist())) == len(drawn[0])
        assert all(0.005 <= rate <= 0.1 for rate in drawn[0].tolist())
        if learned == "parameter":
            assert float(drawn[0].mean()) == pytest.approx(0.0525, abs=0.01)
            assert float(drawn[0].std()) == pytest.approx(0.095 / 12**0.5, rel=0.15)


# Multi-step loss


def test_multi_step_weights_by_hand() -> None:
    """Five steps, until 15 of 100, floor 0.03: the released code's numbers at its epochs 0, 5, 14 and 15."""
    multi_step = MultiStep(until=0.15, floor=0.03)
    for done, earlier in ((0.0, 0.2), (0.05, 0.2 * 2 / 3), (0.14, 0.2 / 15), (0.149, 0.006), (0.15, 0.0)):
        weights = released_weights(5, done, multi_step)
        assert weights == pytest.approx([earlier] * 4 + [1 - 4 * earlier])


@pytest.mark.parametrize("constant_memory", [False, True])
@pytest.mark.parametrize("keys", [{}, {"order": 1}, ANNEALED], ids=["second", "first", "annealed"])
@pytest.mark.parametrize("base", ["sine", "images"])
def test_multi_step_loss(base: str, keys: dict, constant_memory: bool) -> None:
    """Six iterations: equal weights, falling ones, the floor, and after 5/6 the last alone."""
    multi_step = {"until": 0.8, "floor": 0.6}
    weights = [released_weights(3, i / 6, MultiStep(**multi_step))[0] * 3 for i in range(6)]
    assert weights == pytest.approx([1, 1 - 1 / 4.8, 0.6, 0.6, 0.6, 0])
    keys = {**keys, "loss": "multi-step", "multi_step": multi_step, "constant_memory": constant_memory}
    same_training(spec_of(BASES[base], inner(**keys)), 6)


def test_multi_step_loss_under_adam_outside() -> None:
    keys = {"loss": "multi-step", "multi_step": {"until": 0.4, "floor": 0.03}, "learned_rates": "layer-step"}
    same_training(spec_of(POOLED, inner(**keys), ADAM), 4)


# Norms of each step


def norm_cases() -> Iterator:
    for base in ("normed", "images", "pooled"):
        for keys in ({}, {"order": 1}, {"loss": "multi-step", "constant_memory": True}):
            label = "-".join([base, *map(str, keys.values())])
            yield pytest.param(base, {"steps": 2 if base == "pooled" else 3, **keys}, id=label)


@pytest.mark.parametrize(("base", "keys"), list(norm_cases()))
def test_norms_of_each_step(base: str, keys: dict) -> None:
    """BNWB and BNRS: sets by step in training, in testing beyond it, and with running statistics."""
    spec = spec_of(BASES[base], inner(**NORMS, **keys), {"evaluation": {"steps": 5, "statistics": "running"}})
    trainer, plain = same_training(spec)
    same_testing(trainer, "query")
    same_testing(trainer, "running")
    # In first order the support pass is held constant: only queries reach the norms.
    reached = spec.adaptation.order == 2 or spec.adaptation.loss == "multi-step"
    for name, start in plain.start.items():
        if name.startswith("norm"):
            sets = (trainer.learner.meta_parameters[name] != start).any(1).tolist()
            assert sets == [reached] * (spec.adaptation.steps - 1) + [True], name


@pytest.mark.parametrize("parameters", ["all", "body", "head"])
def test_norms_of_each_step_do_not_adapt(parameters: str) -> None:
    spec = spec_of(IMAGES, inner(per_step_norms=True, parameters=parameters, learned_rates="layer"), ADAM)
    trainer, _ = same_training(spec)
    rule = trainer.rule
    state = rule.start(trainer.learner.meta_parameters, batch(trainer, 0))
    assert state
    assert not [name for name in state if "norm" in name]
    assert not [name for name in trainer.learner.meta_parameters if name.startswith("rates.norm")]


@pytest.mark.parametrize(
    ("base", "keys"),
    [
        ("normed", {}),
        ("images", {"parameters": "head"}),
        ("images", {"loss": "multi-step", "multi_step": {"until": 0.3}}),
        ("pooled", {"constant_memory": True, "steps": 1}),
    ],
    ids=["adapting", "head", "multi-step", "one-step"],
)
def test_running_statistics_alone(base: str, keys: dict) -> None:
    """One scale and shift, statistics by step; testing by them normalises support and queries alike."""
    spec = spec_of(BASES[base], inner(running_statistics=True, **keys), {"evaluation": {"steps": 4}})
    trainer, _ = same_training(spec)
    assert all(len(each) == spec.adaptation.steps for each in trainer.learner.kept.values())
    same_testing(trainer, "running")
    tasks, adaptation = trainer.learner.tasks.episodes("test", torch.arange(2)), adaptation_in_testing(spec)
    by_batch, by_running = (
        engine_outputs(trainer, adaptation, "test", tasks, statistics) for statistics in ("query", "running")
    )
    assert not torch.allclose(by_batch[0], by_running[0], rtol=1e-3)


def test_only_training_writes_running_statistics() -> None:
    """Validation, recorded probes, portions of a batch and recomputation leave them as they are."""
    ends = []
    for record_every, at_once, constant in ((1, 3, False), (1000, 3, False), (1000, 2, False), (1, 3, True)):
        rest = {"record_every": record_every, "tasks_at_once": at_once, "validation": {"episodes": 4}}
        keys = inner(**NORMS, constant_memory=constant)
        trainer = trainer_of(spec_of(IMAGES, keys, {"training": rest}))
        for _ in range(3):
            trainer.step()
        before = copied(trainer.learner.kept)
        trainer.validate()
        assert all(torch.equal(before[name], each) for name, each in trainer.learner.kept.items())
        ends.append(before)
    for name, expected in ends[0].items():
        assert torch.equal(ends[1][name], expected)
        assert near(ends[2][name], expected, float(expected.norm()), 1e-12)
        assert torch.equal(ends[3][name], expected)


@pytest.mark.parametrize("base", ["normed", "images"])
def test_running_statistics_of_joint_training(base: str) -> None:
    """One set, moved by each batch's own mean and unbiased variance; every step of testing uses it."""
    keys = {"rule": "none", "running_statistics": True, "steps": 1}
    later = {"rule": "gradient", "steps": 2, "learning_rate": 0.1, "head": "zero"}
    later |= {} if base == "images" else {"head": "learned"}
    layers = [inner(**keys), {"outer": {"rule": "joint"}}]
    layers += [{"evaluation": {"adaptation": later}, "training": {"validation": {"adaptation": later}}}]
    base_spec = BASES[base]
    layers[-1]["training"] |= {"examples_per_batch": 14}
    trainer = trainer_of(spec_of(base_spec, *layers))
    plain = PlainTrainer(trainer)
    for iteration in range(3):
        x, y = trainer.learner.tasks.examples(torch.arange(iteration * 14, (iteration + 1) * 14))[:2]
        trainer.step()
        plain.joint_step(x[0], y[0])
    for name, expected in plain.kept.items():
        assert len(expected) == 1
        assert near(trainer.learner.kept[name], expected, float(expected.norm()))
    for name, expected in plain.parameters.items():
        moved = float((expected - plain.start[name]).norm())
        assert near(trainer.learner.meta_parameters[name], expected, moved), name
    same_testing(trainer, "running")


# Updates


def update_cases() -> Iterator:
    adam = {"update": "adam", "learning_rate": 0.01}
    for base in ("sine", "images"):
        for order in (1, 2):
            momentum = {"update": "momentum", "momentum": 0.7}
            kinds = {"momentum": momentum, "adam": adam, "adam-0": {**adam, "betas": [0, 0.999]}}
            for label, keys in kinds.items():
                yield pytest.param(base, {**keys, "order": order}, id=f"{base}-{label}-{order}")
    keys = {**adam, "parameters": "head", "constant_memory": True}
    yield pytest.param("images", keys, id="images-adam-head")
    keys = {**adam, "loss": "multi-step", "learned_rates": "parameter"}
    yield pytest.param("pooled", keys, id="pooled-adam-rates")
    for learned in ("layer", "layer-step"):
        keys = {"update": "momentum", "learned_rates": learned}
        yield pytest.param("normed", keys, id=f"normed-momentum-{learned}")


@pytest.mark.parametrize(("base", "keys"), list(update_cases()))
def test_updates(base: str, keys: dict) -> None:
    """Momentum, and Adam with its bias corrections; second order goes through the moments."""
    trainer, _ = same_training(spec_of(BASES[base], inner(**keys), {"evaluation": {"steps": 5}}))
    same_testing(trainer)


@pytest.mark.parametrize("keys", [{"update": "momentum"}, {"update": "adam", "learning_rate": 0.01}])
def test_updates_under_adam_outside(keys: dict) -> None:
    same_training(spec_of(SINE, inner(**keys), ADAM))


def test_adam_where_no_gradient_comes() -> None:
    """Units that are dead on every example have second moments of zero, whose root has no slope."""
    spec = spec_of(SINE, inner(update="adam", learning_rate=0.01))
    trainer = trainer_of(spec)
    trainer.learner.meta_parameters["linear1.bias"][:3] = -50.0
    plain = PlainTrainer(trainer)
    for iteration in range(2):
        plain.step(batch(trainer, iteration))
        trainer.step()
    for name, expected in plain.parameters.items():
        moved = float((expected - plain.start[name]).norm())
        assert near(trainer.learner.meta_parameters[name], expected, moved), name


# Mini-batches


@pytest.mark.parametrize(("base", "size"), [("sine", 4), ("sine", 5), ("images", 2), ("images", 4)])
def test_mini_batches_take_every_example_equally_often(base: str, size: int) -> None:
    spec = spec_of(BASES[base], inner(batch=size, steps=9), {"training": {"tasks_per_batch": 12}})
    trainer = trainer_of(spec)
    tasks = batch(trainer, 0)
    drawn = draws_of(trainer.learner, spec.adaptation, "train", tasks)
    for chain in drawn:
        counts = [0] * tasks.support_x.shape[1]
        for chosen in chain:
            assert len(chosen) == size
            for example in chosen:
                counts[example] += 1
            assert max(counts) - min(counts) <= 1
    # Tasks and passes through the support set have orders of their own, and every place comes first at times.
    assert len({tuple(map(tuple, chain)) for chain in drawn}) == len(drawn)
    assert len({chain[0][0] for chain in drawn}) > 2


def test_mini_batches_depend_on_task_and_step_alone() -> None:
    """Not on what else is in the batch, how many steps there are, or what was trained before."""
    spec = spec_of(SINE, inner(batch=4, steps=6))
    trainer = trainer_of(spec)
    learner = trainer.learner
    every = {int(i): learner.tasks.episodes("train", torch.tensor([i])) for i in range(6)}
    alone = {i: draws_of(learner, spec.adaptation, "train", task)[0] for i, task in every.items()}
    trainer.step()
    order = [4, 1, 5]
    tasks = learner.tasks.episodes("train", torch.tensor(order))
    shorter = spec.adaptation.model_copy(update={"steps": 2})
    assert draws_of(learner, spec.adaptation, "train", tasks) == [alone[i] for i in order]
    assert draws_of(learner, shorter, "train", tasks) == [alone[i][:2] for i in order]


@pytest.mark.parametrize(
    ("base", "keys"),
    [
        ("sine", {"batch": 4}),
        ("sine", {"batch": 4, "order": 1, "learned_rates": "parameter"}),
        ("images", {"batch": 4, "constant_memory": True, "loss": "multi-step", **NORMS}),
        ("images", {"batch": 5, "update": "adam", "learning_rate": 0.01, "betas": [0, 0.999]}),
    ],
    ids=["sine", "rates", "norms", "adam"],
)
def test_mini_batches(base: str, keys: dict) -> None:
    """The gradient is that of the examples drawn, which normalise each other; in testing too."""
    trainer, _ = same_training(spec_of(BASES[base], inner(**keys), {"evaluation": {"steps": 5}}))
    same_testing(trainer)


# Moments carried, and Reptile

REPTILE = {"outer": {"rule": "interpolate", "learning_rate": 0.8, "schedule": "linear"}}
CARRIED = {"update": "adam", "moments": "carried", "learning_rate": 0.01, "betas": [0, 0.999]}


def reptile_cases() -> Iterator:
    for base in ("sine", "images", "pooled"):
        yield pytest.param(base, {}, id=f"{base}-sgd")
        yield pytest.param(base, {**CARRIED, "batch": 4}, id=f"{base}-carried")
    yield pytest.param("images", {**CARRIED, "moments": "reset"}, id="images-reset")
    yield pytest.param("sine", {**CARRIED, "betas": [0.9, 0.99]}, id="sine-first-moments")
    yield pytest.param("images", {"parameters": "head"}, id="images-head")
    yield pytest.param("images", {"parameters": ["conv2*", "head.*"], **CARRIED}, id="images-names")
    yield pytest.param("images", {**CARRIED, "head": "zero"}, id="images-zero-head")
    yield pytest.param("images", {**CARRIED, "running_statistics": True}, id="images-running")


@pytest.mark.parametrize(("base", "keys"), list(reptile_cases()))
def test_reptile(base: str, keys: dict) -> None:
    """φ ← φ + ε (mean of the adapted − φ), ε falling to 0 (Nichol 2018); testing goes on from the moments."""
    spec = spec_of(BASES[base], inner(**keys), REPTILE, {"evaluation": {"steps": 5}})
    trainer, plain = same_training(spec)
    adapting = {name for name in plain.start if adapts(name, spec.adaptation.parameters)}
    assert moved_names(trainer, plain) == adapting
    same_testing(trainer)
    if spec.adaptation.moments == "carried":
        assert float(trainer.learner.kept["second.steps"]) == 9.0


@pytest.mark.parametrize("later", [{"parameters": "all"}, {"moments": "reset"}, {"update": "sgd"}])
def test_testing_that_differs_from_carried_training(later: dict) -> None:
    """What adapts in testing alone has moments that begin there, and their bias is corrected so."""
    evaluation = {"evaluation": {"steps": 4, "adaptation": later}}
    spec = spec_of(IMAGES, inner(**CARRIED, parameters="head"), REPTILE, evaluation)
    same_testing(same_training(spec)[0])


def test_reptile_under_adam_outside() -> None:
    same_training(spec_of(POOLED, inner(**CARRIED), REPTILE, ADAM))


@pytest.mark.parametrize("order", [1, 2])
def test_carried_moments_under_the_meta_gradient(order: int) -> None:
    """What the last batch left is a constant of the meta-gradient."""
    trainer, _ = same_training(spec_of(IMAGES, inner(**CARRIED, order=order)))
    same_testing(trainer)


def test_carried_moments_are_the_mean_over_all_portions() -> None:
    ends = []
    for at_once in (3, 2):
        training = {"training": {"tasks_at_once": at_once}}
        trainer = trainer_of(spec_of(SINE, inner(**CARRIED), REPTILE, training))
        for _ in range(3):
            trainer.step()
        trainer.validate()
        ends.append(trainer.learner.kept | trainer.learner.meta_parameters)
    assert all(near(ends[1][n], expected, float(expected.norm()), 1e-12) for n, expected in ends[0].items())


@pytest.mark.parametrize("outer", [{}, REPTILE], ids=["meta-gradient", "interpolate"])
def test_what_is_kept_goes_on_from_a_checkpoint(outer: dict) -> None:
    """Running statistics, carried moments and the draws of mini-batches: the same bytes after a resume."""
    spec = spec_of(IMAGES, inner(**CARRIED, batch=4, running_statistics=True), outer)
    whole, resumed = trainer_of(spec), trainer_of(spec)
    for _ in range(2):
        whole.step()
    data = pack(whole.state())
    resumed.step()
    resumed.load(unpack(data, CPU, "the checkpoint"))
    for trainer in (whole, resumed):
        for _ in range(2):
            trainer.step()
    assert pack(whole.state()) == pack(resumed.state())


def test_a_batch_done_again_in_portions_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory ran out, what was observed until then is let go."""
    walk, sizes, ends = engine.training.meta_gradient, [], []

    def narrow(rule, meta_parameters, task, **rest):
        sizes.append(len(task.support_x))
        if len(sizes) == 2:
            raise torch.OutOfMemoryError("too much")
        return walk(rule, meta_parameters, task, **rest)

    for run in (walk, narrow):
        monkeypatch.setattr(engine.training, "meta_gradient", run)
        trainer = trainer_of(spec_of(IMAGES, inner(**NORMS, **CARRIED), {"training": {"tasks_at_once": 2}}))
        trainer.step()
        ends.append(trainer.learner.kept | trainer.learner.meta_parameters)
    assert sizes == [2, 1, 1, 1, 1]
    assert all(near(ends[1][n], expected, float(expected.norm()), 1e-12) for n, expected in ends[0].items())


# Stored heads that the outer loop moves


@pytest.mark.parametrize(
    ("keys", "layers"),
    [
        ({"steps": 0}, []),
        ({"steps": 2}, []),
        ({"steps": 2, "order": 1}, []),
        ({"new_head": "random", "parameters": "body"}, [ADAM]),
    ],
    ids=["no-steps", "second", "first", "adam"],
)
@pytest.mark.parametrize("base", ["sine", "images"])
def test_stored_heads_moved_by_the_outer_loop(base: str, keys: dict, layers: list[dict]) -> None:
    """Only the rows of the tasks that came have a gradient; a task that comes twice has both."""
    later = {"adaptation": {"steps": 2, "parameters": "all"}}  # a new task's head is zero
    training = {"training": {"tasks": 8, "validation": later}, "evaluation": later}
    spec = spec_of(BASES[base], inner(head="stored", stored_heads="outer", **keys), training, *layers)
    trainer, plain = same_training(spec)
    visits = [int(i) for iteration in range(3) for i in batch(trainer, iteration).identity]
    came = set(visits)
    assert len(came) < min(len(visits), 8)
    table = trainer.learner.meta_parameters["stored.head.bias"]
    start = plain.start["stored.head.bias"]
    assert {row for row in range(8) if not torch.equal(table[row], start[row])} == came


# Switches that are off, negative rates, and all together


def digest(parameters: Parameters) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(parameters.items()):
        whole.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return whole.hexdigest()


def trained(spec: Spec, iterations: int = 3) -> str:
    trainer = trainer_of(spec)
    for _ in range(iterations):
        trainer.step()
    return digest(trainer.learner.meta_parameters)


@pytest.mark.parametrize("base", list(BASES))
@pytest.mark.parametrize("keys", [{}, {"order": 1}], ids=["second", "first"])
def test_with_every_switch_off_it_is_maml(base: str, keys: dict) -> None:
    """The loop over tasks has its switches off too, and computes what MAML's paper says."""
    trainer, plain = same_training(spec_of(BASES[base], inner(**keys)))
    assert plain.kept == trainer.learner.kept == {}
    assert set(plain.parameters) == set(trainer.learner.meta_parameters)
    assert not [name for name in plain.parameters if name.startswith(("rates.", "stored.", "second."))]


@pytest.mark.parametrize("base", ["sine", "images"])
@pytest.mark.parametrize(
    "keys",
    [
        {"betas": [0.5, 0.6], "momentum": 0.2, "multi_step": {"until": 0.9}, "new_head": "random"},
        {"ridge": {"lambda": 9.0}, "svm": {"c": 9.0}, "distance": "cosine", "context_steps": 2},
        {"batch": 6},
        {"batch": 1000},
    ],
    ids=["other-switches", "other-rules", "whole-batch", "larger-batch"],
)
def test_what_no_switch_reads_changes_no_byte(base: str, keys: dict) -> None:
    """Keys that only matter where another one is on, and batches that hold all six support examples."""
    content = {**BASES[base], "adaptation": {**BASES[base]["adaptation"], **keys}}
    assert trained(Spec.model_validate(content)) == trained(spec_of(BASES[base]))


@pytest.mark.parametrize("base", ["normed", "images", "pooled"])
@pytest.mark.parametrize(
    "keys",
    [{}, {"constant_memory": True, "loss": "multi-step"}, {"per_step_norms": True}, {"order": 1, "batch": 4}],
    ids=["alone", "multi-step", "norms", "batch"],
)
def test_running_statistics_change_no_byte_of_training(base: str, keys: dict) -> None:
    ends = [trained(spec_of(BASES[base], inner(**keys, running_statistics=on))) for on in (True, False)]
    assert ends[0] == ends[1]


def test_a_negative_inner_rate() -> None:
    same_training(spec_of(IMAGES, inner(learning_rate=-0.2)))
    keys = {"learning_rate": -0.01, "update": "momentum", "order": 1}
    same_training(spec_of(SINE, inner(**keys), ADAM))


@pytest.mark.parametrize("update", ["momentum", "adam"])
def test_the_slope_of_the_loss_by_everything_learned(update: str) -> None:
    """Central differences along random directions, through updates, rates and norms of each step; short ones,
    since Adam turns at a gradient of zero."""
    keys = {"update": update, "learned_rates": "layer-step", "per_step_norms": True, "batch": 5}
    trainer = trainer_of(spec_of(IMAGES, inner(**keys, learning_rate=0.02)))
    tasks, parameters = batch(trainer, 0), trainer.learner.meta_parameters
    generator = torch.Generator().manual_seed(4)

    def walk(values: Parameters) -> MetaGradient:
        return meta_gradient(trainer.rule, values, tasks, second_order=True, constant_memory=False)

    gradient = walk(parameters).gradient
    for prefix in ("rates.", "norm", "conv", "head"):
        names = [name for name in parameters if name.startswith(prefix)]
        directions = {n: torch.randn(parameters[n].shape, generator=generator).double() for n in names}
        losses = []
        for sign in (1, -1):
            aside = parameters | {n: parameters[n] + sign * 1e-8 * d for n, d in directions.items()}
            losses.append(walk(aside).query_loss.mean().item())
        expected = sum((gradient[n] * d).sum().item() for n, d in directions.items())
        assert (losses[0] - losses[1]) / 2e-8 == pytest.approx(expected, rel=1e-4), prefix


@pytest.mark.parametrize("base", ["normed", "images"])
@pytest.mark.parametrize("constant_memory", [False, True])
def test_several_switches_together(base: str, constant_memory: bool) -> None:
    """MAML++ (Antoniou 2019): MSL, DA, BNWB, BNRS, LSLR and a cosine schedule, through all of training."""
    keys = {
        "learned_rates": "layer-step",
        "loss": "multi-step",
        "multi_step": {"until": 0.6, "floor": 0.03},
        "constant_memory": constant_memory,
        **ANNEALED,
        **NORMS,
    }
    outer = {"outer": {**BASES[base]["outer"], "schedule": "cosine", "final_learning_rate": 1e-4}}
    later = {"evaluation": {"steps": 5, "statistics": "running"}}
    trainer, _ = same_training(spec_of(BASES[base], inner(**keys), outer, later), 6)
    same_testing(trainer, "running")
    same_testing(trainer, "query")
