"""The names of a model's parameters, told from its settings alone, and which of them adapt."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from engine.presets.schema import Adaptation, Model

HEAD_NAMES = ("head.weight", "head.bias")
RESNET12_BLOCKS, RESNET12_CONVOLUTIONS = 4, 3
RESIDUAL_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
"""Of each backbone of torchvision: blocks of its four layers."""


def head_names(model: Model) -> tuple[str, ...]:
    """The names of a head's parameters: a cosine head has no bias."""
    return HEAD_NAMES if model.head == "linear" else HEAD_NAMES[:1]


def parameter_names(model: Model) -> tuple[str, ...]:
    """Every name that `adaptation.parameters` may fit: the body's, in order, and the head's."""
    return (*_body_names(model), *head_names(model))


def _body_names(model: Model) -> Iterator[str]:
    if model.name == "pixels":
        return
    if model.name == "resnet12":
        yield from _resnet12_names()
        return
    if model.name == "torchvision":
        yield from _residual_names(RESIDUAL_BLOCKS[model.backbone])
        return
    layer, count = ("conv", 4) if model.name == "conv4" else ("linear", len(model.hidden))
    for number in range(1, count + 1):
        yield f"{layer}{number}.weight"
        if layer == "linear" or model.norm == "none":
            yield f"{layer}{number}.bias"
        if model.norm == "batch":
            yield from (f"norm{number}.scale", f"norm{number}.shift")


def _norm(name: str) -> tuple[str, str]:
    return (f"{name}.scale", f"{name}.shift")


def _resnet12_names() -> Iterator[str]:
    for block in range(1, RESNET12_BLOCKS + 1):
        for number in range(1, RESNET12_CONVOLUTIONS + 1):
            yield from (f"block{block}.conv{number}.weight", *_norm(f"block{block}.norm{number}"))
        yield from (f"block{block}.shortcut.weight", *_norm(f"block{block}.shortcut_norm"))


def _residual_names(blocks: tuple[int, ...]) -> Iterator[str]:
    """torchvision's names; its norms' weight and bias are our scale and shift."""
    yield from ("conv1.weight", *_norm("bn1"))
    for layer, count in enumerate(blocks, start=1):
        for block in range(count):
            at = f"layer{layer}.{block}"
            for number in (1, 2):
                yield from (f"{at}.conv{number}.weight", *_norm(f"{at}.bn{number}"))
            if layer > 1 and block == 0:
                yield from (f"{at}.downsample.0.weight", *_norm(f"{at}.downsample.1"))


def unfitting_pattern(parameters: str | tuple[str, ...], model: Model) -> str | None:
    """The first pattern that fits no parameter of the model; None where all do."""
    patterns = () if isinstance(parameters, str) else parameters
    names = parameter_names(model)
    return next((p for p in patterns if not any(fnmatchcase(name, p) for name in names)), None)


def moves_head(parameters: str | tuple[str, ...]) -> bool:
    """Whether the head's weight is among what adapts."""
    if isinstance(parameters, str):
        return parameters != "body"
    return any(fnmatchcase(HEAD_NAMES[0], pattern) for pattern in parameters)


def head_at_zero(adaptation: Adaptation) -> bool:
    """Whether a task outside the training set starts from a head of zeros."""
    return adaptation.head == "zero" or (adaptation.head == "stored" and adaptation.new_head == "zero")
