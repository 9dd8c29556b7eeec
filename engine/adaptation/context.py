"""Full context embeddings of matching networks: what an example is, seen beside the support set.

Vinyals 2016, section 2.1.2 and appendix A. The parameters are three LSTM cells over features of size D: a
forward and a backward one over the support set, and one that reads the support set for each query.
"""

import torch
from torch import Tensor

from engine.models import Parameters
from engine.models.body import uniform

FORWARD, BACKWARD, READING = "context.forward", "context.backward", "context.reading"


def initial_context(size: int, generator: torch.Generator) -> Parameters:
    """Weights `[4 D, inputs + hidden]` and biases `[4 D]` of the cells, uniform in ± 1/√D as PyTorch's."""
    found: Parameters = {}
    for name, inputs in ((FORWARD, 2 * size), (BACKWARD, 2 * size), (READING, 3 * size)):
        found[f"{name}.weight"] = uniform((4 * size, inputs), size**-0.5, generator)
        found[f"{name}.bias"] = uniform((4 * size,), size**-0.5, generator)
    return found


def cell(parameters: Parameters, name: str, seen: Tensor, carried: Tensor) -> tuple[Tensor, Tensor]:
    """One step of the LSTM `name` (without peepholes): its output and what it carries on, `[..., D]` each.

    Args:
        seen: `[..., inputs + hidden]`, the input and what came out before, side by side.
        carried: `[..., D]`.
    """
    gates = torch.nn.functional.linear(seen, parameters[f"{name}.weight"], parameters[f"{name}.bias"])
    entering, forgetting, content, leaving = gates.chunk(4, -1)
    carried = forgetting.sigmoid() * carried + entering.sigmoid() * content.tanh()
    return leaving.sigmoid() * carried.tanh(), carried


def support_context(parameters: Parameters, features: Tensor) -> Tensor:
    """g(x, S) `[T, S, D]`: the features, plus what a bidirectional LSTM over the support set, in its order,
    says there (appendix A.2)."""
    found = features
    for name, backward in ((FORWARD, False), (BACKWARD, True)):
        output = carried = torch.zeros_like(features[:, 0])
        outputs = []
        for each in features.flip(1).unbind(1) if backward else features.unbind(1):
            output, carried = cell(parameters, name, torch.cat([each, output], -1), carried)
            outputs.append(output)
        said = torch.stack(outputs, 1)
        found = found + (said.flip(1) if backward else said)
    return found


def query_context(parameters: Parameters, features: Tensor, support: Tensor, steps: int) -> Tensor:
    """f(x, S) `[T, Q, D]`: `steps` times an LSTM sees the query's features and what attention reads from the
    support set's embeddings `[T, S, D]`, each query by itself (appendix A.1, equations 2 to 6).

    Attention is a softmax of inner products; before the first step it reads their mean.
    """
    hidden = carried = torch.zeros_like(features)
    for _ in range(steps):
        read = (hidden @ support.transpose(1, 2)).softmax(-1) @ support
        output, carried = cell(parameters, READING, torch.cat([features, hidden, read], -1), carried)
        hidden = output + features
    return hidden
