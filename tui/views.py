"""What a run says of itself, as one reader sees it: status, last recorded values, speed, time left."""

from dataclasses import dataclass, field
from typing import Any

from engine.runs import Run, Status, StatusWatcher, read_events
from tui.numbers import duration, metric_value, speed
from tui.run_list import going_on
from tui.snapshot import seconds_left, speed_of, state_word, waits_for


@dataclass
class RunView:
    """A reader of one run that keeps its place in the events; `refresh` looks again."""

    run: Run
    label: str
    metric: str
    status: Status = field(init=False)
    validation: dict[str, Any] | None = None
    train: dict[str, Any] | None = None
    fresh: list[dict[str, Any]] = field(default_factory=list)
    _offset: int = 0

    def __post_init__(self) -> None:
        self._watcher = StatusWatcher(self.run)
        self.refresh()

    def refresh(self) -> None:
        """Reads the status and the events appended since the last look, which are then in `fresh`."""
        self.status = going_on(self.run, self._watcher.read())
        self.fresh, self._offset = read_events(self.run.events_path, self._offset)
        for event in self.fresh:
            if event["kind"] == "validation":
                self.validation = event
            elif event["kind"] == "train":
                self.train = event

    @property
    def active(self) -> bool:
        """Whether the run is still under way."""
        return self.status.alive

    @property
    def shown_state(self) -> str:
        """The state, or the phase where it says more: `queued`, `compiling`, `training`, `crashed`."""
        return state_word(self.status)

    @property
    def iterations_per_second(self) -> float | None:
        """The last speed; None before there is one or when the run is over."""
        return speed_of(self.status)

    @property
    def seconds_left(self) -> float | None:
        """Time left at the last speed; None before there is one or when the run is over."""
        return seconds_left(self.status)

    @property
    def value_text(self) -> str:
        """The last validation's value after adaptation, or the last training loss before there is one."""
        values = (self.validation or {}).get("metric")
        if values:
            return named_value(values[-1], self.metric)
        loss = (self.train or {}).get("outer_loss")
        return "" if loss is None else f"loss {metric_value(loss, 'loss')}"

    @property
    def goes_on(self) -> str:
        """Where a run goes on that was resumed and waits for its device; nothing for any other."""
        status = self.status
        if status.state != "queued" or not status.step:
            return ""
        return f"goes on from {status.step:,} of {status.steps:,}"

    @property
    def waits(self) -> str:
        """For whom a queued run waits, where that is known; nothing for any other."""
        return waits_for(self.status)

    @property
    def line(self) -> str:
        """The run in one line, for output without a terminal."""
        status = self.status
        parts = [f"{self.label}: {self.shown_state}"]
        if status.steps and status.state != "queued":
            parts[0] += f" {status.step:,} of {status.steps:,}"
        left = self.seconds_left
        parts += [self.value_text] if status.state != "queued" else [self.goes_on, self.waits]
        parts += [speed(self.iterations_per_second)]
        parts += [f"{duration(left)} left" if left is not None else "", status.error or ""]
        return ", ".join(part for part in parts if part)


def value_text(value: float | None, metric: str) -> str:
    """A metric as it stands in events (accuracy as a fraction), in the unit that people read."""
    if value is None:
        return "not finite"
    return f"{metric_value(value * 100, metric)} %" if metric == "accuracy" else metric_value(value, metric)


def named_value(value: float | None, metric: str) -> str:
    """The same with its name: `accuracy 74.5 %`, or `error 0.709`, a mean squared error."""
    return f"{'accuracy' if metric == 'accuracy' else 'error'} {value_text(value, metric)}"
