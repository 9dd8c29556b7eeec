"""Which runs of one spec under several seeds are trained together, in one process; told without torch."""


from engine.devices import device_name
from engine.presets import ImageTask, Spec
from engine.presets.shapes import training_shape
from engine.whole_walks import kernels_off, no_whole_walks

SHARED = ("meta-gradient", "interpolate")
"""Outer rules that learn from whole walks."""


def alone(spec: Spec, processes: int | None = None) -> str | None:
    """Why runs of this spec, whatever their seeds, train one after another; None where they may train
    together."""
    if processes is not None and processes > 1:
        return f"{processes} processes share each of its batches"
    if spec.outer.rule not in SHARED:
        return f"the kernels for an mlp know nothing of the outer rule {spec.outer.rule}"
    if isinstance(spec.task, ImageTask):
        return "on images one seed's arithmetic fills the cores"
    if spec.training.time_limit is not None:
        return "a time limit counts the seconds of a run that has its device for itself"
    if device_name(spec.device) != "cpu" or spec.training.precision != "full":
        return "the kernels are for the CPU, and for full precision"
    if (off := kernels_off()) is not None:
        return off
    if (unknown := no_whole_walks(spec.model, spec.adaptation)) is not None:
        return f"the kernels for an mlp know nothing of {unknown}"
    ways, shots, _ = training_shape(spec)
    if spec.adaptation.batch is not None and spec.adaptation.batch < ways * shots:
        return "the kernels for an mlp know nothing of mini-batches of the support set"
    return None


def but_for_seed(spec: Spec) -> str:
    """What specs have in common that differ in their seeds alone."""
    return spec.model_copy(update={"seed": 0}).model_dump_json(exclude={"origin"})


def together_text(others: int) -> str:
    """What a run says of its way where others train with it."""
    return f"with {others} other seed{'' if others == 1 else 's'} in one process"


def alone_text(reason: str) -> str:
    """What a run says of its way where other seeds of its were begun with it and train apart."""
    return f"in a process of its own: {reason}"
