"""The inner loop's switches as the papers write them: one task at a time, one graph through the whole chain.

What a switch adds to the plain loop stands in one place each: rates (Li 2017; Antoniou 2019, LSLR), updates
(momentum; Adam, Kingma & Ba 2015), norms by inner step (Antoniou 2019, BNRS and BNWB), multi-step losses (the
same, as released), carried moments and interpolation (Nichol 2018).
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as functional
from plain_loop import CPU, HEAD, Parameters, adapts, image_tasks, moved, plain_loss
from torch import Tensor

from engine.evaluation import adapted_states
from engine.learner import Learner
from engine.presets.contradictions import contradiction
from engine.presets.schema import Adaptation, Model, MultiStep, Outer, Spec
from engine.tasks import Episodes, TaskDistribution, build_tasks
from engine.training import Trainer

MOMENTUM_OF_NORMS, EPSILON_OF_NORMS, EPSILON_OF_ADAM = 0.1, 1e-5, 1e-8
Draws = list[list[list[int]]]
"""The support examples of each task at each step."""

# Specs and what is trained by them


def spec_of(base: dict, *layers: dict) -> Spec:
    """A spec from sections laid over one another; one that the workbench would take."""
    content = {section: dict(keys) if isinstance(keys, dict) else keys for section, keys in base.items()}
    for layer in layers:
        for section, keys in layer.items():
            content[section] = {**content.get(section, {}), **keys}
    spec = Spec.model_validate(content)
    found = contradiction(spec)
    assert found is None, found
    return spec


def trainer_of(spec: Spec, shaken: bool = True) -> Trainer:
    """A trainer in float64, its meta-parameters moved off their special starts; learned rates half to one and
    a half times what the spec starts them at."""
    tasks: TaskDistribution
    if spec.task.dataset == "sine":
        tasks = build_tasks(spec, Path("/nonexistent"), CPU, torch.float64)
    else:
        tasks = image_tasks(spec)
    learner = Learner(spec, tasks, CPU, torch.float64)
    generator = torch.Generator().manual_seed(2)
    for name, value in moved(learner.meta_parameters).items() if shaken else ():
        if name.startswith("rates."):
            start = learner.meta_parameters[name]
            value = start * (0.5 + torch.rand(value.shape, generator=generator, dtype=torch.float64))
        learner.meta_parameters[name].copy_(value)
    return Trainer(learner)


def copied(tensors: Parameters) -> Parameters:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def batch(trainer: Trainer, iteration: int) -> Episodes:
    size = trainer.spec.training.tasks_per_batch
    return trainer.learner.tasks.episodes("train", torch.arange(iteration * size, (iteration + 1) * size))


# One task


@dataclass
class Own:
    """What a task has made its own after some steps: parameters, and Adam's or momentum's moments."""

    parameters: Parameters
    first: Parameters
    second: Parameters


@dataclass
class PlainTask:
    """One task's inner loop.

    `shared` are the meta-parameters, `kept` what outlives tasks. Passes are written into `observed[set,
    layer]` as (mean, unbiased variance) of what each normalised; with `running` they are normalised by what
    is kept.
    """

    model: Model
    adaptation: Adaptation
    shared: Parameters
    kept: Parameters
    task: Episodes
    place: int
    kind: str
    running: bool = False
    second_order: bool = True
    drawn: Draws | None = None
    observed: dict[tuple[int, str], list[tuple[Tensor, Tensor]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def outputs(self, own: Parameters, x: Tensor, norm_set: int) -> Tensor:
        """Logits or values `[B, O]`, normalised by the batch itself or by what is kept."""
        parameters, model = self.shared | own, self.model
        for layer in range(1, (4 if model.name == "conv4" else len(model.hidden)) + 1):
            if model.name == "conv4":
                weight, bias = parameters[f"conv{layer}.weight"], parameters.get(f"conv{layer}.bias")
                x = functional.conv2d(x, weight, bias, padding=1, stride=1 if model.pooling == "max" else 2)
            else:
                weight, bias = parameters[f"linear{layer}.weight"], parameters[f"linear{layer}.bias"]
                x = functional.linear(x.flatten(1), weight, bias)
            if model.norm == "batch":
                x = self.normalised(parameters, x, f"norm{layer}", norm_set)
            x = functional.relu(x)
            if model.name == "conv4" and model.pooling == "max":
                x = functional.max_pool2d(x, 2)
        x = x.mean((2, 3)) if model.name == "conv4" and model.features == "mean" else x.flatten(1)
        return functional.linear(x, *(parameters[name] for name in HEAD))

    def normalised(self, parameters: Parameters, x: Tensor, layer: str, norm_set: int) -> Tensor:
        over, shape = ((0, 2, 3), (1, -1, 1, 1)) if x.dim() == 4 else ((0,), (1, -1))
        scale, shift = parameters[f"{layer}.scale"], parameters[f"{layer}.shift"]
        if self.adaptation.per_step_norms:
            number = min(norm_set, len(scale) - 1)
            scale, shift = scale[number], shift[number]
        if self.running:
            means, variances = self.kept[f"running.{layer}.mean"], self.kept[f"running.{layer}.variance"]
            number = min(norm_set, len(means) - 1)
            mean, variance = means[number], variances[number]
        else:
            mean, variance = x.mean(over), x.var(over, unbiased=False)
            self.observed[norm_set, layer].append((mean.detach(), x.detach().var(over, unbiased=True)))
        centred = (x - mean.reshape(shape)) / (variance.reshape(shape) + EPSILON_OF_NORMS).sqrt()
        return centred * scale.reshape(shape) + shift.reshape(shape)

    def start(self) -> Own:
        """s[0]: the start of what adapts, and of the head where the task has its own."""
        own: Parameters = {}
        for name in self.shared:
            fixed = self.adaptation.per_step_norms and name.startswith("norm")
            extra = name.startswith(("rates.", "stored."))
            if adapts(name, self.adaptation.parameters) and not fixed and not extra:
                own[name] = self.shared[name] * 1
        if self.adaptation.head == "stored":
            row = int(self.task.identity[self.place])
            own |= {name: self.shared[f"stored.{name}"][row] for name in HEAD}
        if self.adaptation.head == "zero":
            outputs, size = int(self.task.support_y.max()) + 1, self.feature_size()
            own |= {HEAD[0]: torch.zeros(outputs, size).double(), HEAD[1]: torch.zeros(outputs).double()}
            own = {name: value.requires_grad_() for name, value in own.items()}
        zeros = {name: torch.zeros_like(value) for name, value in own.items()}
        second = {n: self.kept[f"second.{n}"] if self.carries(n) else zero for n, zero in zeros.items()}
        return Own(own, dict(zeros), second)

    def carries(self, name: str) -> bool:
        """Whether the second moment goes on from batch to batch: not for heads that each task makes anew."""
        return self.adaptation.moments == "carried" and f"second.{name}" in self.kept

    def feature_size(self) -> int:
        return self.model.hidden[-1] if self.model.name == "mlp" else self.model.filters

    def rate(self, name: str, step: int) -> Tensor | float:
        """α: the spec's, or learned for a tensor, a parameter, or a tensor and step (the last holds on)."""
        learned = self.adaptation.learned_rates
        if learned == "none":
            assert isinstance(self.adaptation.learning_rate, float)
            return self.adaptation.learning_rate
        rate = self.shared[f"rates.{name}"]
        return rate[min(step, len(rate) - 1)] if learned == "layer-step" else rate

    def step(self, own: Own, step: int) -> Own:
        x, y = self.task.support_x[self.place], self.task.support_y[self.place]
        if self.drawn is not None:
            chosen = self.drawn[self.place][step]
            x, y = x[chosen], y[chosen]
        outputs = self.outputs(own.parameters, x, step)
        loss = plain_loss(outputs, y, self.adaptation.loss_reduction)
        moving = [n for n in own.parameters if adapts(n, self.adaptation.parameters)]
        slopes = torch.autograd.grad(loss, [own.parameters[n] for n in moving], create_graph=True)
        after = Own(dict(own.parameters), dict(own.first), dict(own.second))
        for name, slope in zip(moving, slopes, strict=True):
            direction = self.direction(after, name, slope if self.second_order else slope.detach(), step)
            after.parameters[name] = own.parameters[name] - self.rate(name, step) * direction
        return after

    def direction(self, own: Own, name: str, slope: Tensor, step: int) -> Tensor:
        """What the rate is multiplied with; writes the moments."""
        adaptation = self.adaptation
        if adaptation.update == "momentum":
            own.first[name] = adaptation.momentum * own.first[name] + slope
            return own.first[name]
        if adaptation.update == "adam":
            one, two = adaptation.betas
            first = own.first[name] = one * own.first[name] + (1 - one) * slope
            second = own.second[name] = two * own.second[name] + (1 - two) * slope * slope
            before = float(self.kept["second.steps"]) if self.carries(name) else 0.0
            right = second / (1 - two ** (before + step + 1))
            # Where no gradient ever came the root has no slope; nothing is to go through it.
            root = torch.where(right > 0, right, torch.ones_like(right)).sqrt()
            root = torch.where(right > 0, root, torch.zeros_like(right))
            return first / (1 - one ** (step + 1)) / (root + EPSILON_OF_ADAM)
        return slope

    def chain(self, steps: int) -> list[Own]:
        """The states before and after each of so many steps."""
        states = [self.start()]
        for step in range(steps):
            states.append(self.step(states[-1], step))
        return states

    def query(self, own: Own, steps_done: int) -> Tensor:
        """Outputs for the query set after so many steps: by the norms of the last of them."""
        return self.outputs(own.parameters, self.task.query_x[self.place], max(steps_done - 1, 0))

    def query_loss(self, own: Own, steps_done: int) -> Tensor:
        return plain_loss(self.query(own, steps_done), self.task.query_y[self.place])


# The outer loop


def released_weights(steps: int, done: float, multi_step: MultiStep) -> list[float]:
    """Weights of the losses after steps 1..k at a fraction of training: `get_per_step_loss_importance_vector`
    of Antoniou's released code, with its epochs as a fraction."""
    if done >= multi_step.until:
        return [0.0] * (steps - 1) + [1.0]
    decay, floor = 1 / steps / multi_step.until, multi_step.floor / steps
    earlier = max(1 / steps - done * decay, floor)
    last = min(1 / steps + done * (steps - 1) * decay, 1 - (steps - 1) * floor)
    return [earlier] * (steps - 1) + [last]


def plain_rate(outer: Outer, done: float) -> float:
    first, last = outer.learning_rate, outer.final_learning_rate
    if outer.schedule == "cosine":
        return last + (first - last) * 0.5 * (1 + math.cos(math.pi * done))
    return first + (last - first) * done if outer.schedule == "linear" else first


class PlainTrainer:
    """The outer loop over `PlainTask`, beginning with copies of what an engine's trainer has."""

    def __init__(self, trainer: Trainer) -> None:
        self.spec, self.kind = trainer.spec, trainer.learner.tasks.kind
        self.parameters = copied(trainer.learner.meta_parameters)
        self.kept = copied(trainer.learner.kept)
        self.start = copied(self.parameters)
        self.iteration = 0
        self.first = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.second = copied(self.first)

    def step(self, episodes: Episodes, drawn: Draws | None = None) -> None:
        done = self.iteration / self.spec.training.iterations
        self.move(self.gradient(episodes, done, drawn), plain_rate(self.spec.outer, done))

    def move(self, gradient: Parameters, rate: float) -> None:
        """The outer optimizer: gradient descent, or Adam."""
        self.iteration += 1
        for name, slope in gradient.items():
            move = slope
            if self.spec.outer.optimizer == "adam":
                first = self.first[name] = 0.9 * self.first[name] + 0.1 * slope
                second = self.second[name] = 0.999 * self.second[name] + 0.001 * slope.square()
                root = (second / (1 - 0.999**self.iteration)).sqrt()
                move = first / (1 - 0.9**self.iteration) / (root + EPSILON_OF_ADAM)
            self.parameters[name] = self.parameters[name] - rate * move

    def joint_step(self, x: Tensor, y: Tensor) -> None:
        """One iteration of joint training on examples `x [B, ...]`, its running statistics with it."""
        shared = {name: p.clone().requires_grad_() for name, p in self.parameters.items()}
        one = torch.zeros(1, dtype=torch.int64)
        nowhere = Episodes(x, y, x, y, one, one, one)
        task = PlainTask(self.spec.model, self.spec.adaptation, shared, self.kept, nowhere, 0, self.kind)
        loss = plain_loss(task.outputs({}, x, 0), y)
        slopes = torch.autograd.grad(loss, list(shared.values()))
        self.move(dict(zip(shared, slopes, strict=True)), plain_rate(self.spec.outer, 0.0))
        self.keep([task], [])

    def gradient(self, episodes: Episodes, done: float, drawn: Draws | None) -> Parameters:
        adaptation = self.spec.adaptation
        shared = {name: p.clone().requires_grad_() for name, p in self.parameters.items()}
        order = adaptation.order
        if not isinstance(order, int):
            order = order.to if done >= order.at else order.start
        tasks = [
            PlainTask(
                self.spec.model,
                adaptation,
                shared,
                self.kept,
                episodes,
                place,
                self.kind,
                second_order=order == 2,
                drawn=drawn,
            )
            for place in range(len(episodes.indices))
        ]
        chains = [task.chain(adaptation.steps) for task in tasks]
        if self.spec.outer.rule == "interpolate":
            gradient = self.towards(chains)
            # The query loss that is watched is a pass too, and its statistics count.
            for task, chain in zip(tasks, chains, strict=True):
                task.query_loss(chain[-1], adaptation.steps)
        else:
            total = torch.stack([self.weighed(t, c, done) for t, c in zip(tasks, chains, strict=True)]).mean()
            slopes = torch.autograd.grad(total, list(shared.values()), allow_unused=True)
            gradient = {
                n: torch.zeros_like(p) if s is None else s
                for (n, p), s in zip(shared.items(), slopes, strict=True)
            }
        self.keep(tasks, [chain[-1] for chain in chains])
        return gradient

    def weighed(self, task: PlainTask, chain: list[Own], done: float) -> Tensor:
        adaptation = self.spec.adaptation
        if adaptation.loss == "last":
            return task.query_loss(chain[-1], adaptation.steps)
        weights = released_weights(adaptation.steps, done, adaptation.multi_step)
        # A loss that does not count has no pass.
        losses = [w * task.query_loss(chain[j], j) for j, w in enumerate(weights, start=1) if w > 0]
        return torch.stack(losses).sum()

    def towards(self, chains: list[list[Own]]) -> Parameters:
        """φ − mean of the adapted parameters (Nichol 2018): what φ ← φ − ε · this interpolates by."""
        gradient = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        for name in self.parameters.keys() & chains[0][-1].parameters.keys():
            ends = torch.stack([chain[-1].parameters[name].detach() for chain in chains])
            gradient[name] = self.parameters[name] - ends.mean(0)
        return gradient

    def keep(self, tasks: Sequence[PlainTask], ends: Sequence[Own]) -> None:
        """Running statistics and carried moments after an iteration."""
        if self.spec.adaptation.running_statistics:
            for number, layer in tasks[0].observed:
                passes = [each for task in tasks for each in task.observed[number, layer]]
                for name, values in zip(("mean", "variance"), zip(*passes, strict=True), strict=True):
                    kept = self.kept[f"running.{layer}.{name}"]
                    kept[number] += MOMENTUM_OF_NORMS * (torch.stack(values).mean(0) - kept[number])
        if self.spec.adaptation.moments == "carried":
            for name in filter(tasks[0].carries, ends[0].second):
                self.kept[f"second.{name}"] = torch.stack([e.second[name].detach() for e in ends]).mean(0)
            self.kept["second.steps"] = self.kept["second.steps"] + self.spec.adaptation.steps


# What the engine drew and adapted


class Watched:
    """A body that writes down the examples it is given."""

    def __init__(self, body: object) -> None:
        self.body, self.given = body, []

    def __getattr__(self, name: str) -> object:
        return getattr(self.body, name)

    def __call__(self, parameters: Parameters, x: Tensor, *rest: object) -> Tensor:
        self.given.append(x.detach().clone())
        return self.body(parameters, x, *rest)


def draws_of(learner: Learner, adaptation: Adaptation, part: str, episodes: Episodes) -> Draws:
    """The support examples, by their places, that each step of the engine's rule takes: one pass a step."""
    body = learner.body
    learner.body = watched = Watched(body)
    rule = learner.rule(adaptation, part, "query")
    learner.body = body
    drawn: Draws = [[] for _ in episodes.indices]
    with torch.no_grad():
        state = rule.start(learner.meta_parameters, episodes)
        for number in range(adaptation.steps):
            watched.given.clear()
            state, _ = rule.step(state, learner.meta_parameters, episodes, number, False)
            (given,) = watched.given
            for place, examples in enumerate(given):
                support = episodes.support_x[place].flatten(1)
                same = (examples.flatten(1)[:, None] == support[None]).all(-1)
                assert bool((same.sum(1) == 1).all())
                drawn[place].append(same.int().argmax(1).tolist())
    return drawn


@torch.no_grad()
def engine_outputs(
    trainer: Trainer, adaptation: Adaptation, part: str, episodes: Episodes, statistics: str
) -> list[Tensor]:
    """Query outputs `[T, Q, O]` of the engine before each step and after the last."""
    learner = trainer.learner
    rule = learner.rule(adaptation, part, statistics)
    states = adapted_states(rule, learner, episodes, range(adaptation.steps + 1))
    return [rule.predict(state, learner.meta_parameters, episodes, number) for number, state in states]


def plain_outputs_by_step(
    trainer: Trainer,
    adaptation: Adaptation,
    episodes: Episodes,
    statistics: str,
    kept: Parameters,
    drawn: Draws | None = None,
) -> list[Tensor]:
    """The same by the loop over tasks."""
    shared = {n: p.clone().requires_grad_() for n, p in trainer.learner.meta_parameters.items()}
    rows = []
    for place in range(len(episodes.indices)):
        task = PlainTask(
            trainer.spec.model,
            adaptation,
            shared,
            kept,
            episodes,
            place,
            trainer.learner.tasks.kind,
            running=statistics == "running",
            second_order=False,
            drawn=drawn,
        )
        chain = task.chain(adaptation.steps)
        rows.append([task.query(own, number).detach() for number, own in enumerate(chain)])
    return [torch.stack(column) for column in zip(*rows, strict=True)]
