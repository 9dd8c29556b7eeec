"""Each algorithm on every task at every budget is what its paper and its own file say."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from engine.errors import RequestError
from engine.presets import (
    ImageTask,
    Spec,
    list_presets,
    load_preset,
    resolve,
    spec_to_dict,
    test_adaptation,
    training_key,
    validation_adaptation,
)
from engine.presets.layers import leaves

TASKS = [preset.name for preset in list_presets("tasks")]
ALGORITHMS = [preset.name for preset in list_presets("algorithms")]
COMPARE_CLASSES = {"pixel-nearest", "protonet", "matching", "siamese", "nil", "pretrain-nearest"}
COMPARE_CLASSES |= {"matching-full-context", "pretrain-centroid", "pretrain-cosine", "metaoptnet"}
"""Those that make no sense for tasks without classes."""

# The rule in training, the outer rule, and the rule in testing. A new algorithm is entered here.
RULES = {
    **dict.fromkeys(
        ("maml", "fomaml", "anil", "boil", "meta-sgd", "maml++", "maml-negative-rate", "maml-no-conv"),
        ("gradient", "meta-gradient", "gradient"),
    ),
    **dict.fromkeys(
        ("maml-msl", "maml-da", "maml-bn", "maml-bnrs", "maml-bnwb", "maml-lslr", "maml-ca"),
        ("gradient", "meta-gradient", "gradient"),
    ),
    "maml-layer-rates": ("gradient", "meta-gradient", "gradient"),
    "multitask-union": ("gradient", "meta-gradient", "gradient"),
    "nil": ("gradient", "meta-gradient", "matching"),
    "reptile": ("gradient", "interpolate", "gradient"),
    "r2d2": ("ridge", "meta-gradient", "ridge"),
    "metaoptnet-ridge": ("ridge", "meta-gradient", "ridge"),
    "metaoptnet": ("svm", "meta-gradient", "svm"),
    "protonet": ("prototypes", "meta-gradient", "prototypes"),
    "matching": ("matching", "meta-gradient", "matching"),
    "matching-full-context": ("matching", "meta-gradient", "matching"),
    "siamese": ("siamese", "meta-gradient", "siamese"),
    **dict.fromkeys(("pretrain", "pretrain-head", "pretrain-cosine"), ("none", "joint", "gradient")),
    "pretrain-nearest": ("none", "joint", "nearest"),
    "pretrain-centroid": ("none", "joint", "prototypes"),
    "oracle": ("none", "joint", "none"),
    "pixel-nearest": ("nearest", "none", "nearest"),
    **dict.fromkeys(("scratch", "random-init"), ("gradient", "none", "gradient")),
}

budgets = pytest.mark.parametrize("budget", ["quick", "paper"])


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """Reading files takes most of the time of resolving; they stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.presets.resolving.load_preset", cache(load_preset))
        yield


@cache
def specs_of(task: str, budget: str) -> dict[str, Spec]:
    """Every algorithm that makes sense on a task, resolved."""
    senseless = COMPARE_CLASSES if task.startswith("sine") else {"oracle"}
    names = [name for name in ALGORITHMS if name not in senseless]
    return {name: resolve(task, name, budget=budget).spec for name in names}


def everywhere(algorithm: str, budget: str) -> Iterator[tuple[str, Spec]]:
    """An algorithm on every task where it makes sense."""
    for task in TASKS:
        if algorithm in specs_of(task, budget):
            yield task, specs_of(task, budget)[algorithm]


def values(spec: Spec) -> dict[str, Any]:
    """Every value of a spec by its dotted key; where it came from is left out."""
    flat = {".".join(path): value for path, value in leaves(spec_to_dict(spec))}
    return {key: value for key, value in flat.items() if not key.startswith("origin.")}


def changes(before: Spec, after: Spec) -> dict[str, Any]:
    """What `after` has where the two differ; None for a key that it lacks."""
    old, new = values(before), values(after)
    return {key: new.get(key) for key in old | new if old.get(key) != new.get(key)}


def is_sine(task: str) -> bool:
    return task.startswith("sine")


@budgets
@pytest.mark.parametrize("task", TASKS)
def test_every_pair_resolves(task: str, budget: str) -> None:
    found = specs_of(task, budget)
    for algorithm in set(ALGORITHMS) - set(found):
        with pytest.raises(RequestError):
            resolve(task, algorithm, budget=budget)
    for algorithm, spec in found.items():
        assert (spec.origin.task, spec.origin.algorithm, spec.origin.budget) == (task, algorithm, budget)
        assert (algorithm == "oracle") == getattr(spec.task, "oracle", False)
        named = f"-{spec.task.shots}shot"
        if isinstance(spec.task, ImageTask):
            named = f"{spec.task.dataset}-{spec.task.ways}way{named}"
        assert task.endswith(named)


@budgets
def test_every_algorithm_has_its_rules(budget: str) -> None:
    for task in TASKS:
        for algorithm, spec in specs_of(task, budget).items():
            found = (spec.adaptation.rule, spec.outer.rule, test_adaptation(spec).rule)
            assert found == RULES[algorithm], f"{algorithm} on {task}"


# What trainings share

SHARED = [{"maml", "nil"}, {"pretrain", "pretrain-head", "pretrain-nearest", "pretrain-centroid"}]
SHARED += [{"scratch", "random-init"}]


@budgets
@pytest.mark.parametrize("task", TASKS)
def test_trainings_are_shared_where_they_are_the_same_and_nowhere_else(task: str, budget: str) -> None:
    by_key = defaultdict(set)
    for algorithm, spec in specs_of(task, budget).items():
        by_key[training_key(spec)].add(algorithm)
    there = set(specs_of(task, budget))
    expected = [names & there for names in SHARED if len(names & there) > 1]
    shared = [names for names in by_key.values() if len(names) > 1]
    assert sorted(map(sorted, shared)) == sorted(map(sorted, expected))


# MAML and what is one switch away from it


@budgets
@pytest.mark.parametrize(
    ("algorithm", "switch"),
    [
        ("fomaml", {"adaptation.order": 1}),
        ("anil", {"adaptation.parameters": "head"}),
        ("boil", {"adaptation.parameters": "body"}),
        ("maml-layer-rates", {"adaptation.learned_rates": "layer"}),
        ("nil", {"evaluation.adaptation.rule": "matching"}),
    ],
)
def test_one_switch_from_maml(algorithm: str, switch: dict[str, Any], budget: str) -> None:
    for task, spec in everywhere(algorithm, budget):
        maml = specs_of(task, budget)["maml"]
        assert (maml.adaptation.order, maml.adaptation.parameters) == (2, "all")
        assert changes(maml, spec) == switch, task


@budgets
def test_maml_without_convolutions_has_another_model_alone(budget: str) -> None:
    for task, spec in everywhere("maml-no-conv", budget):
        assert (spec.model.name, spec.model.hidden) == ("mlp", (256, 128, 64, 64)), task
        assert spec.model.norm == "batch"
        assert {key.split(".")[0] for key in changes(specs_of(task, budget)["maml"], spec)} == {"model"}, task


# MAML++ (Antoniou 2019) and its parts

ANNEALED = {"adaptation.order.from": 1, "adaptation.order.to": 2, "adaptation.order.at": 0.5}
ANNEALED |= {"adaptation.order": None}
KEPT = {"adaptation.running_statistics": True}
READ = KEPT | {"evaluation.statistics": "running"}
NORMS = {"adaptation.per_step_norms": True}
COSINE = {"outer.schedule": "cosine", "outer.final_learning_rate": 1e-5}
PARTS: dict[str, dict[str, Any]] = {
    "maml-msl": {"adaptation.loss": "multi-step"},
    "maml-da": ANNEALED,
    "maml-bnrs": READ,
    "maml-bnwb": NORMS,
    "maml-bn": KEPT | NORMS,  # kept and not read, as in the released code
    "maml-lslr": {"adaptation.learned_rates": "layer-step"},
    "maml-ca": COSINE,
}

# On waves learned rates stay whole in two steps at a low outer rate.
WHOLE = {"adaptation.steps": 2, "evaluation.steps": 2, "outer.learning_rate": 1e-3}


def five_steps(task: str, budget: str) -> dict[str, Any]:
    """MAML's values with MAML++'s steps and rate: 5 in training and testing; 0.1, on waves 0.01."""
    rate = 0.01 if is_sine(task) else 0.1
    changed = {"adaptation.steps": 5, "adaptation.learning_rate": rate, "evaluation.steps": 5}
    return values(specs_of(task, budget)["maml"]) | changed


def given(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value is not None}


@budgets
@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_maml_plus_plus_is_one_switch_from_maml_of_five_steps(part: str, budget: str) -> None:
    for task, spec in everywhere(part, budget):
        needed: dict[str, Any] = {}
        if is_sine(task) and part.startswith("maml-bn"):
            needed = {"model.norm": "batch"}
        if is_sine(task) and part == "maml-lslr":
            needed = WHOLE
        assert given(values(spec)) == given(five_steps(task, budget) | needed | PARTS[part]), task
        steps = needed.get("evaluation.steps", 5)
        assert validation_adaptation(spec).steps == test_adaptation(spec).steps == steps


@budgets
def test_maml_plus_plus_is_all_of_its_parts(budget: str) -> None:
    """It tests by the queries' own statistics, as the released code does."""
    parts = [part for part in PARTS if part != "maml-bnrs"]
    switches = {key: value for part in parts for key, value in PARTS[part].items()}
    for task, spec in everywhere("maml++", budget):
        expected = five_steps(task, budget) | switches
        if is_sine(task):  # a model without norms; so few steps and such a rate that learned rates stay whole
            expected |= dict.fromkeys(("adaptation.per_step_norms", "adaptation.running_statistics"), False)
            expected |= WHOLE
        published = task.startswith(("omniglot", "glyphs", "miniimagenet"))
        if budget == "paper" and published:  # references: 100 epochs of 500 iterations, five best checkpoints
            mini = task.startswith("mini")
            expected |= {"training.iterations": 50000, "training.tasks_per_batch": 2 if mini else 8}
            expected |= {"training.validation.every": 500, "evaluation.ensemble": 5}
            if mini:
                expected |= {"model.filters": 48, "outer.final_learning_rate": 1e-3}
        if budget == "quick" and task.startswith(("omniglot", "glyphs")):
            expected |= {"adaptation.order.at": 0.1, "outer.learning_rate": 3e-3, "training.queries": 2}
        assert given(values(spec)) == given(expected), task


# Algorithms whose own numbers no budget of a task may change


@budgets
def test_meta_sgd_learns_a_rate_for_each_parameter_of_one_step(budget: str) -> None:
    """Li 2017."""
    for task, spec in everywhere("meta-sgd", budget):
        for adaptation in (spec.adaptation, validation_adaptation(spec), test_adaptation(spec)):
            assert (adaptation.steps, adaptation.learned_rates) == (1, "parameter"), task
            assert adaptation.learning_rate == (0.005, 0.1)
            assert (adaptation.order, adaptation.parameters) == (2, "all")


@budgets
def test_a_negative_rate_in_training_and_positive_ones_in_testing(budget: str) -> None:
    """Bernacchia 2021."""
    for task, spec in everywhere("maml-negative-rate", budget):
        assert spec.adaptation.learning_rate < 0, task  # type: ignore[operator]
        assert spec.adaptation.steps == specs_of(task, budget)["maml"].adaptation.steps >= 1
        for later in (validation_adaptation(spec), test_adaptation(spec)):
            assert later.learning_rate > 0  # type: ignore[operator]
            assert later.steps >= 1
        assert spec.evaluation.tune is not None
        assert min(spec.evaluation.tune.learning_rate or (0,)) > 0


@budgets
def test_the_union_takes_no_inner_step_in_training(budget: str) -> None:
    """A head for each of a finite set of tasks, moved by the outer loop; a new one in testing."""
    for task, spec in everywhere("multitask-union", budget):
        trained, tested = spec.adaptation, test_adaptation(spec)
        assert (trained.steps, trained.head, trained.stored_heads) == (0, "stored", "outer"), task
        assert spec.training.tasks == 1000
        assert tested.steps == (1000 if is_sine(task) else 50 if budget == "paper" else 10)
        assert (tested.head, tested.parameters) == ("zero", "all")
        assert validation_adaptation(spec).head in ("means", "zero")


@budgets
def test_reptile_goes_towards_what_adam_makes(budget: str) -> None:
    """Nichol 2018: 5 steps of batch 10 (20-way: 10 of 20, mini: 8); more shots in training."""
    for task, spec in everywhere("reptile", budget):
        for adaptation in (spec.adaptation, validation_adaptation(spec), test_adaptation(spec)):
            assert (adaptation.update, adaptation.betas) == ("adam", (0, 0.999)), task
            assert adaptation.moments == "carried", task
            assert adaptation.parameters == "all"
        wide, characters = "-20way-" in task, task.startswith(("omniglot", "glyphs"))
        assert spec.adaptation.batch == validation_adaptation(spec).batch == (20 if wide else 10), task
        smaller = budget == "paper" and (characters or wide)
        assert test_adaptation(spec).batch == spec.adaptation.batch // (2 if smaller else 1), task
        steps = 8 if task.startswith("miniimagenet") else 10 if "-20way-" in task else 5
        assert spec.adaptation.steps == steps, task
        assert test_adaptation(spec).steps == (10 if is_sine(task) else 50), task
        assert (spec.outer.optimizer, spec.outer.learning_rate, spec.outer.schedule) == ("sgd", 1, "linear")
        assert spec.outer.final_learning_rate == 0
        assert spec.training.shots is not None and spec.training.shots > spec.task.shots, task
        if budget == "paper" and not is_sine(task):
            assert spec.adaptation.learning_rate == (5e-4 if "-20way-" in task else 1e-3), task
            assert spec.training.iterations == (200_000 if "-20way-" in task else 100_000), task
            assert spec.training.shots == (15 if task.startswith("miniimagenet") else 10), task


@budgets
@pytest.mark.parametrize(("algorithm", "parameters"), [("scratch", "all"), ("random-init", "head")])
def test_what_is_not_trained_is_fitted_in_testing(algorithm: str, parameters: str, budget: str) -> None:
    for task, spec in everywhere(algorithm, budget):
        assert test_adaptation(spec).parameters == parameters, task
        assert test_adaptation(spec).steps == (1000 if is_sine(task) else 50), task


@budgets
def test_pretraining_is_tested_as_each_name_says(budget: str) -> None:
    """Chen 2019: the whole model, the head, or a cosine head is fine-tuned; or nothing is, by direction."""
    tuned = {"pretrain": "all", "pretrain-head": "head", "pretrain-cosine": "head"}
    for algorithm, parameters in tuned.items():
        for task, spec in everywhere(algorithm, budget):
            assert test_adaptation(spec).parameters == parameters, task
            assert spec.model.head == ("cosine" if algorithm == "pretrain-cosine" else "linear")
            assert test_adaptation(spec).steps == (1000 if is_sine(task) else 50 if budget == "paper" else 10)
    for algorithm in ("pretrain-nearest", "pretrain-centroid"):
        for task, spec in everywhere(algorithm, budget):
            assert (test_adaptation(spec).distance, spec.evaluation.tune) == ("cosine", None), task


@budgets
def test_metric_and_solved_rules_have_their_own_constants(budget: str) -> None:
    for _, spec in everywhere("protonet", budget):
        assert spec.adaptation.distance == "euclidean"  # squared: Snell 2017
    for name, full in (("matching", False), ("matching-full-context", True)):
        for _, spec in everywhere(name, budget):
            assert spec.adaptation.full_context == full
            assert spec.adaptation.sharpness == (1 if budget == "paper" else 10)  # as published; see the file
    for task, spec in everywhere("r2d2", budget):
        assert spec.adaptation.ridge.learned, task
    for task, spec in everywhere("metaoptnet-ridge", budget):
        assert not spec.adaptation.ridge.learned, task
    for task, spec in everywhere("metaoptnet", budget):
        assert spec.adaptation.svm.c == 0.1, task
