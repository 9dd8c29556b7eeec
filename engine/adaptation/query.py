"""Features of query examples, normalised by the statistics that the protocol names."""

import torch
from torch import Tensor

from engine.models import Body, Parameters
from engine.models.blocks import BatchStatistics, Noise, Observed
from engine.tasks.episodes import Episodes


def query_features(
    body: Body,
    parameters: Parameters,
    task: Episodes,
    statistics: str,
    observed: Observed | None = None,
    noise: Noise | None = None,
) -> Tensor:
    """Features `[T, Q, D]` of the query set.

    `query`: all queries of the task normalise each other (transductive: Finn 2017, Antoniou 2019). `support`:
    the support set alone gives the statistics. `one`: the support set and one query at a time (Nichol 2018,
    not transductive). `running`: those that `parameters` hold. What `query` finds is written into `observed`.
    `noise` is for training, whose statistics are the queries'.
    """
    if statistics in ("query", "running"):
        return body(parameters, task.query_x, BatchStatistics(observed=observed, noise=noise))
    shots = task.support_x.shape[1]
    if statistics == "support":
        both = torch.cat([task.support_x, task.query_x], 1)
        return body(parameters, both, BatchStatistics(1, shots))[:, shots:]
    tasks, queries = task.query_x.shape[:2]
    example = task.query_x.shape[2:]
    supports = task.support_x.unsqueeze(1).expand(tasks, queries, shots, *example)
    groups = torch.cat([supports, task.query_x.unsqueeze(2)], 2).flatten(1, 2)
    features = body(parameters, groups, BatchStatistics(queries))
    return features.unflatten(1, (queries, shots + 1))[:, :, -1]
