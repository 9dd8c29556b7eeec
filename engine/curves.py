"""What a learner makes of one wave: its curve after each inner step, beside the true one."""

from typing import Any

import torch

from engine.evaluation import adapted_states, recorded_steps
from engine.learner import Learner
from engine.presets.schema import Adaptation
from engine.tasks.episodes import Part
from engine.tasks.sine import Sine, wave

SIGNIFICANT_DIGITS = 4


@torch.no_grad()
def curves(learner: Learner, adaptation: Adaptation, part: Part, episode: int, points: int) -> dict[str, Any]:
    """One episode of waves on an even grid over the query range, as plain numbers of four digits.

    `x`, `truth` [points]; `support_x`, `support_y` [K]; `steps` [S] and `predictions` [S][points] after them.
    """
    tasks = learner.tasks
    assert isinstance(tasks, Sine)
    low, high = tasks.task.query_x
    task = tasks.episodes(part, torch.tensor([episode]))
    grid = torch.linspace(low, high, points, dtype=torch.float64, device=task.detail.device)
    truth = wave(task.detail, grid.unsqueeze(0), tasks.sign)
    task = task._replace(
        query_x=tasks.inputs(grid.unsqueeze(0), task.detail).to(task.query_x.dtype),
        query_y=truth.to(task.query_y.dtype).unsqueeze(-1),
    )
    # One grid normalises as one query set does: its own points, unless the protocol says otherwise.
    rule = learner.rule(adaptation, part, learner.spec.evaluation.statistics)
    steps, predictions = [], []
    for step, state in adapted_states(rule, learner, task, recorded_steps(adaptation.steps)):
        steps.append(step)
        predictions.append(_rounded(rule.predict(state, learner.meta_parameters, task, step)))
    return {
        "x": _rounded(grid),
        "truth": _rounded(truth),
        "support_x": _rounded(task.support_x[..., 0]),
        "support_y": _rounded(task.support_y),
        "steps": steps,
        "predictions": predictions,
    }


def _rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.{SIGNIFICANT_DIGITS}g}") for value in values.flatten().tolist()]
