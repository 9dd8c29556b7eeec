"""The papers' formulas as plain loops over tasks: what the engine is checked against.

One task at a time, PyTorch's own layers, and one graph through the whole inner loop.
"""

from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.data import PackedImages
from engine.data import Part as Classes
from engine.presets.schema import Adaptation, Model, Spec
from engine.tasks import Episodes, ImageEpisodes, Shape, training_shape

Parameters = dict[str, Tensor]
HEAD = ("head.weight", "head.bias")
CPU = torch.device("cpu")


def plain_features(model: Model, parameters: Parameters, x: Tensor) -> Tensor:
    """Features `[B, D]` of one batch that normalises itself."""
    if model.name == "pixels":
        return x.flatten(1)
    layers = 4 if model.name == "conv4" else len(model.hidden)
    if model.name == "mlp":
        x = x.flatten(1)
    for layer in range(1, layers + 1):
        if model.name == "conv4":
            weight, bias = parameters[f"conv{layer}.weight"], parameters.get(f"conv{layer}.bias")
            x = functional.conv2d(x, weight, bias, padding=1, stride=1 if model.pooling == "max" else 2)
        else:
            x = functional.linear(x, parameters[f"linear{layer}.weight"], parameters[f"linear{layer}.bias"])
        if model.norm == "batch":
            scale, shift = parameters[f"norm{layer}.scale"], parameters[f"norm{layer}.shift"]
            over = (0, 2, 3) if x.dim() == 4 else (0,)
            mean = x.mean(over, keepdim=True)
            variance = (x - mean).square().mean(over, keepdim=True)
            scale, shift = (p.reshape(1, -1, *[1] * (x.dim() - 2)) for p in (scale, shift))
            x = (x - mean) / (variance + 1e-5).sqrt() * scale + shift
        x = functional.relu(x)
        if model.name == "conv4" and model.pooling == "max":
            x = functional.max_pool2d(x, 2)
    if model.name == "mlp":
        return x
    return x.mean((2, 3)) if model.features == "mean" else x.flatten(1)


def plain_outputs(model: Model, parameters: Parameters, x: Tensor) -> Tensor:
    """Logits or values `[B, O]`."""
    return functional.linear(plain_features(model, parameters, x), *(parameters[name] for name in HEAD))


def plain_loss(outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Cross-entropy of labels, squared error of values."""
    if targets.is_floating_point():
        return functional.mse_loss(outputs, targets, reduction=reduction)
    return functional.cross_entropy(outputs, targets, reduction=reduction)


def adapts(name: str, parameters: str | tuple[str, ...]) -> bool:
    """Whether the inner loop moves the parameter `name`."""
    if parameters == "all":
        return True
    if parameters in ("head", "body"):
        return name.startswith("head.") == (parameters == "head")
    return any(fnmatch(name, pattern) for pattern in parameters)


def plain_class_means(features: Tensor, labels: Tensor, ways: int) -> Parameters:
    """The linear head whose logits order queries as the distance to each class's mean does."""
    means = torch.stack([features[labels == way].mean(0) for way in range(ways)])
    return {"head.weight": 2 * means, "head.bias": -(means * means).sum(1)}


@dataclass
class PlainWalk:
    """What the loop over tasks finds; `states[t][j]` is what adapts in task t after j steps."""

    gradient: Parameters
    support_loss: Tensor
    query_loss: Tensor
    norms: Tensor
    states: list[list[Parameters]]


def plain_meta_gradient(
    model: Model,
    adaptation: Adaptation,
    meta_parameters: Parameters,
    episodes: Episodes,
    second_order: bool,
    heads: Parameters | None = None,
    ways: int = 5,
) -> PlainWalk:
    """The gradient of the mean query loss after the inner loop (Finn 2017, equation 1), a task at a time.

    `heads` are each task's constant start of the head, where `adaptation.head` is zero, random or stored.
    """
    shared = {name: p.clone().requires_grad_() for name, p in meta_parameters.items()}
    losses, support_losses, norms, states = [], [], [], []
    for t in range(len(episodes.indices)):
        support_x, support_y = episodes.support_x[t], episodes.support_y[t]
        start = dict(shared)
        if adaptation.head == "means":
            start |= plain_class_means(plain_features(model, start, support_x), support_y, ways)
        elif adaptation.head != "learned":
            assert heads is not None
            start |= {name: heads[name][t].clone().requires_grad_() for name in HEAD}
        moving = [name for name in start if adapts(name, adaptation.parameters)]
        own = set(moving) | (set() if adaptation.head == "learned" else set(HEAD))
        state = {name: start[name] * 1 for name in start if name in own}
        chain, seen = [state], []
        for _ in range(adaptation.steps):
            outputs = plain_outputs(model, start | state, support_x)
            loss = plain_loss(outputs, support_y, adaptation.loss_reduction)
            slopes = torch.autograd.grad(loss, [state[n] for n in moving], create_graph=True)
            if not second_order:
                slopes = [slope.detach() for slope in slopes]
            state = {name: value * 1 for name, value in state.items()}
            for name, slope in zip(moving, slopes, strict=True):
                state[name] = chain[-1][name] - adaptation.learning_rate * slope
            chain.append(state)
            seen.append(loss.detach())
        loss = plain_loss(plain_outputs(model, start | state, episodes.query_x[t]), episodes.query_y[t])
        lengths = []
        for link in chain[1:]:
            slopes = torch.autograd.grad(loss, list(link.values()), retain_graph=True, allow_unused=True)
            lengths.append(sum(float((s * s).sum()) for s in slopes if s is not None) ** 0.5)
        losses.append(loss)
        support_losses.append(torch.stack(seen) if seen else torch.zeros(0, dtype=loss.dtype))
        norms.append(lengths)
        states.append([{n: p.detach() for n, p in link.items()} for link in chain])
    total = torch.stack(losses).mean()
    slopes = torch.autograd.grad(total, list(shared.values()), allow_unused=True)
    gradient = {
        n: torch.zeros_like(p) if s is None else s for (n, p), s in zip(shared.items(), slopes, strict=True)
    }
    return PlainWalk(
        gradient,
        torch.stack(support_losses),
        torch.stack(losses).detach(),
        torch.tensor(norms, dtype=torch.float64),
        states,
    )


def packed_images(
    counts: dict[str, list[int]], size: int = 16, seed: int = 0, pictures: np.ndarray | None = None
) -> PackedImages:
    """A small data set in memory (noise unless given); `counts`: the images of each class of a part."""
    total = sum(map(sum, counts.values()))
    if pictures is None:
        pictures = np.random.default_rng(seed).integers(0, 256, (total, 1, size, size), dtype=np.uint8)
    parts, begin = {}, 0
    for part, sizes in counts.items():
        offsets = begin + np.cumsum([0, *sizes[:-1]], dtype=np.int64)
        names = tuple(f"{part}{number}" for number in range(len(sizes)))
        parts[part] = Classes(offsets, np.asarray(sizes, dtype=np.int64), names)
        begin += sum(sizes)
    return PackedImages(pictures, parts, "by hand", "0" * 16, "0" * 16, ())


def image_tasks(
    spec: Spec, packed: PackedImages | None = None, dtype: torch.dtype = torch.float64
) -> ImageEpisodes:
    """Image episodes of a spec over a data set in memory (by default 12, 8 and 8 classes of noise)."""
    packed = packed or packed_images({"train": [20] * 12, "validation": [20] * 8, "test": [20] * 8})
    tested = Shape(spec.task.ways, spec.task.shots, spec.task.queries)
    shapes = {"train": training_shape(spec), "validation": tested, "test": tested}
    seeds, training = (spec.seed, spec.evaluation.seed), spec.training
    return ImageEpisodes(
        packed, spec.task.rotations, shapes, *seeds, training.tasks, CPU, dtype, training.augment
    )


def moved(meta_parameters: Parameters, seed: int = 0, size: float = 0.2) -> Parameters:
    """Parameters moved off their special starts (zero biases, unit scales) by a little noise."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: p + size * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)
        for name, p in meta_parameters.items()
    }


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-8) -> bool:
    """Whether two tensors agree to `tolerance` of the larger one's norm."""
    size = max(float(expected.norm()), float(found.norm()), 1e-12)
    return found.shape == expected.shape and float((found - expected).norm()) <= tolerance * size
