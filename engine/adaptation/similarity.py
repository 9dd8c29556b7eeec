"""How alike features are: Euclidean distance and cosine similarity of queries and what a task remembers."""

import torch.nn.functional as functional
from torch import Tensor


def squared_distances(features: Tensor, others: Tensor) -> Tensor:
    """|f − o|² `[T, Q, M]` of `features [T, Q, D]` and `others [T, M, D]`."""
    products = features @ others.transpose(1, 2)
    return features.square().sum(-1, keepdim=True) - 2 * products + others.square().sum(-1).unsqueeze(1)


def cosines(features: Tensor, others: Tensor) -> Tensor:
    """Cosine similarities `[T, Q, M]`; that of a feature of zeros is 0."""
    return functional.normalize(features, dim=-1) @ functional.normalize(others, dim=-1).transpose(1, 2)


def of_classes(values: Tensor, labels: Tensor, outputs: int, elsewhere: float) -> Tensor:
    """Values `[T, Q, S]` of queries and support examples, by class: `[T, Q, S, N]`, `elsewhere` where an
    example is of another class."""
    others = functional.one_hot(labels, outputs).unsqueeze(1) == 0
    return values.unsqueeze(-1).masked_fill(others, elsewhere)
