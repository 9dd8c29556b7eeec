"""A batch of tasks in portions that memory holds, and what the portions' walks come to together."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.adaptation import MetaGradient, State
from engine.models import Body, Parameters
from engine.tasks.episodes import Episodes

# Values of the widest layer over all graphs alive at once: 512 MB of float32, a tenth of a walk's memory.
WIDEST_LAYER = 128 * 2**20


def portion_size(body: Body, examples: int) -> int:
    """How many tasks are worked on at once, where a task's passes together hold this many examples."""
    return max(1, WIDEST_LAYER // (body.widest_layer * examples))


def walks(walk: Callable[[Episodes], MetaGradient], tasks: Episodes, at_once: int) -> list[MetaGradient]:
    """One walk for each portion of the batch."""
    return [walk(tasks.rows(begin, begin + at_once)) for begin in range(0, len(tasks.indices), at_once)]


def mean_gradient(portions: Sequence[MetaGradient]) -> Parameters:
    """The meta-gradient over all tasks from those of its portions."""
    if len(portions) == 1:
        return portions[0].gradient
    sizes = [len(walk.query_loss) for walk in portions]
    shares = [size / sum(sizes) for size in sizes]
    return {
        name: torch.stack(
            [walk.gradient[name] * share for walk, share in zip(portions, shares, strict=True)]
        ).sum(0)
        for name in portions[0].gradient
    }


def joined(states: Sequence[State]) -> State:
    """The states of all portions as one."""
    return {n: torch.cat([state[n] for state in states]) for n in states[0]} if len(states) > 1 else states[0]


def query_losses(portions: Sequence[MetaGradient]) -> Tensor:
    """The query loss `[T]` of every task."""
    return torch.cat([walk.query_loss for walk in portions])
