"""What a batch system sends to the process that follows runs in the foreground."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from fake_runs import make_spec

from engine.runs import asked, create_run
from engine.runs.trainings import Trainings
from tui.batch_signals import heeded


def test_a_warning_asks_for_checkpoints_and_the_end_is_as_ctrl_c(tmp_path: Path) -> None:
    """Of the runs begun here alone; afterwards the signals mean what they did."""
    before = [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)]
    runs = [create_run(tmp_path, make_spec(seed)) for seed in (0, 1)]
    followed = [SimpleNamespace(run=run, own=number == 0, done=False) for number, (run, _) in enumerate(runs)]
    with heeded(cast(Trainings, SimpleNamespace(followed=followed))):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert [asked(run) for run, _ in runs] == [{"checkpoint"}, set()]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)] == before
    for _, lock in runs:
        os.close(lock)
