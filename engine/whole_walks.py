"""Which settings of gradient steps on an mlp the kernels walk whole, told without torch."""

import os

from engine.presets.schema import Adaptation, Model

MOST_LAYERS = 16


def kernels_off() -> str | None:
    """What turned the kernels off; None where nothing did."""
    value = os.environ.get("KSHOT_KERNELS", "")
    return f"KSHOT_KERNELS is {value}" if value.lower() in ("0", "off", "no", "false") else None


def no_whole_walks(model: Model, adaptation: Adaptation) -> str | None:
    """What the kernels' whole walks of gradient steps on an mlp do not know of a setting; None if nothing."""
    if adaptation.rule != "gradient":
        return f"the rule {adaptation.rule}"
    unknown = {
        f"the body {model.name}": model.name != "mlp",
        "normalised layers": model.norm != "none",
        f"a {model.head} head": model.head != "linear",
        f"{len(model.hidden)} hidden layers": len(model.hidden) >= MOST_LAYERS,
        f"the update {adaptation.update}": adaptation.update != "sgd",
        "heads made of class means": adaptation.head == "means",
        "linearised models": adaptation.linearised,
    }
    return next((what for what, is_so in unknown.items() if is_so), None)
