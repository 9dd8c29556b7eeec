"""Whole walks by the fused core: the gradient rule on a fully connected net, where the kernels can do all of
it."""

from collections.abc import Callable, Sequence
from typing import overload

import torch
from torch import Tensor

from engine.adaptation.chain import MetaGradient
from engine.adaptation.heads import STORED
from engine.adaptation.losses import Kind
from engine.adaptation.probing import Probed
from engine.adaptation.rates import RATES
from engine.adaptation.rule import State
from engine.fused.desk import BITS, Batch, Descent
from engine.fused.mlp import Descended, MlpDescent
from engine.models import Parameters
from engine.models.mlp import Mlp
from engine.presets.names import head_names
from engine.presets.schema import Adaptation, Model
from engine.tasks.episodes import Episodes

MadeHead = Callable[[Parameters, Episodes], Parameters]


class States(Sequence[State]):
    """The states s[0..k] of a walk, each made a dictionary when it is asked for."""

    def __init__(self, start: State, core: MlpDescent, packed: Tensor) -> None:
        self.start, self.core, self.packed = start, core, packed

    def __len__(self) -> int:
        return len(self.packed) + 1

    @overload
    def __getitem__(self, at: int) -> State: ...
    @overload
    def __getitem__(self, at: slice) -> list[State]: ...
    def __getitem__(self, at: int | slice) -> State | list[State]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        number = range(len(self))[at]
        if number == 0:
            tasks = self.packed.shape[1]
            return {
                name: t if t.dim() > len(self.core.shape(name)) else t.expand(tasks, *t.shape)
                for name, t in self.start.items()
            }
        return self.core.unpacked(self.packed[number - 1], list(self.start))


class WholeWalks:
    """The walks of one rule."""

    def __init__(
        self,
        body: Mlp,
        adaptation: Adaptation,
        kind: Kind,
        outputs: int,
        adapts: Sequence[str],
        model: Model,
        made_head: MadeHead,
    ) -> None:
        self.body, self.adaptation, self.made_head = body, adaptation, made_head
        head = head_names(model)
        names = [f"linear{n}.{part}" for n in range(1, len(body.sizes)) for part in ("weight", "bias")]
        made = () if adaptation.head == "learned" else head
        rate = adaptation.learning_rate
        self.descent = Descent(
            (*body.sizes, outputs),
            (*names, *head),
            tuple(adapts),
            tuple(dict.fromkeys([*(n for n in adapts if n not in made), *made])),
            kind == "classes",
            adaptation.loss_reduction == "sum",
            adaptation.learned_rates,
            rate if isinstance(rate, float) else 0.0,
        )
        self._cores: dict[torch.dtype, MlpDescent] = {}

    def core(self, parameters: Parameters, task: Episodes, steps: int) -> MlpDescent | None:
        """The core for these numbers; None where it cannot take them."""
        x, batch = task.support_x, self.adaptation.batch
        fits = self.body.kernels and x.device.type == "cpu" and x.dtype in BITS
        if not fits or (steps and not self.descent.adapts) or (batch is not None and batch < x.shape[1]):
            return None
        targets = torch.int64 if self.descent.classes else x.dtype
        read = [*(parameters[name].dtype is x.dtype for name in self.descent.names)]
        read += [each.dtype is targets for each in (task.support_y, task.query_y)]
        if not all(read):
            return None
        if x.dtype not in self._cores:
            self._cores[x.dtype] = MlpDescent(self.descent, x.dtype)
        return self._cores[x.dtype]

    def rates(self, meta_parameters: Parameters) -> Parameters:
        """The learned rates by the parameters that adapt; none where they are not learned."""
        if self.adaptation.learned_rates == "none":
            return {}
        return {name: meta_parameters[RATES + name] for name in self.descent.adapts}

    @torch.no_grad()
    def walk(
        self, meta_parameters: Parameters, task: Episodes, second_order: bool, weights: Sequence[float]
    ) -> MetaGradient | None:
        """The rule's chain and its way back, or the chain alone where no query loss has a weight; None where
        the kernels cannot walk it."""
        if not self.body.kernels:
            return None
        steps, parameters = self.adaptation.steps, self.begun(meta_parameters, task)
        core = self.core(parameters, task, steps)
        if core is None:
            return None
        batch, rates = Batch(*task[:4]), self.rates(meta_parameters)
        found = core.walk(parameters, rates, batch, steps, second_order, weights)
        return self.seen(core, found, parameters, meta_parameters, task, bool(weights))

    def begun(self, meta_parameters: Parameters, task: Episodes) -> Parameters:
        """What a walk begins with: the meta-parameters, and the heads that are made for these tasks."""
        if self.adaptation.head == "learned":
            return meta_parameters
        return meta_parameters | self.made_head(meta_parameters, task)

    def seen(
        self,
        core: MlpDescent,
        found: Descended,
        parameters: Parameters,
        meta_parameters: Parameters,
        task: Episodes,
        back: bool,
    ) -> MetaGradient:
        """What a walk that began with `parameters` found, with its way `back` or without."""
        start = {name: parameters[name] for name in self.descent.owned}
        return MetaGradient(
            self.gradient(core, found, meta_parameters, task) if back else {},
            found.support_loss,
            found.query_loss,
            found.norms if back else found.query_loss.new_zeros(len(found.query_loss), 0),
            States(start, core, found.states),
        )

    @torch.no_grad()
    def probed(
        self, meta_parameters: Parameters, task: Episodes, states: States, support_loss: Tensor
    ) -> Probed:
        """The states of a walk on its tasks; it found their support losses `[T, k]` but for the last."""
        found = states.core.probed(meta_parameters | states.start, Batch(*task[:4]), states.packed)
        layers = {name.rpartition(".")[0]: lengths for name, lengths in found.lengths.items()}
        support = torch.cat([support_loss, found.support_loss.unsqueeze(1)], 1)
        return Probed(support, found.query_loss, found.metric, layers)

    def gradient(
        self, core: MlpDescent, found: Descended, meta_parameters: Parameters, task: Episodes
    ) -> Parameters:
        """∂L/∂φ by name: what tasks share, rates, and a table of heads that the outer loop moves."""
        gradient = {**found.gradient}
        if self.adaptation.learned_rates != "none" and self.adaptation.steps:
            gradient |= {RATES + name: slope for name, slope in core.rate_slopes(found).items()}
        tables = [name for name in meta_parameters if name.startswith(STORED)]
        if tables:
            heads = core.unpacked(found.slopes, [name.removeprefix(STORED) for name in tables])
            for table, slope in zip(tables, heads.values(), strict=True):
                moved = torch.zeros_like(meta_parameters[table])
                gradient[table] = moved.index_add_(0, task.identity, slope / len(task.indices))
        return {n: gradient[n] if n in gradient else torch.zeros_like(p) for n, p in meta_parameters.items()}

    @torch.no_grad()
    def step(
        self, state: State, meta_parameters: Parameters, task: Episodes, number: int
    ) -> tuple[State, Tensor] | None:
        """One step from any state, without a graph; None where the kernels cannot take it."""
        parameters = meta_parameters | state
        core = self.core(parameters, task, 1)
        if core is None:
            return None
        rates = self.rates(meta_parameters)
        batch = Batch(task.support_x, task.support_y, task.query_x[:, :0], task.query_y[:, :0])
        found = core.walk(parameters, rates, batch, 1, False, (), number)
        return core.unpacked(found.states[0], list(state)), found.support_loss[:, 0]
