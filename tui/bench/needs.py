"""What another key would have to be for a key to have an effect."""

from collections.abc import Collection

from engine.presets import Spec

# Keys of `adaptation` that other rules than gradient read.
_OF_RULES: dict[str, Collection[str]] = {
    "distance": ("prototypes", "nearest"),
    "sharpness": ("matching",),
    "full_context": ("matching",),
    "context_steps": ("matching",),
    "ridge": ("ridge",),
    "svm": ("svm",),
}
_EVERY_RULE = ("rule", "running_statistics")
# Keys that one value of a neighbour brings to life.
_OF_NEIGHBOURS: dict[str, tuple[str, Collection[str]]] = {
    "adaptation.momentum": ("adaptation.update", ("momentum",)),
    "adaptation.betas": ("adaptation.update", ("adam",)),
    "adaptation.moments": ("adaptation.update", ("adam",)),
    "adaptation.multi_step": ("adaptation.loss", ("multi-step",)),
    "adaptation.stored_heads": ("adaptation.head", ("stored",)),
    "adaptation.new_head": ("adaptation.head", ("stored",)),
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


def needs(path: str, spec: Spec) -> str:
    """What `path` waits for, in a few words; empty where it has an effect."""
    section, _, key = path.partition(".")
    if section == "adaptation" and (wanted := _of_rule(key.partition(".")[0], spec.adaptation.rule)):
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


def _of_rule(key: str, rule: str) -> str:
    if key in _EVERY_RULE:
        return ""
    wanted = _OF_RULES.get(key, ("gradient",))
    if rule in wanted:
        return ""
    if wanted == ("gradient",):
        return "needs a gradient rule (adaptation.rule)"
    return f"needs adaptation.rule {' or '.join(wanted)}"
