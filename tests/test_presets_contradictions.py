"""Keys that make no sense together are refused with the reason; what makes sense is not."""

from pathlib import Path

import pytest

from engine.errors import RequestError
from engine.presets import resolve

IMAGES, SINE = "glyphs-5way-1shot", "sine-10shot"

REFUSED = [
    (SINE, "maml", ["task.phase=[3, 1]"], "task.phase must rise from low to high"),
    (SINE, "maml", ["training.ways=3"], "training.ways: a sine task has no classes"),
    (IMAGES, "maml", ["task.dataset=folder"], "task.dataset folder needs task.folder"),
    (IMAGES, "maml", ["task.folder=x"], "task.folder is for task.dataset folder"),
    (SINE, "maml", ["model.name=conv4"], "model.name conv4 takes images"),
    (SINE, "maml", ["adaptation.parameters=[conv*]"], 'adaptation.parameters: "conv*" fits no parameter'),
    (
        SINE,
        "maml",
        ["evaluation.adaptation.parameters=[conv*]"],
        'evaluation.adaptation.parameters: "conv*" fits no parameter',
    ),
    (
        SINE,
        "maml",
        ["adaptation.head=zero", "adaptation.parameters=[linear1.*]"],
        "adaptation.head zero starts at zero",
    ),
    (SINE, "pixel-nearest", [], "model.name pixels takes images"),
    (
        IMAGES,
        "maml",
        ["task.image_size=8", "model.pooling=max"],
        "task.image_size 8 is too small for conv4's four poolings",
    ),
    (
        IMAGES,
        "maml",
        ["model.name=resnet12", "task.image_size=12"],
        "task.image_size 12 is too small for resnet12's four poolings",
    ),
    (IMAGES, "maml", ["model.dropblock=0.1"], "model.dropblock is for model.name resnet12, not for conv4"),
    (IMAGES, "maml", ["model.name=torchvision", "model.norm=none"], "model.norm none: torchvision is made"),
    (
        IMAGES,
        "maml",
        ["model.name=resnet12", "adaptation.parameters=[conv4.*]"],
        'adaptation.parameters: "conv4.*" fits no parameter',
    ),
    (SINE, "maml", ["training.augment=affine"], "training.augment warps images"),
    (IMAGES, "maml", ["outer.rule=joint"], "outer.rule joint adapts nothing in training"),
    (IMAGES, "maml", ["adaptation.rule=none"], "outer.rule meta-gradient learns through adaptation"),
    (IMAGES, "maml", ["adaptation.rule=nearest"], "adaptation.rule nearest has no gradient"),
    (IMAGES, "pretrain", ["model.name=pixels"], "model.name pixels has no parameters that outer.rule joint"),
    (IMAGES, "maml", ["model.name=pixels"], "model.name pixels has no body to adapt"),
    (IMAGES, "scratch", ["model.name=pixels"], "model.name pixels has no body to adapt"),
    (
        IMAGES,
        "anil",
        ["model.name=pixels", "adaptation.head=zero"],
        "model.name pixels with adaptation.head zero has nothing to meta-learn",
    ),
    (IMAGES, "maml", ["adaptation.head=stored"], "adaptation.head stored keeps a head for each task"),
    (IMAGES, "boil", ["adaptation.head=zero"], "adaptation.head zero starts at zero"),
    (
        IMAGES,
        "boil",
        ["adaptation.head=stored", "training.tasks=9"],
        "adaptation.head stored starts at zero",
    ),
    (IMAGES, "maml", ["adaptation.head=zero", "adaptation.steps=0"], "adaptation.head zero starts at zero"),
    (IMAGES, "maml", ["training.ways=10"], "training.ways 10 and task.ways 5 cannot share a learned head"),
    (
        IMAGES,
        "maml",
        ["training.examples_per_batch=9"],
        "training.examples_per_batch is for outer.rule joint",
    ),
    (IMAGES, "pretrain", ["training.tasks=9"], "training.tasks: joint training on images"),
    (IMAGES, "maml", ["training.keep=[99999999]"], "training.keep names iteration 99999999"),
    (
        IMAGES,
        "pretrain",
        ["adaptation.order={from: 1, to: 2}"],
        "adaptation.order from one order to another needs outer.rule meta-gradient",
    ),
    (IMAGES, "maml", ["outer.final_learning_rate=1"], "outer.final_learning_rate 1 lies above"),
    (IMAGES, "maml", ["outer.schedule=drops", "outer.drops.at=[0.5, 0.5]"], "outer.drops.at must rise"),
    (IMAGES, "maml", ["evaluation.adaptation.order=1"], "evaluation.adaptation.order: no meta-gradient"),
    (
        IMAGES,
        "maml",
        ["training.validation.adaptation.constant_memory=true"],
        "training.validation.adaptation.constant_memory: no meta-gradient",
    ),
    (SINE, "maml", ["evaluation.adaptation.rule=nearest"], "rule nearest in testing compares classes"),
    (SINE, "maml", ["adaptation.head=means"], "head means in validation: a sine task has no classes"),
    (SINE, "scratch", ["adaptation.head=means"], "head means in testing: a sine task has no classes"),
    (
        IMAGES,
        "maml",
        ["evaluation.adaptation.head=stored"],
        "head stored in testing: training stores no heads",
    ),
    (IMAGES, "scratch", ["adaptation.head=stored"], "head stored in testing: training stores no heads"),
    (
        IMAGES,
        "maml",
        ["evaluation.adaptation={rule: none, head: zero}"],
        "rule none in testing reads no support set: head zero needs rule gradient",
    ),
    (
        IMAGES,
        "pretrain",
        ["training.validation.adaptation=null"],
        "validation cannot use a jointly trained head",
    ),
    (
        IMAGES,
        "pretrain",
        ["evaluation.adaptation=null", "evaluation.tune=null"],
        "testing cannot use a jointly trained head",
    ),
    (
        IMAGES,
        "maml",
        ["adaptation.head=zero", "evaluation.adaptation.head=learned"],
        "head learned in testing: training learns no head",
    ),
    (
        IMAGES,
        "maml",
        ["evaluation.adaptation={head: zero, parameters: body}"],
        "head zero in testing starts at zero",
    ),
    (
        IMAGES,
        "pixel-nearest",
        ["evaluation.adaptation={rule: gradient, head: zero}"],
        "model.name pixels has no body to adapt in testing",
    ),
    (
        IMAGES,
        "maml",
        ["evaluation.adaptation.steps=9"],
        "evaluation.steps 10 and evaluation.adaptation.steps 9 are the same",
    ),
    (IMAGES, "maml", ["evaluation.tune={episodes: 9}"], "evaluation.tune has nothing to choose"),
    (
        IMAGES,
        "pretrain",
        ["evaluation.adaptation.rule=nearest"],
        "evaluation.tune.learning_rate needs rule gradient in testing, found nearest",
    ),
    (IMAGES, "pixel-nearest", ["evaluation.tune.steps=true"], "evaluation.tune.steps needs rule gradient"),
    (
        IMAGES,
        "pretrain",
        ["evaluation.steps=0"],
        "evaluation.tune has nothing to choose where testing takes no",
    ),
    (IMAGES, "pretrain", ["evaluation.tune.head=[zero, zero]"], "evaluation.tune.head names a value twice"),
    (
        IMAGES,
        "pretrain",
        ["evaluation.tune.head=[learned]"],
        "evaluation.tune.head: testing cannot use a jointly",
    ),
    (SINE, "pretrain", ["evaluation.tune.head=[means]"], "evaluation.tune.head: head means in testing"),
    (
        IMAGES,
        "pretrain",
        ["evaluation.tune.parameters=[all, body]"],
        "evaluation.tune tries head zero with parameters body",
    ),
    (
        IMAGES,
        "reptile",
        ["adaptation.parameters=head", "adaptation.head=zero"],
        "outer.rule interpolate: adaptation.head zero alone adapts",
    ),
    (IMAGES, "reptile", ["adaptation.batch=1"], "adaptation.batch 1: an example that normalises itself"),
    (
        IMAGES,
        "reptile",
        ["adaptation.learned_rates=layer"],
        "adaptation.learned_rates layer: outer.rule interpolate has no gradient",
    ),
    (
        IMAGES,
        "pixel-nearest",
        ["adaptation.parameters=head"],
        "adaptation.parameters is for rule gradient; rule nearest adapts no parameters",
    ),
    (
        IMAGES,
        "maml",
        ["adaptation.head=stored"],
        "adaptation.head stored keeps a head for each task of a finite set",
    ),
    (IMAGES, "maml", ["adaptation.loss=multi-step"], "adaptation.loss multi-step needs two inner steps"),
    (
        IMAGES,
        "maml",
        ["evaluation.ensemble=5", "training.validation.every=1000", "training.iterations=3000"],
        "evaluation.ensemble 5: training validates 3 times",
    ),
    (
        IMAGES,
        "maml",
        ["evaluation.statistics=running"],
        "evaluation.statistics running: training keeps none",
    ),
    (SINE, "maml", ["adaptation.running_statistics=true"], "adaptation.running_statistics: the model has no"),
    (
        IMAGES,
        "maml",
        ["adaptation.learning_rate=[0.1, 0.2]"],
        "adaptation.learning_rate is a range, from which only",
    ),
    (
        IMAGES,
        "maml",
        ["evaluation.adaptation.learned_rates=layer"],
        "evaluation.adaptation.learned_rates layer: training learns none such",
    ),
    (
        IMAGES,
        "meta-sgd",
        ["evaluation.tune={learning_rate: [0.1, 0.2]}"],
        "evaluation.tune cannot choose a rate or what adapts where learned rates are used",
    ),
    (IMAGES, "maml", ["adaptation.linearised=true"], "adaptation.linearised is a view for testing"),
    (IMAGES, "maml", ["adaptation.moments=carried"], "adaptation.moments carried: update sgd has no"),
    (
        IMAGES,
        "anil",
        ["model.name=pixels", "evaluation.tune.parameters=[all, head]"],
        "evaluation.tune.parameters all: model.name pixels has no body",
    ),
]


@pytest.mark.parametrize(("task", "algorithm", "overrides", "reason"), REFUSED)
def test_what_makes_no_sense_is_refused(task: str, algorithm: str, overrides: list[str], reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        resolve(task, algorithm, overrides=overrides)
    assert str(caught.value).startswith(reason)


def test_the_reason_says_where_each_key_stands() -> None:
    with pytest.raises(RequestError) as caught:
        resolve(IMAGES, "maml", overrides=["outer.rule=joint"])
    places = r"[outer.rule: --set outer.rule=joint; adaptation.rule: maml.yaml, line 7]"
    assert str(caught.value).endswith(places)


@pytest.mark.parametrize(
    ("task", "algorithm", "overrides"),
    [
        (IMAGES, "maml", ["evaluation.steps=0"]),
        (IMAGES, "maml", ["evaluation.steps=50"]),
        (IMAGES, "maml", ["adaptation.steps=0"]),
        (IMAGES, "maml", ["adaptation.learning_rate=-0.1", "evaluation.adaptation.learning_rate=0.1"]),
        (IMAGES, "maml", ["adaptation.head=zero"]),
        (IMAGES, "maml", ["adaptation.head=zero", "training.ways=10"]),
        (IMAGES, "maml", ["adaptation.head=means", "adaptation.steps=0"]),
        (IMAGES, "maml", ["adaptation.head=random"]),
        (IMAGES, "boil", ["adaptation.head=random"]),
        (IMAGES, "maml", ["adaptation.head=stored", "training.tasks=20"]),
        (IMAGES, "boil", ["adaptation={head: stored, new_head: random}", "training.tasks=20"]),
        (SINE, "maml", ["adaptation.head=stored", "training.tasks=20"]),
        (SINE, "maml", ["training.tasks=20"]),
        (SINE, "pretrain", ["training.tasks=20"]),
        (SINE, "pretrain", ["training.examples_per_batch=20"]),
        (SINE, "pretrain", ["evaluation.adaptation={rule: none}", "evaluation.tune=null"]),
        (IMAGES, "pretrain", ["evaluation.adaptation={rule: nearest}", "evaluation.tune=null"]),
        (IMAGES, "pretrain", ["evaluation.tune=null"]),
        (IMAGES, "pretrain", ["evaluation.tune={parameters: [all, head]}"]),
        (IMAGES, "maml", ["evaluation.adaptation={rule: none}"]),
        (IMAGES, "maml", ["evaluation.adaptation={rule: nearest}"]),
        (IMAGES, "maml", ["evaluation.tune={learning_rate: [0.1, 0.4], steps: true}"]),
        (IMAGES, "maml", ["adaptation.order={from: 1, to: 2, at: 0.3}"]),
        (IMAGES, "maml", ["adaptation.parameters=['conv4.*', 'head.*']"]),
        (IMAGES, "maml", ["model={name: mlp, hidden: [256, 128, 64, 64]}"]),
        (IMAGES, "maml", ["model.norm=none"]),
        (IMAGES, "anil", ["model.name=pixels"]),
        (IMAGES, "maml", ["outer.rule=none"]),
        (IMAGES, "maml", ["training.iterations=3"]),
        (IMAGES, "maml", ["evaluation.steps=4", "evaluation.adaptation.steps=4"]),
        (IMAGES, "maml", ["task={dataset: folder, folder: mine, image_size: 28, channels: 1}"]),
        (SINE, "maml", ["task.frequency=[2, 2]"]),
        (SINE, "boil", []),
    ],
)
def test_what_makes_sense_is_allowed(task: str, algorithm: str, overrides: list[str]) -> None:
    assert resolve(task, algorithm, overrides=overrides).spec


UNREAD = [
    (IMAGES, "maml", "adaptation.momentum=0.5", "needs adaptation.update momentum"),
    (IMAGES, "maml", "adaptation.ridge.lambda=3", "needs adaptation.rule ridge"),
    (IMAGES, "maml", "adaptation.sharpness=1", "needs adaptation.rule matching"),
    (IMAGES, "maml", "outer.drops.factor=0.5", "needs outer.schedule drops"),
    (IMAGES, "maml", "model.hidden=[3]", "needs model.name mlp"),
    (IMAGES, "protonet", "adaptation.steps=3", "needs a gradient rule (adaptation.rule)"),
    (IMAGES, "scratch", "training.iterations=3", "nothing is trained (outer.rule is none)"),
]


@pytest.mark.parametrize(("task", "algorithm", "override", "reason"), UNREAD)
def test_what_is_set_for_one_algorithm_and_read_by_nothing_is_refused(
    task: str, algorithm: str, override: str, reason: str
) -> None:
    key = override.partition("=")[0]
    with pytest.raises(RequestError) as caught:
        resolve(task, algorithm, overrides=[override], own=[override])
    assert str(caught.value) == (
        f"{key} is read by nothing in {algorithm}: {reason} [{key}: --set {override}]"
    )
    assert resolve(task, algorithm, overrides=[override]).spec  # for all rows of a comparison it may stand


@pytest.mark.parametrize(
    ("algorithm", "override"),
    [
        ("pretrain", "adaptation.update=adam"),  # read in testing
        ("pretrain-nearest", "evaluation.adaptation.distance=euclidean"),
        ("reptile", "adaptation.betas=[0.5, 0.9]"),
        ("maml", "adaptation.learning_rate=0.2"),
        ("nil", "adaptation.sharpness=3"),
        ("maml++", "adaptation.multi_step.until=0.3"),
    ],
)
def test_what_is_set_and_read_in_testing_alone_is_allowed(algorithm: str, override: str) -> None:
    assert resolve(IMAGES, algorithm, overrides=[override], own=[override]).spec


def test_a_file_of_one_s_own_with_a_key_that_nothing_reads(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("summary: s\nfamily: f\nadaptation: {rule: gradient, momentum: 0.5}\n")
    with pytest.raises(RequestError) as caught:
        resolve(IMAGES, str(file))
    assert "momentum is read by nothing in mine: needs adaptation.update momentum" in str(caught.value)
    assert "line 3" in str(caught.value)
