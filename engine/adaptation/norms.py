"""Norm sets: which scale, shift and running statistics normalise each pass of an inner loop.

MAML++ (Antoniou 2019, section 4) keeps a set for each inner step. The support pass of step j and the query
pass after it use set j; a query pass before any step uses set 0; steps beyond the last set use the last.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.models import Parameters
from engine.models.blocks import Observed
from engine.presets.schema import Adaptation

RUNNING = "running."
"""What kept running statistics are called: `running.norm1.mean` and `.variance`, `[sets, C]`."""
MOMENTUM = 0.1
"""Of running statistics: the weight of the newest batch (PyTorch's default)."""
Merged = Callable[[Sequence[Tensor]], Sequence[Tensor]]


def norm_names(parameters: Parameters) -> list[str]:
    """The normalisations among a body's parameters: `norm1` where there is a `norm1.scale`."""
    return [name.removesuffix(".scale") for name in parameters if name.endswith(".scale")]


def running_statistics(parameters: Parameters, sets: int) -> Parameters:
    """Running statistics before any batch: means of zero, variances of one."""
    found: Parameters = {}
    for name in norm_names(parameters):
        size = parameters[f"{name}.scale"].shape[-1]
        like = parameters[f"{name}.scale"]
        found[f"{RUNNING}{name}.mean"] = like.new_zeros(sets, size)
        found[f"{RUNNING}{name}.variance"] = like.new_ones(sets, size)
    return found


def norm_sets(adaptation: Adaptation) -> int:
    """How many sets a training has: one for each inner step, where norms are kept by step."""
    stepped = adaptation.rule == "gradient" and (adaptation.per_step_norms or adaptation.running_statistics)
    return max(adaptation.steps, 1) if stepped else 1


def stepped_norms(parameters: Parameters, sets: int) -> Parameters:
    """Scales and shifts `[sets, C]` from those of a body, one copy a set (BNWB)."""
    names = [f"{name}.{part}" for name in norm_names(parameters) for part in ("scale", "shift")]
    return {name: parameters[name].expand(sets, -1).clone() for name in names}


class Norms:
    """The norm sets of one rule; `observing` is on during training's forward pass alone."""

    def __init__(self, kept: Parameters, sets: int, per_step: bool, uses_running: bool) -> None:
        self.running = {n.removeprefix(RUNNING): t for n, t in kept.items() if n.startswith(RUNNING)}
        self.sets, self.per_step, self.uses_running = max(sets, 1), per_step, uses_running
        self.observing, self.training = False, bool(self.running) and not uses_running
        self.seen: list[tuple[int, Observed]] = []
        self.merged: Merged = lambda here: here
        """Means over tasks of this process, made means over those of all that share its batches."""

    def of_support(self, number: int) -> int:
        """The set of the support pass of step `number`."""
        return min(number, self.sets - 1)

    def of_query(self, number: int) -> int:
        """The set of a query pass after `number` steps."""
        return min(max(number - 1, 0), self.sets - 1)

    def at(self, parameters: Parameters, chosen: int) -> Parameters:
        """A body's parameters for a pass by set `chosen`."""
        found = parameters
        if self.per_step:
            names = [f"{n}.{part}" for n in norm_names(parameters) for part in ("scale", "shift")]
            found = found | {n: parameters[n][chosen] for n in names}
        if self.uses_running:
            found = found | {n: sets[chosen] for n, sets in self.running.items()}
        return found

    def observed(self, chosen: int) -> Observed | None:
        """Where a pass by set `chosen` writes its batch statistics; None where nobody wants them."""
        if not (self.observing and self.running):
            return None
        self.seen.append((chosen, {}))
        return self.seen[-1][1]

    def observed_in_training(self) -> Observed | None:
        """Where a pass of joint training writes its batch statistics."""
        self.observing = self.training
        found = self.observed(0)
        self.observing = False
        return found

    @torch.no_grad()
    def keep(self) -> None:
        """Moves running statistics towards the mean of what was observed, over passes and tasks."""
        found: dict[tuple[str, int], list[Tensor]] = {}
        for chosen, observed in self.seen:
            for name, (mean, variance) in observed.items():
                found.setdefault((f"{name}.mean", chosen), []).append(mean)
                found.setdefault((f"{name}.variance", chosen), []).append(variance)
        means = self.merged([torch.cat(batches).mean(0) for batches in found.values()])
        for (name, chosen), mean in zip(found, means, strict=True):
            self.running[name][chosen].lerp_(mean, MOMENTUM)
        self.forget()

    def forget(self) -> None:
        """Lets go of what was observed, where an iteration came to nothing."""
        self.seen.clear()
