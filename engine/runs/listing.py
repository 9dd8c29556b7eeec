"""Lists of runs: what a row needs, from the status file alone where it tells, whatever the folder holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.runs.files import plain, read_small
from engine.runs.status import Status, read_status
from engine.runs.store import Run, all_runs


@dataclass(frozen=True)
class Summary:
    """One run in a list. Texts are single printable lines; times are seconds since 1970."""

    run: Run
    status: Status
    name: str | None
    kind: str
    task: str
    algorithm: str
    budget: str
    seed: int | None
    key: str
    metric: str
    """`accuracy` or `mse`."""
    parent: str | None = None
    """The id of the run that it was forked from."""

    @property
    def id(self) -> str:
        return self.run.id

    @property
    def state(self) -> str:
        return self.status.state

    @property
    def error(self) -> str | None:
        return self.status.error

    def as_row(self) -> dict[str, Any]:
        """The row of `kshot runs list --json`."""
        return {
            "run": self.run.id,
            "name": self.name,
            "task": self.task,
            "algorithm": self.algorithm,
            "seed": self.seed,
            "state": self.status.state,
            "step": self.status.step,
            "steps": self.status.steps,
            "updated": self.status.updated,
            "metric": self.metric,
            "best": (self.status.best or {}).get("value"),
        }


def list_runs(runs_dir: Path) -> list[Summary]:
    """All runs of the folder, oldest first; none where there is no folder. Raises RequestError for a folder
    that cannot be read, and nothing for whatever the run directories hold."""
    return [summarise(run) for run in all_runs(runs_dir)]


def summarise(run: Run) -> Summary:
    """One run's summary."""
    status = read_status(run)
    facts: Mapping[str, Any] = status.summary
    if not facts.get("key"):
        facts = {**facts_of_spec(run), **facts}
    seed = facts.get("seed")
    return Summary(
        run=run,
        status=status,
        name=plain(facts.get("name"), 80) or None,
        kind=plain(facts.get("kind") or "train", 20),
        task=plain(facts.get("task"), 80),
        algorithm=plain(facts.get("algorithm"), 80),
        budget=plain(facts.get("budget"), 40),
        seed=seed if isinstance(seed, int) else None,
        key=plain(facts.get("key"), 64),
        metric="mse" if facts.get("metric") == "mse" else "accuracy",
        parent=plain(facts.get("parent"), 200) or None,
    )


def facts_of_spec(run: Run) -> dict[str, Any]:
    """What a status says of a run for lists, from spec.yaml, for one whose status file was lost."""
    from engine.presets.source import read_text

    try:
        content = read_text(read_small(run.spec_path, 1 << 20).decode(), "spec.yaml").content
    except (OSError, ValueError, RequestError):
        return {}
    if not isinstance(content, dict):
        return {}
    found = content.get("origin")
    origin: dict[str, Any] = found if isinstance(found, dict) else {}
    facts = {key: content[key] for key in ("kind", "seed", "key") if key in content}
    task = content.get("task")
    facts["metric"] = "mse" if isinstance(task, dict) and task.get("dataset") == "sine" else "accuracy"
    return facts | {key: origin[key] for key in ("task", "algorithm", "budget") if key in origin}
