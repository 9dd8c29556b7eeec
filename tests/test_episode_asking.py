"""Questions about episodes asked several times at once: by keys faster than threads, and by two apps."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_runs import make_run, wait_until

from engine.runs import Run, episodes
from engine.runs.episodes import Asking, Question
from engine.runs.results import has_request, withdraw_request, write_request, write_result
from tui.episode import asking
from tui.episode.asking import Told, ask

ANSWER = {"kind": "episode", "steps": [0]}


def asked_of(run: Run, number: int, data_dir: Path) -> Question:
    return Question(run, f"episode-{number}", number, {"kind": "episode"}, (), 9)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose questions nobody answers but the test: there is no worker, and none is started."""
    monkeypatch.setattr(episodes, "question", asked_of)
    monkeypatch.setattr(episodes, "attended", lambda runs_dir: True)
    monkeypatch.setattr(asking, "read_answer", lambda content: content)
    monkeypatch.setattr(asking, "LOOK_SECONDS", 0.01)
    return make_run(tmp_path, state="finished")


class Screen:
    """One asking of the episode screen, in its thread, until `leave`."""

    def __init__(self, run: Run, number: int) -> None:
        self.told: list[Told] = []
        self._left = threading.Event()
        given = ([run], number, run.path, self.told.append, self._left.is_set)
        self._thread = threading.Thread(target=ask, args=given)
        self._thread.start()

    def leave(self) -> None:
        self._left.set()
        self._thread.join(10)

    def has_answer(self) -> bool:
        return any(told.answer is not None for told in self.told)


def test_a_question_asked_again_before_it_was_taken_back_is_answered(run: Run) -> None:
    """`n p n`: the thread of the first `n` ends when that of the second has asked already."""
    first = Screen(run, 1)
    wait_until(lambda: has_request(run, "episode-1"))
    between = Screen(run, 0)
    wait_until(lambda: has_request(run, "episode-0"))
    again = Screen(run, 1)
    wait_until(lambda: bool(again.told))
    first.leave()
    between.leave()
    assert has_request(run, "episode-1") and not has_request(run, "episode-0")
    write_result(run, "episode-1", ANSWER)
    wait_until(again.has_answer)
    again.leave()


def test_what_nobody_wants_any_more_is_taken_back_once(run: Run) -> None:
    screens = [Screen(run, 3) for _ in range(3)]
    wait_until(lambda: all(screen.told for screen in screens))
    for screen in screens:
        assert has_request(run, "episode-3")
        screen.leave()
    assert not has_request(run, "episode-3")


def test_a_cancelled_thread_that_asked_nothing_leaves_another_app_s_question(run: Run) -> None:
    write_request(run, "episode-2", {"kind": "episode"})
    Asking(asked_of(run, 2, run.path), run.path).withdraw()
    assert has_request(run, "episode-2")


@pytest.mark.parametrize("end", [write_result, None])
def test_a_question_that_another_app_took_back_is_asked_again(
    run: Run, end: Callable[..., object] | None
) -> None:
    one = Asking(asked_of(run, 4, run.path), run.path)
    assert one.look().phase
    withdraw_request(run, "episode-4")
    if end is not None:
        end(run, "episode-4", ANSWER)
        assert one.look().answer == ANSWER and not has_request(run, "episode-4")
    else:
        assert one.look().phase and has_request(run, "episode-4")
    one.withdraw()
    assert not has_request(run, "episode-4")
