"""Which key is read by what: what another key would have to be for a key to have an effect."""

from collections.abc import Callable, Collection, Iterable, Iterator

from engine.presets.contradiction import Contradiction
from engine.presets.layers import Leaf, Tree
from engine.presets.overlay import test_adaptation, validation_adaptation
from engine.presets.schema import Adaptation, Spec

# Keys of `adaptation` that other rules than gradient read.
OF_RULES: dict[str, Collection[str]] = {
    "distance": ("nearest", "prototypes"),
    "sharpness": ("matching",),
    "full_context": ("matching",),
    "context_steps": ("matching",),
    "ridge": ("ridge",),
    "svm": ("svm",),
}
_EVERY_RULE = ("rule", "running_statistics")
# Keys of `adaptation` that one value of a neighbour there brings to life.
_OF_SWITCHES: dict[str, tuple[str, str]] = {
    "momentum": ("update", "momentum"),
    "betas": ("update", "adam"),
    "moments": ("update", "adam"),
    "multi_step": ("loss", "multi-step"),
    "stored_heads": ("head", "stored"),
    "new_head": ("head", "stored"),
}
# Keys that one value of another section's, or of a neighbour's, brings to life.
_OF_NEIGHBOURS: dict[str, tuple[str, Collection[str]]] = {
    "adaptation.order": ("outer.rule", ("meta-gradient",)),
    "adaptation.constant_memory": ("outer.rule", ("meta-gradient",)),
    "outer.drops": ("outer.schedule", ("drops",)),
    "outer.final_learning_rate": ("outer.schedule", ("cosine", "linear")),
    "training.examples_per_batch": ("outer.rule", ("joint",)),
    "model.filters": ("model.name", ("conv4", "resnet12")),
    "model.pooling": ("model.name", ("conv4",)),
    "model.features": ("model.name", ("conv4", "resnet12", "torchvision")),
    "model.hidden": ("model.name", ("mlp",)),
    "model.dropblock": ("model.name", ("resnet12",)),
    "model.backbone": ("model.name", ("torchvision",)),
    "model.head_scale": ("model.head", ("cosine",)),
}
OWN = ("adaptation", "outer")
"""Sections of an algorithm's own; its model may meet a task that brings another."""


def needs(path: str, spec: Spec) -> str:
    """What `path` waits for, in a few words; empty where it has an effect."""
    section, _, key = path.partition(".")
    if section == "adaptation" and (wanted := _of_adaptation(key.partition(".")[0], spec)):
        return wanted
    if section == "outer" and key != "rule" and spec.outer.rule == "none":
        return "needs an outer rule (outer.rule)"
    if section == "training" and spec.outer.rule == "none":
        return "nothing is trained (outer.rule is none)"
    neighbour, values = _OF_NEIGHBOURS.get(".".join(path.split(".")[:2]), ("", ()))
    if neighbour:
        of, name = neighbour.split(".")
        if getattr(getattr(spec, of), name) not in values:
            return f"needs {neighbour} {' or '.join(values)}"
    return ""


def _of_adaptation(key: str, spec: Spec) -> str:
    """What none of the inner loops that take `adaptation`'s own value of this key has."""
    if key in _EVERY_RULE:
        return ""
    used = list(_users(key, spec))
    wanted = OF_RULES.get(key, ("gradient",))
    reading = [each for each in used if each.rule in wanted]
    if not reading and wanted == ("gradient",):
        return "needs a gradient rule (adaptation.rule)"
    if not reading:
        return f"needs adaptation.rule {' or '.join(wanted)}"
    switch, value = _OF_SWITCHES.get(key, ("", ""))
    if switch and all(getattr(each, switch) != value for each in reading):
        return f"needs adaptation.{switch} {value}"
    return ""


def _users(key: str, spec: Spec) -> Iterator[Adaptation]:
    """The inner loops of training, validation and testing that do not lay a value of their own over it."""
    yield spec.adaptation
    if spec.outer.rule != "none" and getattr(spec.training.validation.adaptation, key, None) is None:
        yield validation_adaptation(spec)
    if getattr(spec.evaluation.adaptation, key, None) is None:
        yield test_adaptation(spec)


def unread(given: Iterable[str], spec: Spec) -> Contradiction | None:
    """The first of the keys that were given for this algorithm which nothing reads, if there is one.

    `given` are dotted keys. What a task gives to all algorithms, or a comparison to all its rows, is not
    asked: a rate is there for those that read it.
    """
    for path in given:
        if wanted := needs(path, spec):
            reason = f"{path} is read by nothing in {spec.origin.algorithm}: {wanted}"
            return Contradiction(reason, (path,))
    return None


def given_by(
    tree: Tree, wanted: Callable[[Leaf], bool], sections: Collection[str] | None = None
) -> list[str]:
    """Dotted keys of the leaves of a merged tree that are `wanted` and that no `null` restored."""
    found: list[str] = []

    def walk(node: Leaf | Tree, path: str) -> None:
        if isinstance(node, Leaf):
            if wanted(node) and not node.restored:
                found.append(path)
            return
        for key, inner in node.items():
            walk(inner, f"{path}.{key}" if path else key)

    for section, node in tree.items():
        if sections is None or section in sections:
            walk(node, section)
    return found
