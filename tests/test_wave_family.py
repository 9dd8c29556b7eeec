"""The mean function of a family of waves: against the mean of many tasks as training draws them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from engine.presets import resolve
from engine.tasks import build_tasks
from engine.tasks.sine import Sine, wave
from tui.wave_family import family_mean

X = np.linspace(-5, 5, 41)


@pytest.mark.parametrize(
    "task",
    ["sine-10shot", "sine-full-10shot", "sine-frequency-10shot", "sine-phase45-10shot"],
)
def test_it_is_what_many_tasks_have_on_average(task: str) -> None:
    spec = resolve(task, "maml").spec
    tasks = build_tasks(spec, Path(), torch.device("cpu"))
    assert isinstance(tasks, Sine)
    count = 40_000
    detail = tasks.episodes("train", torch.arange(count)).detail
    sampled = wave(detail, torch.from_numpy(X).unsqueeze(0), tasks.sign).numpy()
    section = spec.task.model_dump(mode="json")
    # Five standard errors.
    assert_allclose(family_mean(section, X), sampled.mean(0), atol=5 * sampled.std(0).max() / count**0.5)


def test_the_means_that_are_known() -> None:
    assert_allclose(family_mean({}, X), -2.55 * 2 / np.pi * np.cos(X), atol=1e-12)
    assert_allclose(family_mean({"phase": [0, 2 * np.pi]}, X), 0, atol=1e-12)
    one = {"amplitude": [2, 2], "phase": [0.5, 0.5], "frequency": [3, 3], "shift": "plus"}
    assert_allclose(family_mean(one, X), 2 * np.sin(3 * X + 0.5), atol=1e-12)
