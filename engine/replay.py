"""One iteration of a training done again and looked at: which task of its batch, which inner step and which
layer are not finite. It changes nothing, and costs a training nothing until its numbers go bad."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.adaptation import MetaGradient
from engine.adaptation.apply_head import head_scale
from engine.adaptation.losses import task_loss
from engine.divergence import Diverged, not_finite
from engine.outer.joint import joint_gradient
from engine.paths import GENERIC
from engine.portions import mean_gradient, query_losses, walks
from engine.tasks.episodes import Episodes
from engine.training import Trainer

FILLS = ("full", "fill", "masked_fill", "where", "constant_pad_nd")
"""Operations that write infinities on purpose, as masks do."""
HANDED_ON = ("detach", "alias", "clone")
"""Operations that read a parameter without computing with it."""


def replayed(trainer: Trainer, found: Diverged | None = None) -> dict[str, Any]:
    """What the trainer's next iteration comes to, as plain data.

    `loss` and `gradient_norm` are the batch's; `what` is not finite (None: all is finite); `tasks` has for
    each task its position and index, its losses, and `bad`, its parameters that are not finite; `task`
    (position), `index`, `inner_step` and `layer` say where it began, as far as can be told. Joint training
    has no tasks: there `task` is the example's position in the batch.
    """
    iteration = trainer.iteration + 1
    joint = trainer.spec.outer.rule == "joint"
    seen = _joint(trainer) if joint else _episodes(trainer)
    before = not_finite(trainer.learner.meta_parameters)
    report: dict[str, Any] = {"iteration": iteration, "what": None, "unit": "example" if joint else "task"}
    report |= {"task": None, "index": None, "inner_step": None, "layer": None, **seen}
    if found is not None:
        report["what"] = found.what
    elif not isfinite(report["loss"]):
        report["what"] = "loss"
    elif report["gradient"]:
        report["what"] = "gradient"
    if report["what"] is not None and report["layer"] is None:
        known = before or (found.layers if found else []) or report["gradient"]
        report["layer"] = known[0] if known else None
    return report


def told(report: dict[str, Any]) -> str:
    """Where it began, in words: `task 3 of its batch (number 20,303), inner step 4, layer linear2.weight`."""
    parts = []
    if report["task"] is not None:
        parts.append(f"{report['unit']} {report['task']} of its batch (number {report['index']:,})")
    if report["inner_step"] is not None:
        parts.append(f"inner step {report['inner_step']}")
    if report["layer"] is not None:
        parts.append(f"layer {report['layer']}")
    return ", ".join(parts)


def _episodes(trainer: Trainer) -> dict[str, Any]:
    tasks = trainer.stream.episodes(trainer.iteration)
    with _forgotten(trainer):
        portions = walks(trainer.walk(), tasks, trainer.tasks_at_once)
    gradient = mean_gradient(portions)
    rows = [row for walk in portions for row in _rows(trainer, walk)]
    for position, row in enumerate(rows):
        row |= {"task": position, "index": int(tasks.indices[position])}
    report: dict[str, Any] = {
        "loss": query_losses(portions).mean().item(),
        "gradient_norm": _norm(list(gradient.values())),
        "gradient": not_finite(gradient),
        "tasks": rows,
    }
    broken = [row for row in rows if not _sound(row)]
    if not broken and report["gradient"]:
        broken = [row for row in rows if _bends(trainer, tasks, row)]
    if broken:
        first = broken[0]
        place = _searched(trainer, tasks.rows(first["task"], first["task"] + 1))
        step, layer = place if place is not None else (first["inner_step"], next(iter(first["bad"]), None))
        report |= {"task": first["task"], "index": first["index"], "inner_step": step, "layer": layer}
    return report


def _rows(trainer: Trainer, walk: MetaGradient) -> Iterator[dict[str, Any]]:
    """Each task of a portion: its losses, and the inner step from which on its parameters are not finite."""
    states = [trainer.rule.parameters_in(state) for state in walk.states]
    for task in range(len(walk.query_loss)):
        bad, step = [], None
        for number, state in enumerate(states):
            bad = [name for name, tensor in state.items() if not torch.isfinite(tensor[task]).all()]
            if bad:
                step = number
                break
        yield {
            "support_loss": walk.support_loss[task].tolist(),
            "query_loss": walk.query_loss[task].item(),
            "norms": walk.norms[task].tolist(),
            "inner_step": step,
            "bad": bad,
        }


def _sound(row: dict[str, Any]) -> bool:
    return not row["bad"] and all(map(isfinite, (*row["support_loss"], row["query_loss"], *row["norms"])))


def _bends(trainer: Trainer, tasks: Episodes, row: dict[str, Any]) -> bool:
    """Whether this task's own meta-gradient is not finite; its row then says of which parameters."""
    with _forgotten(trainer):
        own = trainer.walk()(tasks.rows(row["task"], row["task"] + 1)).gradient
    row["bad"] = not_finite(own)
    return bool(row["bad"])


def _joint(trainer: Trainer) -> dict[str, Any]:
    learner, examples = trainer.learner, trainer.stream.examples(trainer.iteration)
    kind = learner.tasks.kind
    scale = head_scale(trainer.spec.model)
    with _forgotten(trainer):
        gradient, loss, outputs = joint_gradient(
            learner.body, kind, learner.meta_parameters, examples, head_scale=scale
        )
        with _watched(trainer) as watch:
            joint_gradient(learner.body, kind, learner.meta_parameters, examples, head_scale=scale)
    # Each example as a task of its own.
    each = task_loss(kind, outputs.transpose(0, 1), examples.y.transpose(0, 1))
    broken = [at for at, value in enumerate(each.tolist()) if not isfinite(value)]
    report: dict[str, Any] = {
        "loss": loss.item(),
        "gradient_norm": _norm(list(gradient.values())),
        "gradient": not_finite(gradient),
        "tasks": [],
    }
    if broken:
        report |= {"task": broken[0], "index": int(examples.indices.flatten()[broken[0]])}
    return report | {"layer": watch.layer if watch.found else None}


def _searched(trainer: Trainer, task: Episodes) -> tuple[int | None, str | None] | None:
    """The inner step and the layer of the first operation on one task whose outcome is not finite."""
    rule, shared = trainer.rule, trainer.learner.meta_parameters
    with _forgotten(trainer), _watched(trainer) as watch:
        state = rule.start(shared, task)
        for number in range(rule.steps):
            watch.know(state)
            state, _ = rule.step(state, shared, task, number, second_order=False)
            state = {name: tensor.detach() for name, tensor in state.items()}
            if watch.found:
                return (number + 1 if rule.shows_steps else None), watch.layer
        watch.know(state)
        rule.query_loss(state, shared, task, rule.steps)
    return (None, watch.layer) if watch.found else None


class _Watch(TorchDispatchMode):
    """Sees every operation; remembers which parameter was read last before one gave what is not finite."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self.names: dict[int, str] = {}
        self.layer: str | None = None
        self.found = False
        self.know(parameters)

    def know(self, parameters: dict[str, Tensor]) -> None:
        """These tensors, and views of them, go by these names."""
        self.names |= {tensor.data_ptr(): name for name, tensor in parameters.items()}
        self.layer = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outcome = func(*args, **(kwargs or {}))
        operation = func.__name__.partition(".")[0].strip("_")
        if not self.found and operation not in HANDED_ON:
            for given in tree_leaves((args, kwargs)):
                if isinstance(given, Tensor) and given.data_ptr() in self.names:
                    self.layer = self.names[given.data_ptr()]
            # What comes before any layer are the data themselves.
            self.found = self.layer is not None and operation not in FILLS and not _finite(outcome)
        return outcome


def _finite(outcome: Any) -> bool:
    """Whether all numbers of an operation's outcome are finite."""
    tensors = [each for each in tree_leaves(outcome) if isinstance(each, Tensor)]
    return all(bool(torch.isfinite(each).all()) for each in tensors if each.is_floating_point())


@contextmanager
def _watched(trainer: Trainer) -> Iterator[_Watch]:
    """The learner's operations one by one: on the generic path, whose operations can be seen."""
    learner, path = trainer.learner, trainer.learner.path
    learner.take(f"{GENERIC}: looked at")
    try:
        with _Watch(learner.meta_parameters) as watch:
            yield watch
    finally:
        learner.take(path)


@contextmanager
def _forgotten(trainer: Trainer) -> Iterator[None]:
    """What a training's passes would keep (running statistics) is let go of."""
    try:
        yield
    finally:
        trainer.rule.norms.forget()


def _norm(tensors: list[Tensor]) -> float:
    return torch.linalg.vector_norm(torch.cat([each.flatten() for each in tensors])).item()
