"""What the screens draw: one immutable picture of the runs folder, taken off the event loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from engine.runs import Status, Summary
    from engine.runs.columns import History


TESTING = "testing"


@dataclass(frozen=True)
class TestNow:
    """A test under way: its row or run, what it is doing, how much of how much (0 of 0: waiting)."""

    __test__: ClassVar[bool] = False

    label: str
    phase: str
    done: int
    total: int

    @property
    def share(self) -> float | None:
        """How far it is, 0 to 1, 0 before it has come to testing; None while it waits."""
        if self.total <= 0:
            return None
        return min(1.0, max(0.0, self.done / self.total)) if self.phase == TESTING else 0.0

    @property
    def told(self) -> str:
        """`testing: 340 of 600`, or what it does before that, or that it waits."""
        if self.share is None:
            return "a test of it is asked for and not under way"
        return f"testing: {f'{self.done:,} of {self.total:,}' if self.phase == TESTING else self.phase}"


@dataclass(frozen=True)
class SessionNow:
    """The comparison that this app began: its runs by row label, tests under way, tables at the end."""

    task: str
    runs: Mapping[str, tuple[str, ...]]
    tests: tuple[TestNow, ...]
    tables: tuple[Mapping[str, Any], ...]
    done: bool
    error: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """One picture: all runs, newest first; the histories of the watched ones by run id.

    `asked` is what runs were asked and have not done yet (`stop`, `pause`), `tests` which of them are tested
    or are to be, both by run id.
    """

    taken: float = 0.0
    runs: "tuple[Summary, ...]" = ()
    asked: Mapping[str, frozenset[str]] = field(default_factory=dict)
    histories: Mapping[str, "History"] = field(default_factory=dict)
    session: SessionNow | None = None
    error: str | None = None
    tests: Mapping[str, TestNow] = field(default_factory=dict)

    def run(self, run_id: str) -> "Summary | None":
        """The run of that id."""
        return next((summary for summary in self.runs if summary.id == run_id), None)

    def under_way(self) -> "tuple[Summary, ...]":
        """Runs that are queued, starting or running, in the order in which they will be served."""
        return tuple(reversed([summary for summary in self.runs if summary.status.alive]))

    def ahead_of(self, run: "Summary") -> int:
        """How many runs are served before a queued one: those under way before it that want its device."""
        if run.state != "queued":
            return 0
        place = (run.status.host, run.status.device)
        same = [each.id for each in self.under_way() if (each.status.host, each.status.device) == place]
        return same.index(run.id) if run.id in same else 0


def speed_of(status: "Status") -> float | None:
    """Iterations a second as last heard; None before there is a figure or when the run is over."""
    value = status.more.get("iterations_per_second")
    return (
        float(value) if status.state == "running" and isinstance(value, int | float) and value > 0 else None
    )


def seconds_left(status: "Status") -> float | None:
    """Time left at the last speed."""
    speed = speed_of(status)
    try:
        return max(0, status.steps - status.step) / speed if speed else None
    except OverflowError:  # a file may claim any number of steps
        return None


def waits_for(status: "Status") -> str:
    """`waiting for the device: run ID (process N) holds it`, of a queued run where that is known; else
    nothing."""
    from engine.runs.slots import WAITING  # not before it is needed: the first frame shows no run

    known = status.state == "queued" and status.phase.startswith(f"{WAITING}: ")
    return status.phase if known else ""


def state_word(status: "Status") -> str:
    """The state, or the phase where that says more: `queued`, `compiling`, `training`, `crashed`."""
    return status.phase if status.state in ("starting", "running") and status.phase else status.state
