"""What makes no sense for rules that solve a task in one go: ridge regression and support vector machines."""

from collections.abc import Iterator

from engine.presets.contradiction import Contradiction
from engine.presets.schema import SineTask, Spec

SOLVED_RULES = ("ridge", "svm")


def unsolvable(spec: Spec, rule: str, phase: str, keys: tuple[str, ...]) -> Iterator[Contradiction]:
    """Whether the tasks are such as the rule solves, in a phase whose rule `keys` name."""
    if rule == "svm" and isinstance(spec.task, SineTask):
        yield Contradiction(f"rule svm in {phase} sets classes apart; a sine task has none", keys)
