"""Keys that make no sense together: each refused when a spec is resolved, with the reason.

Values alone are the schema's business, what data and parameters there are is their owners'.
"""

from collections.abc import Iterator

from engine.presets.contradiction import Contradiction
from engine.presets.cosine_contradictions import cosine_contradictions
from engine.presets.inner_loop_contradictions import inner_loop_contradictions
from engine.presets.metric_contradictions import METRIC_RULES, classless, metric_contradictions
from engine.presets.names import head_at_zero, moves_head, parameter_names, unfitting_pattern
from engine.presets.overlay import test_adaptation, validation_adaptation
from engine.presets.schema import Adaptation, AnnealedOrder, ImageTask, PartialAdaptation, SineTask, Spec
from engine.presets.solved_contradictions import SOLVED_RULES, unsolvable

SMALLEST_POOLED = 16
"""Pixels a side that four poolings of 2 leave one of."""


def contradiction(spec: Spec) -> Contradiction | None:
    """The first contradiction in a spec, if there is one."""
    return next(contradictions(spec), None)


def contradictions(spec: Spec) -> Iterator[Contradiction]:
    """Every contradiction in a spec, the more basic ones first."""
    yield from classless(spec)
    yield from _task(spec)
    yield from _model(spec)
    yield from _training_rule(spec)
    yield from _training(spec)
    yield from _outer(spec)
    yield from inner_loop_contradictions(spec)
    yield from cosine_contradictions(spec)
    yield from metric_contradictions(spec)
    if spec.outer.rule != "none":
        partial = spec.training.validation.adaptation
        yield from _partial(partial, "training.validation.adaptation")
        yield from _use(
            spec, validation_adaptation(spec), partial, "training.validation.adaptation", "validation"
        )
    yield from _partial(spec.evaluation.adaptation, "evaluation.adaptation")
    yield from _use(
        spec, test_adaptation(spec), spec.evaluation.adaptation, "evaluation.adaptation", "testing"
    )
    yield from _evaluation(spec)
    yield from _tune(spec)


def _task(spec: Spec) -> Iterator[Contradiction]:
    task = spec.task
    if isinstance(task, SineTask):
        for name in ("amplitude", "phase", "frequency", "support_x", "query_x"):
            low, high = getattr(task, name)
            if low > high:
                key = f"task.{name}"
                yield Contradiction(f"{key} must rise from low to high, found [{low:g}, {high:g}]", (key,))
        if spec.training.ways is not None:
            yield Contradiction("training.ways: a sine task has no classes", ("training.ways",))
        if spec.training.augment != "none":
            yield Contradiction("training.augment warps images; a sine task has none", ("training.augment",))
        return
    if task.dataset == "folder" and not task.folder:
        yield Contradiction("task.dataset folder needs task.folder: which folder", ("task.dataset",))
    if task.dataset != "folder" and task.folder is not None:
        yield Contradiction(
            f"task.folder is for task.dataset folder, not for {task.dataset}", ("task.folder", "task.dataset")
        )


def _model(spec: Spec) -> Iterator[Contradiction]:
    model, task = spec.model, spec.task
    if isinstance(task, SineTask):
        if model.name != "mlp":
            yield Contradiction(
                f"model.name {model.name} takes images; a sine task needs mlp", ("model.name",)
            )
        return
    if model.dropblock and model.name != "resnet12":
        reason = f"model.dropblock is for model.name resnet12, not for {model.name}"
        yield Contradiction(reason, ("model.dropblock", "model.name"))
    if model.norm == "none" and model.name in ("resnet12", "torchvision"):
        reason = f"model.norm none: {model.name} is made with batch normalisation; conv4 and mlp go without"
        yield Contradiction(reason, ("model.norm", "model.name"))
    too_small = task.image_size is not None and task.image_size < SMALLEST_POOLED
    if model.name == "resnet12" and too_small:
        reason = f"task.image_size {task.image_size} is too small for resnet12's four poolings"
        yield Contradiction(f"{reason}: at least {SMALLEST_POOLED}", ("task.image_size", "model.name"))
    if model.name == "conv4" and model.pooling == "max" and too_small:
        reason = f"task.image_size {task.image_size} is too small for conv4's four poolings"
        yield Contradiction(
            f"{reason}: at least {SMALLEST_POOLED}, or model.pooling stride",
            ("task.image_size", "model.pooling"),
        )


def _training_rule(spec: Spec) -> Iterator[Contradiction]:
    """Outer rule, adaptation rule and model against each other, as far as training goes."""
    rule, outer = spec.adaptation.rule, spec.outer.rule
    pair = ("outer.rule", "adaptation.rule")
    if outer == "joint" and rule != "none":
        yield Contradiction(
            f"outer.rule joint adapts nothing in training: adaptation.rule must be none, found {rule}", pair
        )
    if outer == "meta-gradient" and rule == "none":
        yield Contradiction(
            "outer.rule meta-gradient learns through adaptation: adaptation.rule none leaves none", pair
        )
    if outer == "meta-gradient" and rule == "nearest":
        yield Contradiction(
            "adaptation.rule nearest has no gradient to learn from; for testing alone it may stand", pair
        )
    if outer == "joint" and spec.model.name == "pixels":
        yield Contradiction(
            "model.name pixels has no parameters that outer.rule joint could train", ("model.name",)
        )
    if spec.model.name == "pixels" and rule == "gradient" and spec.adaptation.parameters in ("all", "body"):
        reason = "model.name pixels has no body to adapt: adaptation.parameters must be head"
        yield Contradiction(reason, ("model.name", "adaptation.parameters"))
    if rule not in ("none", "gradient") and spec.adaptation.parameters != "all":
        reason = f"adaptation.parameters is for rule gradient; rule {rule} adapts no parameters"
        yield Contradiction(reason, ("adaptation.parameters", "adaptation.rule"))
    if outer in ("meta-gradient", "interpolate") and rule == "gradient":
        yield from _patterns(spec, spec.adaptation.parameters, "adaptation.parameters")
        yield from _meta_learned(spec)


def _patterns(spec: Spec, parameters: str | tuple[str, ...], key: str) -> Iterator[Contradiction]:
    pattern = unfitting_pattern(parameters, spec.model)
    if pattern is not None:
        names = ", ".join(parameter_names(spec.model))
        yield Contradiction(f'{key}: "{pattern}" fits no parameter; there are {names}', (key, "model.name"))


def _meta_learned(spec: Spec) -> Iterator[Contradiction]:
    """Whether anything is left for the meta-gradient to reach."""
    adaptation, head = spec.adaptation, spec.adaptation.head
    if head == "stored" and spec.training.tasks is None:
        reason = "adaptation.head stored keeps a head for each task of a finite set: it needs training.tasks"
        yield Contradiction(reason, ("adaptation.head", "training.tasks"))
    by_outer = head == "stored" and adaptation.stored_heads == "outer"
    starts_at_zero = head_at_zero(adaptation) and not by_outer
    if starts_at_zero and not moves_head(adaptation.parameters):
        reason = f"adaptation.head {head} starts at zero, where adaptation.parameters keeps it"
        yield Contradiction(reason, ("adaptation.head", "adaptation.parameters"))
    elif starts_at_zero and adaptation.steps == 0:
        reason = f"adaptation.head {head} starts at zero, where adaptation.steps 0 keeps it"
        yield Contradiction(reason, ("adaptation.head", "adaptation.steps"))
    if spec.model.name == "pixels" and head != "learned":
        reason = f"model.name pixels with adaptation.head {head} has nothing to meta-learn; use learned"
        yield Contradiction(reason, ("model.name", "adaptation.head"))
    ways = spec.training.ways
    if isinstance(spec.task, ImageTask) and ways not in (None, spec.task.ways) and head == "learned":
        reason = f"training.ways {ways} and task.ways {spec.task.ways} cannot share a learned head"
        yield Contradiction(reason, ("training.ways", "task.ways"))


def _training(spec: Spec) -> Iterator[Contradiction]:
    training, outer = spec.training, spec.outer.rule
    if outer == "none":
        return
    if training.examples_per_batch is not None and outer != "joint":
        reason = (
            f"training.examples_per_batch is for outer.rule joint; {outer} takes training.tasks_per_batch"
        )
        yield Contradiction(reason, ("training.examples_per_batch", "outer.rule"))
    if training.tasks is not None and outer == "joint" and isinstance(spec.task, ImageTask):
        reason = "training.tasks: joint training on images sees all training classes, not a set of tasks"
        yield Contradiction(reason, ("training.tasks", "outer.rule"))
    beyond = [step for step in training.keep if step > training.iterations]
    if beyond:
        reason = (
            f"training.keep names iteration {beyond[0]}, but training.iterations is {training.iterations}"
        )
        yield Contradiction(reason, ("training.keep", "training.iterations"))


def _outer(spec: Spec) -> Iterator[Contradiction]:
    outer, order = spec.outer, spec.adaptation.order
    if isinstance(order, AnnealedOrder) and outer.rule != "meta-gradient":
        reason = (
            f"adaptation.order from one order to another needs outer.rule meta-gradient, found {outer.rule}"
        )
        yield Contradiction(reason, ("adaptation.order", "adaptation.order.from", "outer.rule"))
    if outer.schedule in ("cosine", "linear") and outer.final_learning_rate > outer.learning_rate:
        rates = f"{outer.final_learning_rate:g} lies above outer.learning_rate {outer.learning_rate:g}"
        reason = f"outer.final_learning_rate {rates}"
        yield Contradiction(reason, ("outer.final_learning_rate", "outer.learning_rate"))
    if outer.schedule == "drops" and list(outer.drops.at) != sorted(set(outer.drops.at)):
        yield Contradiction("outer.drops.at must rise from drop to drop", ("outer.drops.at",))


def _partial(partial: PartialAdaptation, section: str) -> Iterator[Contradiction]:
    """Keys of the meta-gradient, which only training takes."""
    for name in ("order", "constant_memory"):
        if getattr(partial, name) is not None:
            key = f"{section}.{name}"
            yield Contradiction(f"{key}: no meta-gradient is taken there; set adaptation.{name}", (key,))


def _use(
    spec: Spec, adaptation: Adaptation, partial: PartialAdaptation, section: str, phase: str
) -> Iterator[Contradiction]:
    """Whether a trained model can be adapted in this way, in validation or in testing."""

    def keys(*names: str) -> tuple[str, ...]:
        return tuple(
            f"{section if getattr(partial, name) is not None else 'adaptation'}.{name}" for name in names
        )

    sine = isinstance(spec.task, SineTask)
    if adaptation.rule in METRIC_RULES:
        if sine:
            reason = f"rule {adaptation.rule} in {phase} compares classes; a sine task has none"
            yield Contradiction(reason, keys("rule"))
        return
    if adaptation.rule in SOLVED_RULES:
        yield from unsolvable(spec, adaptation.rule, phase, keys("rule"))
        return
    for problem in _head_start(spec, adaptation, phase):
        yield Contradiction(problem, keys("head", "rule"))
    if adaptation.rule == "none" and adaptation.head != "learned":
        reason = f"rule none in {phase} reads no support set: head {adaptation.head} needs rule gradient"
        yield Contradiction(reason, keys("rule", "head"))
    if adaptation.rule != "gradient":
        return
    if spec.model.name == "pixels" and adaptation.parameters in ("all", "body"):
        reason = f"model.name pixels has no body to adapt in {phase}: {keys('parameters')[0]} must be head"
        yield Contradiction(reason, ("model.name", *keys("parameters")))
    yield from _patterns(spec, adaptation.parameters, keys("parameters")[0])
    if head_at_zero(adaptation) and not moves_head(adaptation.parameters):
        reason = f"head {adaptation.head} in {phase} starts at zero and parameters never moves it"
        yield Contradiction(reason, keys("head", "parameters"))


def _head_start(spec: Spec, adaptation: Adaptation, phase: str) -> Iterator[str]:
    """Whether there is such a head as `adaptation.head` says when training is over."""
    head, outer = adaptation.head, spec.outer.rule
    if head == "means" and isinstance(spec.task, SineTask):
        yield f"head means in {phase}: a sine task has no classes to take the means of"
    stores = outer in ("meta-gradient", "interpolate") and spec.adaptation.head == "stored"
    if head == "stored" and not stores:
        yield f"head stored in {phase}: training stores no heads; a new head is zero or random"
    if head != "learned":
        return
    if outer == "joint" and isinstance(spec.task, ImageTask):
        section = "evaluation" if phase == "testing" else "training.validation"
        yield (
            f"{phase} cannot use a jointly trained head, whose outputs are the training classes: "
            f"{section}.adaptation needs rule gradient with head zero, random or means, or rule nearest"
        )
    elif outer != "joint" and (spec.adaptation.rule != "gradient" or spec.adaptation.head != "learned"):
        yield f"head learned in {phase}: training learns no head (adaptation.head is {spec.adaptation.head})"


def _evaluation(spec: Spec) -> Iterator[Contradiction]:
    steps, inner = spec.evaluation.steps, spec.evaluation.adaptation.steps
    if steps is not None and inner is not None and steps != inner:
        reason = f"evaluation.steps {steps} and evaluation.adaptation.steps {inner} are the same: give one"
        yield Contradiction(reason, ("evaluation.steps", "evaluation.adaptation.steps"))


def _tune(spec: Spec) -> Iterator[Contradiction]:
    tune, tested = spec.evaluation.tune, test_adaptation(spec)
    if tune is None:
        return
    if not (tune.learning_rate or tune.head or tune.parameters or tune.steps):
        reason = "evaluation.tune has nothing to choose: give learning_rate, head, parameters or steps"
        yield Contradiction(reason, ())
    for name in ("learning_rate", "head", "parameters", "steps"):
        if getattr(tune, name) and tested.rule != "gradient":
            reason = f"evaluation.tune.{name} needs rule gradient in testing, found {tested.rule}"
            yield Contradiction(reason, (f"evaluation.tune.{name}", "evaluation.adaptation.rule"))
    if (
        tested.rule == "gradient"
        and tested.steps == 0
        and (tune.steps or tune.learning_rate or tune.parameters)
    ):
        reason = "evaluation.tune has nothing to choose where testing takes no steps: evaluation.steps is 0"
        yield Contradiction(reason, ("evaluation.steps",))
    for name in ("learning_rate", "head", "parameters"):
        values = getattr(tune, name) or ()
        if len(set(values)) < len(values):
            yield Contradiction(f"evaluation.tune.{name} names a value twice", (f"evaluation.tune.{name}",))
    yield from _tried(spec, tested)


def _tried(spec: Spec, tested: Adaptation) -> Iterator[Contradiction]:
    """Whether each combination that `tune` lists makes sense."""
    tune = spec.evaluation.tune
    if tune is None or tested.rule != "gradient":
        return
    for head in tune.head or (tested.head,):
        tried = tested.model_copy(update={"head": head})
        for problem in _head_start(spec, tried, "testing") if tune.head else ():
            yield Contradiction(f"evaluation.tune.head: {problem}", ("evaluation.tune.head",))
        for parameters in tune.parameters or (tested.parameters,):
            if parameters == "body" and head_at_zero(tried) and (tune.head or tune.parameters):
                reason = (
                    f"evaluation.tune tries head {head} with parameters body, which never moves it from zero"
                )
                yield Contradiction(reason, ("evaluation.tune.head", "evaluation.tune.parameters"))
            if spec.model.name == "pixels" and tune.parameters and parameters != "head":
                reason = f"evaluation.tune.parameters {parameters}: model.name pixels has no body to adapt"
                yield Contradiction(reason, ("evaluation.tune.parameters",))
