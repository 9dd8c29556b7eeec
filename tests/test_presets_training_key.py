"""A training's key changes with what the training reads, and with nothing else."""

from copy import deepcopy
from typing import Any

import pytest

from engine.presets import Spec, resolve, spec_to_dict, training_key
from engine.presets.layers import leaves
from engine.presets.training_key import training_reads

# Another valid value for every key. A new key must be entered here, and below where it is not read.
OTHER: dict[str, Any] = {
    "task.dataset": "cifar-fs",
    "task.split": "another",
    "task.folder": "another",
    "task.image_size": 32,
    "task.channels": 3,
    "task.rotations": "classes",
    "task.ways": 7,
    "task.shots": 3,
    "task.queries": 11,
    "task.amplitude": [1.0, 2.0],
    "task.phase": [1.0, 2.0],
    "task.frequency": [1.0, 2.0],
    "task.shift": "plus",
    "task.support_x": [1.0, 2.0],
    "task.query_x": [1.0, 2.0],
    "task.oracle": True,
    "model.name": "pixels",
    "model.filters": 3,
    "model.pooling": {"max": "stride", "stride": "max"},
    "model.features": {"mean": "flatten", "flatten": "mean"},
    "model.dropblock": 0.1,
    "model.dropblock_size": 3,
    "model.backbone": "resnet34",
    "model.hidden": [3],
    "model.norm": {"batch": "none", "none": "batch"},
    "model.head": "cosine",
    "model.head_scale": 5.0,
    "adaptation.rule": {"gradient": "nearest", "none": "nearest"},
    "adaptation.steps": 4,
    "adaptation.learning_rate": 0.7,
    "adaptation.update": "adam",
    "adaptation.momentum": 0.5,
    "adaptation.betas": [0.0, 0.9],
    "adaptation.moments": "carried",
    "adaptation.batch": 2,
    "adaptation.learned_rates": "layer",
    "adaptation.loss": "multi-step",
    "adaptation.multi_step.until": 0.4,
    "adaptation.multi_step.floor": 0.1,
    "adaptation.per_step_norms": True,
    "adaptation.running_statistics": True,
    "adaptation.stored_heads": "outer",
    "adaptation.parameters": "body",
    "adaptation.order": 1,
    "adaptation.head": "random",
    "adaptation.new_head": "random",
    "adaptation.loss_reduction": "sum",
    "adaptation.linearised": True,
    "adaptation.constant_memory": True,
    "adaptation.distance": "cosine",
    "adaptation.sharpness": 10.0,
    "adaptation.full_context": True,
    "adaptation.context_steps": 2,
    "adaptation.ridge.lambda": 3.0,
    "adaptation.ridge.learned": False,
    "adaptation.ridge.intercept": False,
    "adaptation.ridge.scale": 3.0,
    "adaptation.svm.c": 3.0,
    "adaptation.svm.scale": 3.0,
    "outer.rule": {"meta-gradient": "none", "joint": "none", "none": "joint"},
    "outer.optimizer": "sgd",
    "outer.learning_rate": 0.7,
    "outer.schedule": "linear",
    "outer.final_learning_rate": 1e-5,
    "outer.drops.at": [0.1],
    "outer.drops.factor": 0.3,
    "outer.clip": 3.0,
    "training.iterations": 77,
    "training.time_limit": 7.0,
    "training.tasks_per_batch": 3,
    "training.examples_per_batch": 33,
    "training.ways": 9,
    "training.shots": 9,
    "training.queries": 9,
    "training.tasks": 9,
    "training.augment": "affine",
    "training.precision": "tf32",
    "training.tasks_at_once": 1,
    "training.record_every": 7,
    "training.checkpoint_every": 7,
    "training.keep": [7],
    "training.validation.every": 7,
    "training.validation.episodes": 7,
    "training.validation.adaptation.rule": {None: "nearest", "gradient": "nearest"},
    "training.validation.adaptation.steps": 6,
    "training.validation.adaptation.learning_rate": 0.6,
    "training.validation.adaptation.update": "adam",
    "training.validation.adaptation.momentum": 0.5,
    "training.validation.adaptation.betas": [0.0, 0.9],
    "training.validation.adaptation.moments": "carried",
    "training.validation.adaptation.batch": 2,
    "training.validation.adaptation.learned_rates": "layer",
    "training.validation.adaptation.parameters": "head",
    "training.validation.adaptation.order": 1,
    "training.validation.adaptation.head": "zero",
    "training.validation.adaptation.new_head": "random",
    "training.validation.adaptation.loss_reduction": "sum",
    "training.validation.adaptation.linearised": True,
    "training.validation.adaptation.constant_memory": True,
    "training.validation.adaptation.distance": "cosine",
    "training.validation.adaptation.sharpness": 10.0,
    "evaluation.episodes": 7,
    "evaluation.seed": 7,
    "evaluation.steps": 7,
    "evaluation.ensemble": 2,
    "evaluation.statistics": "one",
    "evaluation.adaptation.rule": {None: "nearest", "gradient": "nearest"},
    "evaluation.adaptation.steps": 7,
    "evaluation.adaptation.learning_rate": 0.8,
    "evaluation.adaptation.update": "adam",
    "evaluation.adaptation.momentum": 0.5,
    "evaluation.adaptation.betas": [0.0, 0.9],
    "evaluation.adaptation.moments": "carried",
    "evaluation.adaptation.batch": 2,
    "evaluation.adaptation.learned_rates": "layer",
    "evaluation.adaptation.parameters": "body",
    "evaluation.adaptation.order": 1,
    "evaluation.adaptation.head": "random",
    "evaluation.adaptation.new_head": "random",
    "evaluation.adaptation.loss_reduction": "sum",
    "evaluation.adaptation.linearised": True,
    "evaluation.adaptation.constant_memory": True,
    "evaluation.adaptation.distance": "cosine",
    "evaluation.adaptation.sharpness": 10.0,
    "evaluation.tune": {"learning_rate": [0.5]},
    "evaluation.tune.learning_rate": [0.5],
    "evaluation.tune.head": ["random"],
    "evaluation.tune.parameters": ["head"],
    "evaluation.tune.steps": False,
    "evaluation.tune.episodes": 7,
    "seed": 7,
    "device": "cpu",
}

# Read only where another key says so: `test_conditional_reads`.
CONDITIONAL = ("momentum", "betas", "moments", "distance", "sharpness")
NEVER = {
    *(f"{section}adaptation.{name}" for section in ("", "training.validation.") for name in CONDITIONAL),
    "adaptation.loss",
    "adaptation.multi_step.until",
    "adaptation.multi_step.floor",
    "adaptation.stored_heads",
    "adaptation.full_context",
    "adaptation.context_steps",
    *(f"adaptation.ridge.{name}" for name in ("lambda", "learned", "intercept", "scale")),
    "adaptation.svm.c",
    "adaptation.svm.scale",
    "model.head_scale",
    "seed",
    "device",
    "adaptation.constant_memory",
    "adaptation.new_head",
    "outer.drops.at",
    "outer.drops.factor",
    "training.tasks_at_once",
    "training.record_every",
    "training.checkpoint_every",
    "training.keep",
    "training.validation.adaptation.order",
    "training.validation.adaptation.new_head",
    "training.validation.adaptation.constant_memory",
}
STEPPED = ("update", "batch", "learned_rates", "linearised")
LARGER = {"model.dropblock", "model.dropblock_size", "model.backbone"}
CONV4 = {"model.hidden"} | LARGER
MLP = {"model.filters", "model.pooling", "model.features"} | LARGER
ADAPTATION = {
    f"adaptation.{name}"
    for name in ("rule", "steps", "learning_rate", "parameters", "order", "head", "loss_reduction")
}
BATCH = {f"training.{name}" for name in ("tasks_per_batch", "ways", "shots", "queries")}


def meta_images() -> tuple[dict[str, Any], set[str]]:
    """MAML on images with a cosine schedule; training.queries given: validation still reads task.queries."""
    spec = resolve(
        "omniglot-5way-1shot", "maml", overrides=["outer.schedule=cosine", "training.queries=5"]
    ).spec
    return spec_to_dict(spec), NEVER | CONV4 | {"training.examples_per_batch"}


def meta_sine() -> tuple[dict[str, Any], set[str]]:
    """MAML on waves, without norms (no statistics) and at a constant rate."""
    overrides = ["outer.schedule=constant", "outer.final_learning_rate=0"]
    spec = resolve("sine-10shot", "maml", overrides=overrides).spec
    unread = {
        "training.ways",
        "training.examples_per_batch",
        "evaluation.statistics",
        "outer.final_learning_rate",
    }
    return spec_to_dict(spec), NEVER | MLP | unread


def joint_images() -> tuple[dict[str, Any], set[str]]:
    """Joint training with its number of examples given; validation by class means without steps."""
    overrides = ["training.examples_per_batch=100", "outer.schedule=cosine"]
    spec = resolve("omniglot-5way-1shot", "pretrain", overrides=overrides).spec
    unread = {"adaptation.order", "adaptation.rule", "adaptation.steps", "adaptation.head", "training.tasks"}
    # Class means take no steps.
    unread |= {"adaptation.learning_rate", "adaptation.parameters", "adaptation.loss_reduction"}
    steps = ("learning_rate", "parameters", "loss_reduction", *STEPPED)
    unread |= {f"adaptation.{name}" for name in (*STEPPED, "per_step_norms")}
    unread |= {f"training.validation.adaptation.{name}" for name in steps}
    return spec_to_dict(spec), NEVER | CONV4 | BATCH | unread


def joint_sine() -> tuple[dict[str, Any], set[str]]:
    """Joint training on as many points as a meta-batch has."""
    overrides = ["outer.schedule=constant"]
    spec = resolve("sine-10shot", "pretrain", overrides=overrides).spec
    unread = {"training.ways", "evaluation.statistics", "outer.final_learning_rate"}
    overlaid = {f"adaptation.{name}" for name in ("rule", "order", "steps", "head", "learning_rate")}
    return spec_to_dict(spec), NEVER | MLP | unread | overlaid


def untrained() -> tuple[dict[str, Any], set[str]]:
    """From scratch: the initial model, and of the adaptation whether there is a learned head."""
    spec = resolve("omniglot-5way-1shot", "scratch").spec
    training = {key for key in OTHER if key.startswith("training.")} - {"training.ways"}
    outer = {key for key in OTHER if key.startswith("outer.")} - {"outer.rule"}
    task = {"task.split", "task.rotations", "task.shots", "task.queries"}
    adaptation = ADAPTATION - {"adaptation.rule", "adaptation.head"}
    adaptation |= {f"adaptation.{name}" for name in (*STEPPED, "per_step_norms", "running_statistics")}
    unread = training | outer | task | adaptation | {"evaluation.seed", "evaluation.statistics"}
    return spec_to_dict(spec), NEVER | CONV4 | unread


def with_value(content: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    changed = deepcopy(content)
    section = changed
    for part in key.split(".")[:-1]:
        section = section[part]
    section[key.split(".")[-1]] = value
    return changed


def other(content: dict[str, Any], key: str) -> Any:
    value = OTHER[key]
    if isinstance(value, dict) and key != "evaluation.tune":
        present: Any = content
        for part in key.split("."):
            present = present[part]
        return value[present]
    return value


@pytest.mark.parametrize("case", [meta_images, meta_sine, joint_images, joint_sine, untrained])
def test_the_key_changes_with_what_training_reads_and_nothing_else(case: Any) -> None:
    content, unread = case()
    before = training_key(Spec.model_validate(content))
    wrong = []
    for path, value in leaves(content):
        key = ".".join(path)
        if key == "kind" or key.startswith("origin.") or (key, value) == ("task.dataset", "sine"):
            continue
        changed = with_value(content, key, other(content, key))
        assert changed != content, f"{key}: the other value is the same ({value})"
        same = training_key(Spec.model_validate(changed)) == before
        tested_alone = key.startswith("evaluation.") and key not in (
            "evaluation.seed",
            "evaluation.statistics",
        )
        if same != (key in unread or tested_alone):
            wrong.append(f"{key}: {'not read' if same else 'read'}")
    assert wrong == []


def test_origin_is_not_read() -> None:
    spec = resolve("omniglot-5way-1shot", "maml").spec
    renamed = spec.model_copy(
        update={"origin": spec.origin.model_copy(update={"task": "x", "algorithm": "y"})}
    )
    assert training_key(renamed) == training_key(spec)


def differ(*keys: str) -> bool:
    """Whether no two of the keys are the same."""
    return len(set(keys)) == len(keys)


def test_conditional_reads() -> None:
    """What is read only where another key says so."""

    def key(*overrides: str, task: str = "omniglot-5way-1shot", algorithm: str = "maml") -> str:
        return training_key(resolve(task, algorithm, overrides=overrides).spec)

    stored = ("adaptation.head=stored", "training.tasks=20")
    assert key(*stored) != key(*stored, "adaptation.new_head=random")
    outer_heads = "adaptation.stored_heads=outer"
    assert key(*stored) != key(*stored, outer_heads)
    adam = "adaptation.update=adam"
    moments = key(adam, "adaptation.moments=carried")
    assert differ(key(adam), key(adam, "adaptation.betas=[0, 0.999]"), moments)
    assert key(adam) == key(adam, "adaptation.momentum=0.5")
    assert key("adaptation.update=momentum") != key("adaptation.update=momentum", "adaptation.momentum=0.5")
    steps, multi = "adaptation.steps=3", "adaptation.loss=multi-step"
    assert differ(key(steps), key(steps, multi), key(steps, multi, "adaptation.multi_step.until=0.5"))
    metric, cosine = {"algorithm": "protonet"}, "adaptation.distance=cosine"
    assert key(**metric) != key(cosine, **metric) and key(**metric) == key("adaptation.order=1", **metric)
    matching = {"algorithm": "matching"}
    assert key(**matching) != key("adaptation.sharpness=3", **matching)
    context = "adaptation.full_context=true"
    twice = "adaptation.context_steps=2"
    assert differ(key(**matching), key(context, **matching), key(context, twice, **matching))
    assert key(**matching) == key(twice, "adaptation.steps=3", **matching)
    ridge, svm = {"algorithm": "r2d2"}, {"algorithm": "metaoptnet"}
    other_start = key("adaptation.ridge.lambda=3", **ridge)
    assert differ(key(**ridge), other_start, key("adaptation.ridge.scale=3", **ridge))
    assert key(**svm) != key("adaptation.svm.c=3", **svm) and key(**svm) == key("adaptation.order=1", **svm)
    untrained = "outer.rule=none"
    assert key(untrained, **ridge) != key(untrained, "adaptation.ridge.lambda=3", **ridge)
    classifier = "model.head=cosine"
    assert key(classifier) != key(classifier, "model.head_scale=3") and key() == key("model.head_scale=3")
    drops = "outer.schedule=drops"
    assert key(drops) != key(drops, "outer.drops.factor=0.5")
    assert key(drops) == key(drops, "outer.final_learning_rate=1e-6")
    assert key("task.queries=5", "training.queries=5") == key("training.queries=5", "task.queries=5")
    assert key("model.norm=none") == key("model.norm=none", "evaluation.statistics=one")
    assert key("evaluation.statistics=query") != key("evaluation.statistics=one")
    apart = ("task.support_x=[0, 1]", "training.examples_per_batch=100")
    waves = {"task": "sine-10shot", "algorithm": "pretrain"}
    assert key(*apart, **waves) != key(*apart, "training.queries=90", **waves)
    together = "training.examples_per_batch=100"
    assert key(together, **waves) == key(together, "training.queries=90", **waves)


def test_effective_values_count_and_not_who_gave_them() -> None:
    def key(*overrides: str) -> str:
        return training_key(resolve("omniglot-5way-1shot", "maml", overrides=overrides).spec)

    assert key("training.shots=1", "training.ways=5") == key("training.shots=null", "training.ways=null")
    spec = resolve("glyphs-5way-1shot", "pretrain").spec
    examples = spec.training.tasks_per_batch * 5 * (1 + (spec.training.queries or spec.task.queries))
    given = resolve(
        "glyphs-5way-1shot", "pretrain", overrides=[f"training.examples_per_batch={examples}"]
    ).spec
    assert training_key(given) == training_key(spec)


@pytest.mark.parametrize("task", ["omniglot-5way-1shot", "sine-10shot", "miniimagenet-5way-5shot"])
@pytest.mark.parametrize("budget", ["quick", "paper"])
def test_what_differs_in_testing_alone_shares_a_training(task: str, budget: str) -> None:
    one, two = (
        training_key(resolve(task, name, budget=budget).spec) for name in ("pretrain", "pretrain-head")
    )
    assert one == two
    maml, fomaml = (training_key(resolve(task, name, budget=budget).spec) for name in ("maml", "fomaml"))
    assert len({one, maml, fomaml}) == 3


def test_the_key_is_sixteen_hex_digits_of_plain_values() -> None:
    spec = resolve("omniglot-5way-1shot", "maml", overrides=["adaptation.order={from: 1, to: 2}"]).spec
    assert len(training_key(spec)) == 16
    int(training_key(spec), 16)
    assert training_reads(spec)["adaptation"]["order"] == {"start": 1, "to": 2, "at": 0.5}
