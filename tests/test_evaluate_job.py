"""Evaluation requests: each is answered once, however many workers were told of it."""

import json
import threading
from pathlib import Path

import pytest
from fake_runs import wait_until
from tested_runs import accuracies, add_result, finished_run

from engine.evaluate_job import answer
from engine.presets import load_spec, spec_to_dict
from engine.requests import ENDED, Asked, evaluations
from engine.runs import Run, list_checkpoints, write_request
from engine.runs.results import read_evaluation

NAME = "a" * 16


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A finished run of which one evaluation is asked."""
    run = finished_run(tmp_path, "maml")
    spec = spec_to_dict(load_spec(run.spec_path))
    checkpoint = list_checkpoints(run)[-1].path.name
    write_request(run, NAME, {"kind": "evaluate", "spec": spec, "checkpoints": [checkpoint]})
    return run


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """Which requests are evaluated; an evaluation takes until the file `go` is there."""
    seen: list[Asked] = []

    def evaluate(request: Asked, ending: object) -> dict[str, object]:
        seen.append(request)
        wait_until((tmp_path / "go").exists)
        return add_result(request.run, accuracies(0.8, episodes=2), NAME)

    monkeypatch.setattr("engine.evaluate_job._result", evaluate)
    return seen


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("../../other/checkpoints/{file}", "STEP-DIGEST.pt alone"),
        ("../checkpoints/{file}", "STEP-DIGEST.pt alone"),
        ("{folder}/{file}", "STEP-DIGEST.pt alone"),
        ("./{file}", "STEP-DIGEST.pt alone"),
        ("a/../{file}", "STEP-DIGEST.pt alone"),
        ("{file}\0", "STEP-DIGEST.pt alone"),
        ("..", "STEP-DIGEST.pt alone"),
        ("", "STEP-DIGEST.pt alone"),
        ("{file} {file}", "twice"),
    ],
)
def test_a_request_reads_no_checkpoint_but_the_run_s_own(run: Run, names: str, reason: str) -> None:
    """Each of these paths leads to a whole checkpoint, or would to a loader that trusts it."""
    file = list_checkpoints(run)[-1].path
    other = run.path.parent / "other" / "checkpoints"
    other.mkdir(parents=True)
    (other / file.name).write_bytes(file.read_bytes())
    given = [name.format(file=file.name, folder=other) for name in names.split(" ")]
    path = run.requests / f"{NAME}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "checkpoints": given}))
    asked = Asked.read(run, NAME)
    assert asked.data is None and asked.error is not None and reason in asked.error


def test_two_workers_evaluate_once(run: Run, evaluated: list[Asked], tmp_path: Path) -> None:
    codes: list[int] = []

    def work() -> None:
        codes.append(answer([Asked.read(run, NAME)], lambda: False))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    wait_until(lambda: len(evaluated) == 1)
    (tmp_path / "go").touch()
    for worker in workers:
        worker.join()
    assert codes == [0, 0] and len(evaluated) == 1
    assert read_evaluation(run, NAME) is not None and not evaluations(run)
    assert not list(run.requests.iterdir())


def test_an_answer_whose_request_was_left_is_not_made_again(run: Run, evaluated: list[Asked]) -> None:
    asked = Asked.read(run, NAME)
    request = (run.requests / f"{NAME}.json").read_bytes()
    made = add_result(run, accuracies(0.8, episodes=2), NAME)
    (run.requests / f"{NAME}.json").write_bytes(request)  # the worker was killed between the two
    assert answer([asked], lambda: False) == 0
    assert not evaluated and not evaluations(run) and read_evaluation(run, NAME) == made


def test_who_waits_for_another_worker_can_be_ended(run: Run, evaluated: list[Asked], tmp_path: Path) -> None:
    first = threading.Thread(target=answer, args=([Asked.read(run, NAME)], lambda: False))
    first.start()
    wait_until(lambda: len(evaluated) == 1)
    looks = iter([False, False, True])
    assert answer([Asked.read(run, NAME)], lambda: next(looks)) == ENDED
    assert evaluations(run) == [NAME]
    (tmp_path / "go").touch()
    first.join()
    assert not evaluations(run)
