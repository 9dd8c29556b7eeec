"""What a training reads, as a key: two specs of one key share a training (contracts §3, reuse)."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from engine.presets.overlay import validation_adaptation
from engine.presets.schema import Adaptation, ImageTask, Model, SineTask, Spec
from engine.presets.shapes import training_shape

NUMERICS_VERSION = 6
"""Raised whenever the engine's numbers or checkpoints change, so that no training from before is reused."""

_MODEL_KEYS = {
    "conv4": ("filters", "pooling", "features", "norm"),
    "resnet12": ("filters", "features"),
    "torchvision": ("backbone", "features"),
    "mlp": ("hidden", "norm"),
    "pixels": (),
}
_RULE_KEYS = {
    "nearest": ("distance",),
    "prototypes": ("distance",),
    "matching": ("sharpness", "full_context"),
}
_DATA_KEYS = ("dataset", "folder", "image_size", "channels")


def training_key(spec: Spec) -> str:
    """16 hex digits over everything that the spec's training reads, the seed apart."""
    read = {"numerics": NUMERICS_VERSION, **training_reads(spec)}
    text = json.dumps(read, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def training_reads(spec: Spec) -> dict[str, Any]:
    """The values that training reads, effective ones where a key stands for another: plain and nested."""
    reads: dict[str, Any] = {"outer": spec.outer.rule, "model": _model(spec.model), "data": _data(spec)}
    if spec.outer.rule == "none":
        solved = {"rule": _rule(spec.adaptation)} if spec.adaptation.rule in ("ridge", "svm") else {}
        return reads | {"initial_head": _initial_head(spec)} | solved
    reads |= {"optimizer": _optimizer(spec), "validation": _validation(spec)}
    reads |= {"iterations": spec.training.iterations, "time_limit": spec.training.time_limit}
    if spec.training.precision != "full":
        reads["precision"] = spec.training.precision
    if spec.adaptation.running_statistics:
        reads["running_statistics"] = True
    return reads | (_joint(spec) if spec.outer.rule == "joint" else _episodes(spec))


def _model(model: Model) -> dict[str, Any]:
    head = {"head": model.head, "head_scale": model.head_scale} if model.head == "cosine" else {}
    return {"name": model.name, **{name: getattr(model, name) for name in _model_keys(model)}} | head


def _model_keys(model: Model) -> tuple[str, ...]:
    drops = model.name == "resnet12" and model.dropblock > 0
    return (*_MODEL_KEYS[model.name], *(("dropblock", "dropblock_size") if drops else ()))


def _data(spec: Spec) -> dict[str, Any]:
    """The data that training draws from; for a model that is not trained, what its inputs look like."""
    task = spec.task
    if isinstance(task, ImageTask):
        names: tuple[str, ...] = (
            _DATA_KEYS if spec.outer.rule == "none" else (*_DATA_KEYS, "split", "rotations")
        )
    elif spec.outer.rule == "none":
        names = ("dataset",)
    else:
        names = ("dataset", "amplitude", "phase", "frequency", "shift", "support_x", "query_x")
    reads = {name: getattr(task, name) for name in names}
    if spec.training.augment != "none" and spec.outer.rule != "none":
        reads["augment"] = spec.training.augment
    if isinstance(task, SineTask) and task.oracle:
        # Without training only how many numbers an input has counts.
        told = [low < high for low, high in (task.amplitude, task.phase, task.frequency)]
        reads["oracle"] = True if spec.outer.rule != "none" else sum(told)
    if task.dataset == "glyphs":
        from engine.data.glyphs import VERSION

        reads["version"] = VERSION
    return reads


def _initial_head(spec: Spec) -> Any:
    """Outputs of the head that is initialised, if there is one."""
    if spec.adaptation.rule != "gradient" or spec.adaptation.head != "learned":
        return None
    return training_shape(spec).ways


def _optimizer(spec: Spec) -> dict[str, Any]:
    outer = spec.outer
    read: dict[str, Any] = {
        name: getattr(outer, name) for name in ("optimizer", "learning_rate", "schedule", "clip")
    }
    if outer.schedule in ("cosine", "linear"):
        read["final_learning_rate"] = outer.final_learning_rate
    if outer.schedule == "drops":
        read["drops"] = outer.drops.model_dump(mode="json")
    return read


def _joint(spec: Spec) -> dict[str, Any]:
    """Joint training reads no episodes: how many examples there are in a batch, and where sines draw them."""
    shape, training, task = training_shape(spec), spec.training, spec.task
    meta_batch = training.tasks_per_batch * shape.examples
    read: dict[str, Any] = {"examples": training.examples_per_batch or meta_batch}
    if isinstance(task, SineTask):
        read["tasks"] = training.tasks
        if task.support_x != task.query_x:
            read |= {"shots": shape.shots, "queries": shape.queries}
    return read


def _episodes(spec: Spec) -> dict[str, Any]:
    training, order = spec.training, spec.adaptation.order
    adaptation = _rule(spec.adaptation)
    if spec.outer.rule == "meta-gradient" and spec.adaptation.rule == "gradient":
        adaptation["order"] = order if isinstance(order, int) else order.model_dump(mode="json")
        adaptation |= _counted_losses(spec.adaptation)
    return {
        **training_shape(spec)._asdict(),
        "tasks_per_batch": training.tasks_per_batch,
        "tasks": training.tasks,
        "adaptation": adaptation,
    }


def _validation(spec: Spec) -> dict[str, Any]:
    """Validation chooses the best checkpoint, so what it reads counts."""
    validation, task, adaptation = spec.training.validation, spec.task, validation_adaptation(spec)
    ways = {"ways": task.ways} if isinstance(task, ImageTask) else {}
    read: dict[str, Any] = {
        "every": validation.every,
        "episodes": validation.episodes,
        "seed": spec.evaluation.seed,
        **ways,
        "shots": task.shots,
        "queries": task.queries,
        "adaptation": _rule(adaptation),
    }
    if spec.model.name != "pixels" and spec.model.norm == "batch":
        read["statistics"] = spec.evaluation.statistics
    return read


def _rule(adaptation: Adaptation) -> dict[str, Any]:
    """What an adaptation rule reads; memory switches change no number."""
    if adaptation.rule == "gradient":
        return _gradient(adaptation)
    if adaptation.rule in ("ridge", "svm"):
        return {"rule": adaptation.rule, **getattr(adaptation, adaptation.rule).model_dump(mode="json")}
    names = list(_RULE_KEYS.get(adaptation.rule, ()))
    if adaptation.rule == "matching" and adaptation.full_context:
        names.append("context_steps")
    return {"rule": adaptation.rule} | {name: getattr(adaptation, name) for name in names}


def _gradient(adaptation: Adaptation) -> dict[str, Any]:
    names = ["rule", "steps", "head"]
    if adaptation.steps:
        names += ["learning_rate", "parameters", "loss_reduction"]
    if adaptation.head == "stored":
        names.append("new_head")
    read = {name: getattr(adaptation, name) for name in names}
    # Switches that are off are left out, so that a new switch changes no key of before.
    return read | {name: value for name, value in _switches(adaptation) if value != _default(name)}


def _switches(adaptation: Adaptation) -> Iterator[tuple[str, Any]]:
    names = []
    if adaptation.steps:
        names += ["update", "batch", "learned_rates", "per_step_norms", "linearised"]
        names += {"sgd": [], "momentum": ["momentum"], "adam": ["betas", "moments"]}[adaptation.update]
    if adaptation.head == "stored":
        names.append("stored_heads")
    return ((name, getattr(adaptation, name)) for name in names)


def _counted_losses(adaptation: Adaptation) -> dict[str, Any]:
    """After which steps the query loss counts."""
    if adaptation.loss == "last" or adaptation.rule != "gradient" or adaptation.steps < 2:
        return {}
    return {"loss": adaptation.loss, "multi_step": adaptation.multi_step.model_dump(mode="json")}


def _default(name: str) -> Any:
    return Adaptation.model_fields[name].default
