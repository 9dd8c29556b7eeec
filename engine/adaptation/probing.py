"""What the states of a walk are worth: losses and metrics at each, and how far each layer moved."""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.adaptation.chain import MetaGradient
from engine.adaptation.losses import task_loss, task_metric
from engine.adaptation.movement import lengths
from engine.adaptation.rule import Rule, State
from engine.models import Parameters
from engine.tasks.episodes import Episodes


class Probed(NamedTuple):
    """Support losses, query losses and metrics `[T, k + 1]` of the states s[0..k]; for a rule that shows no
    steps, no support loss `[T, 0]` and the others `[T, 1]`.

    `lengths`: of each layer `[3]`, that of its start, zero, and that of its way to the end, over all tasks.
    """

    support_loss: Tensor
    query_loss: Tensor
    metric: Tensor
    lengths: dict[str, Tensor]


def probed(rule: Rule, meta_parameters: Parameters, task: Episodes, walk: MetaGradient) -> Probed:
    """All states of a walk probed, without a graph."""
    if (whole := rule.whole_probes(meta_parameters, task, walk)) is not None:
        return whole
    shown = list(enumerate(walk.states))[0 if rule.shows_steps else -1 :]
    probes = [probe(rule, meta_parameters, task, state, at) for at, state in shown]
    with torch.no_grad():
        last = rule.support_loss(walk.states[-1], meta_parameters, task, rule.steps).unsqueeze(1)
    losses, metrics = zip(*probes, strict=True)
    support = torch.cat([walk.support_loss, last], 1) if rule.shows_steps else last[:, :0]
    ends = [rule.parameters_in(walk.states[at]) for at in (0, -1)]
    return Probed(support, torch.stack(losses, 1), torch.stack(metrics, 1), lengths(ends))


@torch.no_grad()
def probe(
    rule: Rule, meta_parameters: Parameters, task: Episodes, state: State, number: int
) -> tuple[Tensor, Tensor]:
    """Query loss and metric `[T]` of a state after `number` steps, without a graph."""
    outputs = rule.predict(state, meta_parameters, task, number)
    if type(rule).query_loss is Rule.query_loss:
        loss = task_loss(rule.kind, outputs, task.query_y)
    else:
        loss = rule.query_loss(state, meta_parameters, task, number)
    return loss, task_metric(rule.kind, outputs, task.query_y)
