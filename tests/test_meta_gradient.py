"""The meta-gradient, in float64, against a plain loop over tasks and against finite differences."""

import itertools
import random
from collections.abc import Iterator

import pytest
import torch
from plain_loop import (
    CPU,
    HEAD,
    PlainWalk,
    adapts,
    close,
    image_tasks,
    moved,
    packed_images,
    plain_meta_gradient,
)

from engine.adaptation import MetaGradient, meta_gradient
from engine.adaptation.heads import STORED
from engine.learner import Learner
from engine.presets.schema import Spec
from engine.tasks import Episodes, TaskDistribution, training_shape
from engine.tasks.sine import Sine

TASKS = 3
PATTERNS = {"conv4": ["conv*", "head.*"], "mlp": ["linear*", "head.*"]}
CONV_BODIES = [
    {"name": "conv4", "filters": 4, "pooling": pooling, "norm": norm, "features": features}
    for pooling in ("max", "stride")
    for norm in ("batch", "none")
    for features in ("flatten", "mean")
]
MLP_BODIES = [{"name": "mlp", "hidden": [7, 6], "norm": norm} for norm in ("batch", "none")]


class Case:
    """A learner, a batch of tasks, and the starts of their heads where the loop cannot know them."""

    def __init__(self, model: dict, kind: str, adaptation: dict, size: int = 16) -> None:
        task = {"dataset": "glyphs", "ways": 5, "shots": 2, "queries": 3} if kind == "classes" else None
        spec = {
            "task": task or {"dataset": "sine", "shots": 5, "queries": 7},
            "model": model,
            "adaptation": adaptation,
            "training": {"tasks": 6} if adaptation.get("head") == "stored" else {},
            "seed": 3,
        }
        self.spec = Spec.model_validate(spec)
        self.tasks: TaskDistribution
        if kind == "classes":
            packed = packed_images({"train": [8] * 9, "validation": [8] * 6, "test": [8] * 6}, size=size)
            self.tasks = image_tasks(self.spec, packed)
        else:
            self.tasks = Sine(
                self.spec.task, training_shape(self.spec), 3, 0, self.spec.training.tasks, CPU, torch.float64
            )
        self.learner = Learner(self.spec, self.tasks, CPU, torch.float64)
        self.meta_parameters = moved(self.learner.meta_parameters)
        self.episodes = self.tasks.episodes("train", torch.arange(TASKS) + 11)
        generator = torch.Generator().manual_seed(1)
        self.table = {
            n.removeprefix(STORED): torch.randn(t.shape, generator=generator, dtype=torch.float64)
            for n, t in self.learner.kept.items()
        }

    def walk(self, constant_memory: bool = False, meta_parameters: dict | None = None) -> MetaGradient:
        for name, heads in self.table.items():
            self.learner.kept[STORED + name].copy_(heads)
        return meta_gradient(
            self.learner.training_rule(),
            meta_parameters or self.meta_parameters,
            self.episodes,
            second_order=self.spec.adaptation.order == 2,
            constant_memory=constant_memory,
        )

    def heads(self, walk: MetaGradient) -> dict[str, torch.Tensor] | None:
        """The starts of heads that are constants: zero, a table's rows, or what was drawn."""
        outputs, size = self.tasks.outputs("train"), self.learner.body.feature_size
        if self.spec.adaptation.head == "zero":
            shapes = zip(HEAD, [(TASKS, outputs, size), (TASKS, outputs)], strict=True)
            return {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes}
        if self.spec.adaptation.head == "stored":
            return {n: torch.stack([self.table[n][int(i)] for i in self.episodes.identity]) for n in HEAD}
        if self.spec.adaptation.head == "random":
            return {name: walk.states[0][name] for name in HEAD}
        return None

    def loop(self, walk: MetaGradient) -> PlainWalk:
        adaptation, second = self.spec.adaptation, self.spec.adaptation.order == 2
        heads = self.heads(walk)
        return plain_meta_gradient(
            self.spec.model, adaptation, self.meta_parameters, self.episodes, second, heads=heads
        )


def check(walk: MetaGradient, loop: PlainWalk) -> None:
    """Everything that the walk reports, name by name."""
    assert set(walk.gradient) == set(loop.gradient)
    whole = max(1.0, *(float(gradient.norm()) for gradient in loop.gradient.values()))
    for name, expected in loop.gradient.items():
        found = walk.gradient[name]
        assert close(found, expected) or float((found - expected).norm()) < 1e-12 * whole, name
    assert close(walk.query_loss, loop.query_loss)
    assert close(walk.support_loss, loop.support_loss)
    assert close(walk.norms, loop.norms)
    for step, state in enumerate(walk.states):
        for name in loop.states[0][step]:
            expected = torch.stack([states[step][name] for states in loop.states])
            found = state[name].expand_as(expected)
            # What nothing moved is zero up to the order of its sums.
            assert close(found, expected) or float((found - expected).norm()) < 1e-15, (step, name)


def gradient_cases() -> Iterator:
    """Every body with every choice of what adapts, both orders, one and three steps.

    The other switches are drawn by a fixed seed, so that each of their values meets every body.
    """
    dice = random.Random(7)
    bodies = [(m, "classes") for m in CONV_BODIES + MLP_BODIES] + [(m, "values") for m in MLP_BODIES]
    for (model, kind), parameters, order, steps in itertools.product(
        bodies, ["all", "head", "body", "names"], [1, 2], [1, 3]
    ):
        if model["name"] == "conv4" and model["features"] == "flatten" and (order, steps) == (1, 1):
            continue
        starts = ["learned", "zero", "means", "random", "stored"]
        head = dice.choice(starts if kind == "classes" else [s for s in starts if s != "means"])
        adaptation = {
            "parameters": PATTERNS[model["name"]] if parameters == "names" else parameters,
            "order": order,
            "steps": steps,
            "head": head,
            "learning_rate": dice.choice([0.4, 0.1, -0.2]),
            "loss_reduction": dice.choice(["mean", "sum"]),
        }
        if adaptation["loss_reduction"] == "sum":
            adaptation["learning_rate"] /= 10
        named = [model["name"], *(str(model.get(k, "")) for k in ("pooling", "norm", "features")), kind]
        label = "-".join([*filter(None, named), parameters, f"order{order}", f"{steps}steps", head])
        yield pytest.param(model, kind, adaptation, dice.random() < 0.5, id=label)


@pytest.mark.parametrize(("model", "kind", "adaptation", "constant_memory"), list(gradient_cases()))
def test_walk_agrees_with_the_loop(model: dict, kind: str, adaptation: dict, constant_memory: bool) -> None:
    case = Case(model, kind, adaptation)
    walk = case.walk(constant_memory)
    check(walk, case.loop(walk))


@pytest.mark.parametrize("head", ["learned", "zero", "means", "random", "stored"])
@pytest.mark.parametrize("parameters", ["all", "head", "body", "names"])
@pytest.mark.parametrize("order", [1, 2])
def test_every_head_with_every_choice_of_what_adapts(head: str, parameters: str, order: int) -> None:
    adaptation = {"head": head, "order": order, "steps": 2, "learning_rate": 0.3}
    adaptation["parameters"] = PATTERNS["conv4"] if parameters == "names" else parameters
    case = Case({"name": "conv4", "filters": 3, "pooling": "stride"}, "classes", adaptation)
    walk = case.walk()
    check(walk, case.loop(walk))


@pytest.mark.parametrize(
    ("norm", "pattern"),
    [
        ("batch", "conv2.*"),
        ("batch", "norm*"),
        ("batch", "norm3.scale"),
        ("batch", "head.bias"),
        ("batch", "*[14].weight"),
        ("none", "*.bias"),
        ("none", "conv[12].bias"),
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_some_layers_adapt_and_others_are_shared(norm: str, pattern: str, order: int) -> None:
    """Own and shared parameters side by side, in one layer too."""
    for pooling in ("max", "stride"):
        model = {"name": "conv4", "filters": 3, "pooling": pooling, "norm": norm}
        case = Case(
            model, "classes", {"parameters": [pattern], "order": order, "steps": 2, "learning_rate": 0.4}
        )
        walk = case.walk()
        assert set(walk.states[0]) == {name for name in case.meta_parameters if adapts(name, (pattern,))}
        check(walk, case.loop(walk))


def finite_difference_cases() -> Iterator:
    for model in (CONV_BODIES[0], CONV_BODIES[5], CONV_BODIES[6], *MLP_BODIES):
        for head, steps in (("learned", 3), ("means", 1), ("stored", 3), ("random", 1)):
            for parameters in ("all", "body") if head != "learned" else ("all", "head", "names"):
                chosen = PATTERNS[model["name"]] if parameters == "names" else parameters
                adaptation = {"head": head, "steps": steps, "learning_rate": 0.2, "parameters": chosen}
                name = "-".join([model["name"], model.get("pooling", ""), model["norm"], head, parameters])
                yield pytest.param(model, "classes", adaptation, id=name)
    for model in MLP_BODIES:
        for parameters, rate in (("all", 0.05), ("head", 0.05), ("body", -0.02)):
            adaptation = {"steps": 3, "learning_rate": rate, "parameters": parameters}
            yield pytest.param(model, "values", adaptation, id=f"sine-{model['norm']}-{parameters}")


@pytest.mark.parametrize(("model", "kind", "adaptation"), list(finite_difference_cases()))
def test_second_order_is_the_slope_of_the_loss(model: dict, kind: str, adaptation: dict) -> None:
    """Central differences of the mean query loss along random directions."""
    case = Case(model, kind, adaptation)
    gradient = case.walk().gradient
    generator = torch.Generator().manual_seed(5)
    for _ in range(2):
        direction = {
            n: torch.randn(p.shape, generator=generator, dtype=torch.float64)
            for n, p in case.meta_parameters.items()
        }
        length = sum(float((d * d).sum()) for d in direction.values()) ** 0.5
        losses = []
        for sign in (1, -1):
            aside = {n: p + sign * 1e-6 / length * direction[n] for n, p in case.meta_parameters.items()}
            losses.append(float(case.walk(meta_parameters=aside).query_loss.mean()))
        slope = (losses[0] - losses[1]) / 2e-6
        expected = sum(float((gradient[n] * d).sum()) for n, d in direction.items() if n in gradient) / length
        whole = sum(float((g * g).sum()) for g in gradient.values()) ** 0.5
        assert abs(slope - expected) < 1e-5 * abs(expected) + 1e-6 * whole


@pytest.mark.parametrize(
    "model", [CONV_BODIES[0], CONV_BODIES[1], CONV_BODIES[3]], ids=["batch", "mean", "none"]
)
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("size", [16, 28])
def test_ties_of_drawings_with_large_blank_regions(model: dict, order: int, size: int) -> None:
    """Blank paper ties in every window of max-pooling; only one of the tied may pass the gradient on."""
    case = Case(model, "classes", {"order": order, "steps": 2, "learning_rate": 0.3}, size=size)
    sides = {}
    for side in ("support_x", "query_x"):
        x = getattr(case.episodes, side)
        drawn = torch.zeros_like(x)
        drawn[..., size // 2 : size // 2 + 3, 4:8] = (x[..., size // 2 : size // 2 + 3, 4:8] > 0.5).to(x)
        drawn[..., 2:7, 1:11] = 1.0
        sides[side] = drawn
    sides["query_x"][1, 0] = 0.0
    case.episodes = case.episodes._replace(**sides)
    windows = torch.nn.functional.unfold(sides["support_x"].flatten(0, 1), 2, stride=2)
    assert ((windows == windows[:, :1]).all(1)).double().mean() > 0.5
    walk = case.walk()
    check(walk, case.loop(walk))


def test_tasks_of_one_batch_do_not_touch_each_other() -> None:
    """A task's own loss, norms and adapted weights are the same whichever tasks stand beside it."""
    case = Case(CONV_BODIES[0], "classes", {"steps": 2, "learning_rate": 0.4})
    together = case.walk()
    whole: Episodes = case.episodes
    for t in range(TASKS):
        case.episodes = whole.rows(t, t + 1)
        alone = case.walk()
        assert close(alone.query_loss, together.query_loss[t : t + 1])
        assert close(alone.norms, together.norms[t : t + 1])
        for name, value in alone.states[-1].items():
            assert close(value[0], together.states[-1][name][t])


def test_orders_differ_where_they_should() -> None:
    """A walk that ignored the order would pass a test that compares it with itself."""
    second = Case(CONV_BODIES[4], "classes", {"steps": 3, "learning_rate": 0.4}).walk().gradient
    first = Case(CONV_BODIES[4], "classes", {"steps": 3, "learning_rate": 0.4, "order": 1}).walk().gradient
    difference = sum(float((second[n] - first[n]).norm()) for n in second)
    assert difference > 0.05 * sum(float(g.norm()) for g in second.values())


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_no_steps_is_plain_training(kind: str) -> None:
    """With k = 0 the meta-gradient is the gradient of the query loss at the start."""
    case = Case(MLP_BODIES[0], kind, {"steps": 0})
    walk = case.walk()
    check(walk, case.loop(walk))


@pytest.mark.parametrize("parameters", ["all", "head", "body", "names"])
def test_what_adapts_is_what_moves(parameters: str) -> None:
    """What does not adapt is in no state or stays at its start."""
    chosen = PATTERNS["conv4"] if parameters == "names" else parameters
    case = Case(CONV_BODIES[0], "classes", {"parameters": chosen, "learning_rate": 0.4})
    state = case.walk().states[-1]
    pattern = tuple(chosen) if isinstance(chosen, list) else chosen
    for name, start in case.meta_parameters.items():
        end = state[name] if name in state else start.expand(TASKS, *start.shape)
        assert adapts(name, pattern) == bool((end != start).any())


def test_constant_memory_changes_no_number() -> None:
    case = Case(CONV_BODIES[0], "classes", {"steps": 3, "learning_rate": 0.4})
    kept, made_anew = case.walk(), case.walk(constant_memory=True)
    for name, expected in kept.gradient.items():
        assert close(made_anew.gradient[name], expected, 1e-12)
    assert close(made_anew.norms, kept.norms, 1e-12)
