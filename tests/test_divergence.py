"""Numbers going bad: a step stops with nothing changed; done again it tells task, inner step and layer."""

import math

import pytest
import torch
from test_training import IMAGES, JOINT, SINE, copied, equal, spec_of, trainer_of

from engine.divergence import Diverged, is_reckless
from engine.replay import replayed, told
from engine.training import Trainer


def stopped(trainer: Trainer) -> Diverged:
    """The fault that the next step is stopped by, with nothing changed by it."""
    before, kept = copied(trainer.learner.meta_parameters), copied(trainer.learner.kept)
    optimizer = [tensor.clone() for each in trainer.optimizer.state().values() for tensor in each]
    at = trainer.iteration
    with pytest.raises(Diverged) as found:
        trainer.step()
    assert equal(before, trainer.learner.meta_parameters) and equal(kept, trainer.learner.kept)
    after = [tensor for each in trainer.optimizer.state().values() for tensor in each]
    assert all(torch.equal(*pair) for pair in zip(optimizer, after, strict=True))
    assert trainer.iteration == at and f"iteration {at + 1} " in str(found.value)
    return found.value


def poison(trainer: Trainer, part: str, task: int, value: float) -> None:
    """Puts a value into one task's tensor of every batch to come."""
    real = trainer.stream.episodes

    def episodes(iteration: int):
        tensor = getattr(tasks := real(iteration), part).clone()
        tensor[task].view(-1)[0] = value
        return tasks._replace(**{part: tensor})

    trainer.stream.episodes = episodes


@pytest.mark.parametrize("base", [SINE, IMAGES])
def test_the_task_is_named(base: dict) -> None:
    trainer = trainer_of(spec_of(base))
    for _ in range(3):
        trainer.step()
    batch = trainer.spec.training.tasks_per_batch
    poison(trainer, "query_x", 2, math.nan)
    report = replayed(trainer, stopped(trainer))
    assert (report["what"], report["task"], report["index"]) == ("loss", 2, 3 * batch + 2)
    assert [math.isfinite(task["query_loss"]) for task in report["tasks"]] == [n != 2 for n in range(batch)]
    assert told(report).startswith(f"task 2 of its batch (number {3 * batch + 2})")


def test_the_inner_step_and_the_layer_are_named() -> None:
    """A support label of 1e200: its square, the loss of the first inner step, is infinite after the head."""
    trainer = trainer_of(spec_of(SINE))
    poison(trainer, "support_y", 1, 1e200)
    report = replayed(trainer, stopped(trainer))
    assert (report["task"], report["inner_step"]) == (1, 1) and report["layer"].startswith("head.")


@pytest.mark.parametrize("layer", ["linear1.weight", "linear2.bias", "head.weight"])
def test_a_layer_that_is_not_finite_is_named(layer: str) -> None:
    trainer = trainer_of(spec_of(SINE))
    trainer.step()
    trainer.learner.meta_parameters[layer].view(-1)[0] = math.inf
    fault = stopped_whatever(trainer)
    assert replayed(trainer, fault)["layer"] == layer


def stopped_whatever(trainer: Trainer) -> Diverged:
    with pytest.raises(Diverged) as found:
        trainer.step()
    return found.value


def test_an_example_of_joint_training_is_named() -> None:
    trainer = trainer_of(spec_of(IMAGES, JOINT))
    real = trainer.stream.examples

    def examples(iteration: int):
        x = (drawn := real(iteration)).x.clone()
        x[0, 7] = math.nan
        return drawn._replace(x=x)

    trainer.step()
    trainer.stream.examples = examples
    report = replayed(trainer, stopped(trainer))
    # The layer where it came in is the first; batch statistics then spread it over the whole batch.
    assert report["unit"] == "example" and report["what"] == "loss" and report["layer"] == "conv1.weight"


def test_a_step_out_of_range_is_taken_back() -> None:
    """A rate of 1e39 is infinite in float32, and so would every parameter be."""
    spec = spec_of(SINE, {"outer": {"learning_rate": 1e39}})
    trainer = trainer_of(spec, torch.float32)
    fault = stopped(trainer)
    assert fault.what == "parameters" and replayed(trainer, fault)["layer"] in fault.layers


def test_usual_steps_are_not_looked_at_twice() -> None:
    assert not is_reckless(1e-3, 1e10) and not is_reckless(0.5, 0.0)
    assert is_reckless(1e39, 0.0) and is_reckless(1.0, 1e19)


def test_a_sound_step_is_told_as_such() -> None:
    trainer = trainer_of(spec_of(SINE))
    report = replayed(trainer)
    assert report["what"] is None and report["layer"] is None and report["task"] is None
    assert not any(task["bad"] for task in report["tasks"])
