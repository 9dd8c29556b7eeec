"""Trainers of one spec under several seeds, an iteration of all of them at once.

Where there is a thread to help, they are two teams: while one team's outer steps are taken, which is little
arithmetic and much Python, the other's tasks are being walked. Which team a seed is in changes no bit of it.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from engine.adaptation.gradient import GradientRule
from engine.paths import FUSED
from engine.together.team import Outcome, Team
from engine.training import Trainer

__all__ = ["Lockstep", "Outcome", "unfit"]


def unfit(trainers: Sequence[Trainer]) -> str | None:
    """Why these cannot go in lockstep; None where they can."""
    first = trainers[0]
    rule = first.rule
    if any(trainer.learner.path != FUSED for trainer in trainers):
        return f"the path is {next(t.learner.path for t in trainers if t.learner.path != FUSED)}"
    if not isinstance(rule, GradientRule) or rule.whole is None or first.learner.tasks.kind != "values":
        return "one seed's arithmetic fills the cores"
    if first.tasks_at_once < first.size:
        return "memory holds a part of a batch at once"
    return None


class Lockstep:
    """Trainers that stand at the same iteration, and differ in their seeds alone."""

    def __init__(self, trainers: Sequence[Trainer], threads: int) -> None:
        self.trainers = list(trainers)
        self.computing: AbstractContextManager[None] = nullcontext()
        """Entered where a step only computes, and nothing of the trainings changes."""
        count = len(self.trainers)
        first = (count + 1) // 2 if threads > 1 else count
        parts = (self.trainers[:first], self.trainers[first:])
        self.teams = [Team(part, threads) for part in parts if part]

    def step(self) -> list[Outcome]:
        """One iteration of each; a trainer whose numbers went bad has not moved, and must leave."""
        outcomes: list[Outcome] = []
        # Once one team has moved, the other must before anything is saved.
        entered: tuple[AbstractContextManager[None], ...] = (self.computing, nullcontext())
        for number, (team, computing) in enumerate(zip(self.teams, entered, strict=False)):
            following = self.teams[(number + 1) % len(self.teams)]
            with computing:
                team.begin()
                if following is not team:
                    following.batches.draw_ahead()
                team.finish()
                if following is not team and following.goes_on:
                    following.begin()
            outcomes += team.move(computing)
        return outcomes

    def close(self) -> None:
        """Waits for what was begun."""
        for team in self.teams:
            team.finish()
