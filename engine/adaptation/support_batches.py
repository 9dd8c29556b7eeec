"""Mini-batches of the support set: what each inner step sees, as a function of (seed, task, step)."""

import torch
from torch import Tensor

from engine.tasks.draws import Stream, bits, stream_key
from engine.tasks.episodes import Episodes


def support_batch(task: Episodes, size: int | None, number: int, stream: Stream) -> Episodes:
    """The task with the support examples of step `number` alone: all of them where `size` is none or no
    smaller than the support set. `stream` names the draws.

    Batches run through the support set in a random order, and through it again in another (Nichol 2018): no
    example comes a third time before every other has come twice.
    """
    held = task.support_x.shape[1]
    if size is None or size >= held:
        return task
    first, last = number * size // held, ((number + 1) * size - 1) // held
    orders = torch.cat([_order(task.indices, held, passing, stream) for passing in range(first, last + 1)], 1)
    begin = number * size - first * held
    chosen = orders[:, begin : begin + size].to(task.support_x.device)
    rows = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
    return task._replace(support_x=task.support_x[rows, chosen], support_y=task.support_y[rows, chosen])


def _order(index: Tensor, held: int, passing: int, stream: Stream) -> Tensor:
    """A permutation of the support examples `[T, S]` for each task and pass."""
    return bits(stream_key("support batches", *stream, passing), index, held).argsort(-1)
