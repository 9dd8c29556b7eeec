"""What was chosen on the bench: one value, which makes both the request and the headless command."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.baseline import BASELINE

if TYPE_CHECKING:
    from engine.runs.rows import Options

FIRST_TASK = "sine-10shot"
FIRST_ALGORITHMS = ("maml", BASELINE)


@dataclass(frozen=True)
class Selection:
    """A task, algorithms and what is asked on top; `overrides` are texts as after `--set`."""

    task: str = ""
    algorithms: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    budget: str = "quick"
    seeds: int = 1
    seed: int | None = None
    device: str | None = None

    @property
    def complete(self) -> bool:
        """Whether there is a task and at least one algorithm."""
        return bool(self.task and self.algorithms)

    @property
    def what(self) -> list[str]:
        """The task and the algorithms, as `compare` takes them."""
        return [self.task, *self.algorithms]

    @property
    def options(self) -> "Options":
        """What applies to all algorithms; --set texts for one that is not chosen (any more) are left out."""
        from engine.runs.rows import Options  # pydantic: not before the first frame.

        return Options(
            budget=self.budget,
            overrides=self.applying,
            seed=self.seed,
            seeds=self.seeds if self.seeds > 1 else None,
            device=self.device,
        )

    @property
    def applying(self) -> tuple[str, ...]:
        """The overrides for all rows and for rows that are there; the baseline always is."""
        there = {None, *self.algorithms, BASELINE}
        return tuple(text for text in self.overrides if scope_of(text) in there)

    @property
    def changes(self) -> int:
        """How many settings differ from the preset's."""
        given = (self.budget != "quick", self.seeds > 1, self.seed is not None, self.device is not None)
        return len(self.applying) + sum(given)

    def toggled(self, algorithm: str) -> "Selection":
        """The same with that algorithm chosen, or no longer."""
        if algorithm in self.algorithms:
            kept = tuple(name for name in self.algorithms if name != algorithm)
            return replace(self, algorithms=kept)
        return replace(self, algorithms=(*self.algorithms, algorithm))

    def without(self, path: str, scope: str | None) -> "Selection":
        """The same without what was set at that path for that scope (None: for all algorithms)."""
        kept = tuple(
            text for text in self.overrides if (scope_of(text), override_path(text)) != (scope, path)
        )
        return replace(self, overrides=kept)

    def with_override(self, path: str, value: str, scope: str | None) -> "Selection":
        """The same with that value at that path."""
        cleaned = self.without(path, scope)
        head = f"{scope}:" if scope else ""
        return replace(cleaned, overrides=(*cleaned.overrides, f"{head}{path}={value}"))

    def command(self, folders: Sequence[str] = ()) -> str:
        """The headless line that does the same; `folders` are the arguments that name other folders."""
        words = ["kshot", "compare", *self.what]
        for text in self.applying:
            words += ["--set", text]
        if self.budget != "quick":
            words += ["--budget", self.budget]
        if self.seed is not None:
            words += ["--seed", str(self.seed)]
        if self.seeds > 1:
            words += ["--seeds", str(self.seeds)]
        if self.device is not None:
            words += ["--device", self.device]
        return shlex.join([*words, *folders])


def scope_of(override: str) -> str | None:
    """The algorithm that a --set text is for; None: all of them."""
    name, colon, _ = override.partition("=")[0].rpartition(":")
    return name if colon else None


def override_path(override: str) -> str:
    """The path that a --set text changes."""
    return override.partition("=")[0].rpartition(":")[2]
