"""Does it learn: short trainings with floors that an untrained or crippled learner misses."""

from pathlib import Path

import pytest
import torch

from engine.evaluation import evaluate
from engine.learner import Learner
from engine.presets import resolve, test_adaptation
from engine.tasks import build_tasks
from engine.training import Trainer


def score_of(task: str, algorithm: str, *overrides: str, trained: bool = True) -> float:
    """The mean over 100 test episodes after adaptation, of a training as the preset says but shorter."""
    spec = resolve(task, algorithm, overrides=overrides).spec
    tasks = build_tasks(spec, Path("no-data"))
    learner = Learner(spec, tasks, torch.device("cpu"))
    trainer = Trainer(learner)
    while trained and trainer.iteration < trainer.iterations:
        trainer.step()
    scored = evaluate(learner, test_adaptation(spec), spec.evaluation.tune, "test", 100, "query")
    return float(scored.values[:, scored.steps.index(scored.after_step)].mean())


SINE = ("training.iterations=1200",)
GLYPHS = (
    "training.iterations=250",
    "training.tasks_per_batch=8",
    "model.filters=16",
    "outer.learning_rate=1e-2",
    "evaluation.tune=null",
)


def test_maml_learns_waves_and_pretraining_does_not_adapt_in_ten_steps() -> None:
    learned = score_of("sine-10shot", "maml", *SINE)
    tuned = ("evaluation.steps=10", "evaluation.tune.episodes=50")
    pretrained = score_of("sine-10shot", "pretrain", *SINE, *tuned)
    untrained = score_of("sine-10shot", "maml", trained=False)
    assert learned < 0.35
    assert pretrained > 2 * learned
    assert untrained > 1.5


def test_an_oracle_knows_waves_without_adapting() -> None:
    assert score_of("sine-10shot", "oracle", *SINE) < 0.05


@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "anil"])
def test_algorithms_learn_glyphs(algorithm: str) -> None:
    assert score_of("glyphs-5way-1shot", algorithm, *GLYPHS) > 0.55


def test_the_baseline_learns_glyphs() -> None:
    tested = ("evaluation.adaptation.head=means", "evaluation.steps=0")
    longer = ("training.iterations=800", "outer.learning_rate=3e-3")
    assert score_of("glyphs-5way-1shot", "pretrain", *GLYPHS, *longer, *tested) > 0.65


def test_pixels_alone_are_the_floor() -> None:
    assert 0.36 < score_of("glyphs-5way-1shot", "pixel-nearest") < 0.5
