"""Single episodes: the answer's numbers are those of the evaluation, and one worker answers several runs."""

import base64
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_runs import make_run, wait_until
from test_evaluation import image_learner, wave_learner

from engine.data import data_folder
from engine.episode_job import area_reduced, described
from engine.evaluation import recorded_steps, scores
from engine.learner import Learner
from engine.presets import Spec, load_spec, resolve, test_adaptation, validation_adaptation
from engine.runs import (
    Run,
    create_run,
    latest,
    pending_requests,
    read_evaluations,
    read_events,
    read_results,
    read_status,
    start_worker,
    write_result,
)
from engine.runs import episodes as questions
from engine.runs.episodes import Asking, Seen, attended, question

TINY = [
    "training.iterations=200",
    "training.validation.every=100",
    "training.validation.episodes=5",
    "evaluation.episodes=20",
]
GLYPHS = [
    *TINY,
    "training.iterations=2",
    "model.filters=4",
    "training.tasks_per_batch=2",
    "training.queries=1",
]


def by_evaluation(learner: Learner, number: int) -> list[float]:
    adaptation = test_adaptation(learner.spec)
    steps = recorded_steps(adaptation.steps)
    statistics = learner.spec.evaluation.statistics
    return scores(learner, adaptation, "test", number + 1, statistics, steps)[number].tolist()


@pytest.mark.parametrize("joint", [False, True])
def test_an_image_episode_scores_as_in_the_evaluation(joint: bool) -> None:
    adaptation = {"learning_rate": 0.4, "steps": 3} | ({"head": "zero"} if joint else {})
    learner = image_learner(adaptation, joint)
    seen = described(learner, 7)
    assert seen["steps"] == [0, 1, 2, 3]
    assert seen["metric"] == by_evaluation(learner, 7)
    probabilities = np.array(seen["probabilities"])
    assert probabilities.shape == (4, 16, 4) and np.allclose(probabilities.sum(-1), 1, atol=1e-3)
    right = probabilities.argmax(-1) == np.array(seen["query_labels"])
    assert np.allclose(right.mean(1), seen["metric"])
    shape = seen["query"]["shape"]
    pixels = np.frombuffer(base64.b64decode(seen["query"]["data"]), np.uint8).reshape(shape)
    task = learner.tasks.episodes("test", torch.tensor([7]))
    assert np.array_equal(pixels[..., 0], (task.query_x[0, :, 0].numpy() * 255).round())
    assert len(seen["classes"]) == 4 and len(set(seen["classes"])) == 4


def test_layers_move_as_far_as_their_parameters_do() -> None:
    learner = image_learner({"learning_rate": 0.4, "steps": 2})
    moved = described(learner, 0)["moved"]
    rule = learner.rule(test_adaptation(learner.spec), "test", "query")
    task = learner.tasks.episodes("test", torch.tensor([0]))
    first = state = rule.start(learner.meta_parameters, task)
    for number in range(2):
        state, _ = rule.step(state, learner.meta_parameters, task, number, second_order=False)
    both = [torch.cat([s["head.weight"].flatten(), s["head.bias"].flatten()]) for s in (first, state)]
    expected = ((both[1] - both[0]).norm() / both[0].norm()).item()
    assert moved["head"][0] == 0 and moved["head"][2] == pytest.approx(expected, rel=1e-3)


def test_a_wave_episode_scores_as_in_the_evaluation_and_its_curve_goes_through_its_queries() -> None:
    learner = wave_learner()
    seen = described(learner, 3)
    assert seen["metric"] == by_evaluation(learner, 3)
    assert len(seen["x"]) == len(seen["truth"]) == 101 and len(seen["support_x"]) == 5
    rule = learner.rule(test_adaptation(learner.spec), "test", "query")
    task = learner.tasks.episodes("test", torch.tensor([3]))
    state = rule.start(learner.meta_parameters, task)
    at_queries = rule.predict(state, learner.meta_parameters, task, 0).detach().flatten().numpy()
    drawn = np.interp(task.query_x.flatten().numpy(), seen["x"], seen["predictions"][0])
    assert np.allclose(drawn, at_queries, atol=0.05)
    truth = np.interp(task.query_x.flatten().numpy(), seen["x"], seen["truth"])
    assert np.allclose(truth, task.query_y.flatten().numpy(), atol=0.05)


def test_large_images_are_reduced_by_area() -> None:
    pixels = np.arange(2 * 84 * 80 * 3, dtype=np.uint32).reshape(2, 84, 80, 3).astype(np.uint8)
    small = area_reduced(pixels, 42)
    assert small.shape == (2, 42, 40, 3)
    assert small[1, 5, 7, 2] == round(pixels[1, 10:12, 14:16, 2].astype(float).mean())


def trained(folder: Path, task: str, algorithm: str, overrides: list[str]) -> Run:
    run, lock = create_run(folder, resolve(task, algorithm, overrides=overrides).spec)
    start_worker(run, lock, data_folder())
    wait_until(lambda: not read_status(run).alive, 120)
    assert read_status(run).state == "finished", run.log_path.read_text()
    return run


def answered(asking: Asking, seconds: float = 60) -> Seen:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seen = asking.look()
        if seen.answer is not None or seen.error is not None:
            return seen
        time.sleep(0.05)
    raise AssertionError(f"no answer; {seen.phase}")


def test_one_worker_answers_two_runs_and_the_fits_stand_in_the_events(tmp_path: Path) -> None:
    maml = trained(tmp_path, "sine-10shot", "maml", TINY)
    base = trained(tmp_path, "sine-10shot", "pretrain", TINY)
    fits = [event for event in latest(read_events(base.events_path)[0]) if event["kind"] == "fit"]
    assert [fit["step"] for fit in fits] == [1, 100, 200]
    steps = recorded_steps(validation_adaptation(resolve("sine-10shot", "pretrain").spec).steps)
    assert fits[-1]["steps"] == steps and len(fits[-1]["predictions"]) == len(steps)
    assert len(fits[-1]["x"]) == len(fits[-1]["truth"]) == len(fits[-1]["predictions"][0]) == 61

    asked = [Asking(question(run, 4, data_folder()), data_folder()) for run in (maml, base)]
    phases = {asking.look().phase for asking in asked}
    assert phases <= {"starting a worker", "importing torch", "loading data", "adapting"}
    assert attended(tmp_path) and sum(asking.starts for asking in asked) == 1
    for asking, name in zip(asked, ("maml", "pretrain"), strict=True):
        seen = answered(asking)
        assert seen.error is None and seen.answer is not None
        assert (seen.answer["algorithm"], seen.answer["episode"]) == (name, 4)
        assert len(seen.answer["predictions"]) == len(seen.answer["steps"]) == len(seen.answer["metric"])
        finn = {"amplitude": [0.1, 5.0], "phase": [0.0, math.pi], "frequency": [1.0, 1.0], "shift": "minus"}
        assert seen.answer["family"] == finn
    assert sum(asking.starts for asking in asked) == 1
    assert not pending_requests(maml) and not read_evaluations(maml) and len(read_results(maml)) == 1
    again = Asking(question(maml, 4, data_folder()), data_folder())
    assert again.look().answer is not None and not again.begun
    broken = maml.requests / "episode-0123456789abcdef.json"
    broken.write_text("{")
    wait_until(lambda: not broken.exists())
    assert attended(tmp_path)
    end_attendance(tmp_path)


def end_attendance(folder: Path) -> None:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"attend" in words and str(folder).encode() in words:
            os.kill(int(process.parent.name), signal.SIGTERM)
    wait_until(lambda: not attended(folder))


def test_a_question_takes_up_what_the_evaluation_chose(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="finished")
    (run.checkpoints / "40-0123456789abcdef.pt").write_bytes(b"")
    task = resolve_spec(run).task
    protocol = {
        "shots": task.shots,
        "queries": task.queries,
        "statistics": "query",
        "evaluation_seed": 3,
        "steps_in_testing": 7,
    }
    asked = question(run, 0, tmp_path)
    assert asked.hardest == () and asked.content["after_step"] == test_adaptation(resolve_spec(run)).steps
    result = {
        "kind": "evaluate",
        "id": "a",
        "task": "sine-10shot",
        "algorithm": "maml",
        "split_hash": "",
        "checkpoint": "0123456789abcdef",
        "checkpoint_step": 40,
        "metric": "mse",
        "higher_is_better": False,
        "protocol": protocol,
        "chosen": {"learning_rate": 0.25, "steps": 2},
        "steps": [0, 2],
        "values": [[1.0, 0.5], [1.0, None], [1.0, 0.7]],
        "after_step": 2,
        "before_step": 0,
    }
    write_result(run, "a", result)
    asked = question(run, 0, tmp_path)
    evaluation = asked.content["spec"]["evaluation"]
    assert (evaluation["adaptation"]["learning_rate"], evaluation["seed"], evaluation["steps"]) == (
        0.25,
        3,
        7,
    )
    assert asked.content["after_step"] == 2 and asked.episodes == 3
    assert asked.hardest == (1, 2, 0)


def resolve_spec(run: Run) -> Spec:
    return load_spec(run.spec_path)


def test_a_question_that_cannot_be_answered_gets_a_line(tmp_path: Path) -> None:
    from engine.episode_job import Learners, answer

    run = make_run(tmp_path, state="finished")
    (run.checkpoints / "40-0123456789abcdef.pt").write_bytes(b"")
    asking = Asking(question(run, 0, tmp_path), tmp_path)
    questions.write_request(run, asking.question.id, asking.question.content)
    asking.begun = True
    assert answer(run, asking.question.id, Learners())
    assert "40-0123456789abcdef.pt" in (asking.look().error or "")
    assert not pending_requests(run)
    assert not answer(run, asking.question.id, Learners())
