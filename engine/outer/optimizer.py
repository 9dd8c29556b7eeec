"""The outer optimizer: PyTorch's own kernels, over meta-parameters by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from engine.models import Parameters
from engine.presets.schema import Outer

MOMENTUM = 0.9
ADAM: Mapping[str, Any] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0, "maximize": False}


class OuterOptimizer:
    """Steps meta-parameters in place against a meta-gradient; its state goes into checkpoints.

    Adam (Kingma & Ba 2015), plain gradient descent, or Nesterov's momentum of 0.9. The functional forms are
    called because the classes of `torch.optim` import PyTorch's compiler, which takes seconds.
    """

    def __init__(self, outer: Outer, meta_parameters: Parameters) -> None:
        self.outer, self.meta_parameters = outer, meta_parameters
        names = {"adam": ("first", "second", "steps"), "nesterov": ("momentum",), "sgd": ()}
        # Lists of a tensor for each meta-parameter. A momentum of zeros takes its first gradient whole.
        self.kept: dict[str, list[Tensor]] = {
            name: [torch.zeros_like(p) for p in meta_parameters.values()]
            for name in names[outer.optimizer]
        }
        # All count the same steps, so that one addition counts for all; the kernels want float32.
        some = next(iter(meta_parameters.values()))
        self.steps = some.new_zeros(len(meta_parameters), dtype=torch.float32)
        if "steps" in self.kept:
            self.kept["steps"] = list(self.steps.unbind())

    @torch.no_grad()
    def step(self, gradient: Parameters, rate: float) -> None:
        """One step at this rate; each entry of the gradient is first clamped to ± clip, if one is set."""
        parameters, gradients = list(self.meta_parameters.values()), self._clipped(gradient)
        if self.outer.optimizer == "adam":
            self._adam(parameters, gradients, rate)
        else:
            self._descend(parameters, gradients, rate)

    @torch.no_grad()
    def guarded_step(self, gradient: Parameters, rate: Tensor, skip: Tensor) -> None:
        """The same step at a rate that lies on the device, and no step where `skip` is 1: nothing here looks
        at either, so that a graph of kernels may hold it.

        Args:
            rate: without axes; float32 on CUDA (its kernels read no other), float64 on the CPU.
            skip: 0 or 1, float32 without axes. A step that is skipped changes neither parameters nor moments,
                whatever stands in the gradient.
        """
        parameters, gradients = list(self.meta_parameters.values()), self._clipped(gradient)
        if self.outer.optimizer == "adam":
            self.steps.add_(1 - skip)
            fused_adam(parameters, gradients, self.kept, rate, skip)
            return
        momentum = self.kept.get("momentum", [])
        torch._fused_sgd_(
            parameters, gradients, momentum, is_first_step=False, found_inf=skip, **self._descent(rate)
        )

    def _clipped(self, gradient: Parameters) -> list[Tensor]:
        """The gradient of each parameter, clamped."""
        clip = self.outer.clip
        # PyTorch's fused kernels read memory as it lies, whatever the strides say.
        gradients = [gradient[name].contiguous() for name in self.meta_parameters]
        return gradients if clip is None else [each.clamp(-clip, clip) for each in gradients]

    def _adam(self, parameters: list[Tensor], gradients: list[Tensor], rate: float) -> None:
        # One fused kernel: on small models a step of many small kernels costs more than the mathematics, and
        # so does the functional form's own bookkeeping round that kernel.
        if parameters[0].device.type in ("cpu", "cuda"):
            self.steps += 1
            fused_adam(parameters, gradients, self.kept, rate)
            return
        adam(
            parameters,
            gradients,
            self.kept["first"],
            self.kept["second"],
            [],
            self.kept["steps"],
            foreach=False,
            fused=False,
            has_complex=False,
            amsgrad=False,
            lr=rate,
            **ADAM,
        )

    def _descend(self, parameters: list[Tensor], gradients: list[Tensor], rate: float) -> None:
        momentum: list[Tensor | None] = [*self.kept.get("momentum", [None] * len(parameters))]
        sgd(parameters, gradients, momentum, foreach=False, **self._descent(rate))

    def _descent(self, rate: float | Tensor) -> dict[str, Any]:
        """What a step of descent is told, whichever kernel takes it."""
        nesterov = self.outer.optimizer == "nesterov"
        return {
            "lr": rate,
            "momentum": MOMENTUM if nesterov else 0,
            "nesterov": nesterov,
            "dampening": 0,
            "weight_decay": 0,
            "maximize": False,
        }

    def state(self) -> dict[str, list[Tensor]]:
        """What a checkpoint keeps."""
        return self.kept

    def load(self, state: dict[str, list[Tensor]]) -> None:
        """Takes up a checkpoint's state."""
        for name, tensors in self.kept.items():
            for mine, saved in zip(tensors, state[name], strict=True):
                mine.copy_(saved)


def fused_adam(
    parameters: list[Tensor],
    gradients: list[Tensor],
    kept: dict[str, list[Tensor]],
    rate: Any,
    skip: Tensor | None = None,
) -> None:
    """One kernel over all tensors, each by itself: its numbers do not hang on the others."""
    torch._fused_adam_(
        parameters,
        gradients,
        kept["first"],
        kept["second"],
        [],
        kept["steps"],
        amsgrad=False,
        lr=rate,
        found_inf=skip,
        **ADAM,
    )


class Optimizers:
    """The optimizers of several seeds of one training: one step of all, where a kernel takes them at once."""

    def __init__(self, optimizers: Sequence[OuterOptimizer]) -> None:
        self.optimizers, outer = optimizers, optimizers[0].outer
        self.parameters = [p for each in optimizers for p in each.meta_parameters.values()]
        on_device = self.parameters[0].device.type in ("cpu", "cuda")
        self.at_once = outer.optimizer == "adam" and outer.clip is None and on_device
        self.steps = [each.steps for each in optimizers]
        self.kept = {
            name: [tensor for each in optimizers for tensor in each.kept[name]] for name in optimizers[0].kept
        }

    @torch.no_grad()
    def step(self, gradients: Sequence[Parameters], rate: float) -> None:
        """One step of each against its own gradient, whose tensors lie in one piece, at this rate."""
        if not self.at_once:
            for optimizer, gradient in zip(self.optimizers, gradients, strict=True):
                optimizer.step(gradient, rate)
            return
        named = zip(self.optimizers, gradients, strict=True)
        given = [gradient[name] for optimizer, gradient in named for name in optimizer.meta_parameters]
        for steps in self.steps:
            steps += 1
        fused_adam(self.parameters, given, self.kept, rate)
