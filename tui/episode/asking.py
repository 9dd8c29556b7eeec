"""Asking about an episode, off the event loop: questions are files, and so are answers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RequestError
from engine.runs import Run
from tui.episode.answers import CurveEpisode, ImageEpisode, read_answer

if TYPE_CHECKING:
    from engine.runs.episodes import Asking, Question

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Told:
    """What is known of one run's answer: itself, or a phase, or an error; `hardest` are the run's tested
    episodes from the worst on, empty where it was not tested."""

    run_id: str
    number: int
    answer: ImageEpisode | CurveEpisode | None = None
    phase: str = ""
    error: str | None = None
    hardest: tuple[int, ...] = ()
    episodes: int = 0


def ask(
    runs: Sequence[Run],
    number: int,
    data_dir: Path,
    tell: Callable[[Told], object],
    ended: Callable[[], bool],
) -> None:
    """Asks about episode `number` under each run and tells what comes, until all is answered or `ended()`."""
    # Here and not above: these reach the schema, which the first paint does not need.
    from engine.runs import episodes

    open_questions: list[tuple[episodes.Asking, episodes.Question]] = []
    try:
        for run in runs:
            try:
                question = episodes.question(run, number, data_dir)
                open_questions.append((episodes.Asking(question, data_dir), question))
            except (RequestError, OSError) as fault:
                tell(Told(run.id, number, error=str(fault)))
        _follow(open_questions, tell, ended)
    finally:
        for asking, _ in open_questions:
            asking.withdraw()


def _follow(
    questions: "list[tuple[Asking, Question]]", tell: Callable[[Told], object], ended: Callable[[], bool]
) -> None:
    """Looks at the questions until all are answered or `ended()`; the answered ones are taken off."""
    said: dict[str, str] = {}
    while questions and not ended():
        for entry in list(questions):
            told = _look(*entry)
            if told.phase != said.get(told.run_id) or not told.phase:
                said[told.run_id] = told.phase
                tell(told)
            if not told.phase:
                entry[0].withdraw()
                questions.remove(entry)
        if questions:
            time.sleep(LOOK_SECONDS)


def _look(asking: "Asking", question: "Question") -> Told:
    told = Told(question.run.id, question.number, hardest=question.hardest, episodes=question.episodes)
    try:
        seen = asking.look()
        answer = read_answer(seen.answer) if seen.answer is not None else None
        return replace(told, answer=answer, phase=seen.phase, error=seen.error)
    except (RequestError, OSError, ValueError) as fault:
        return replace(told, error=str(fault))
