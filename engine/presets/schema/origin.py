"""Where a spec came from, with the figure that the literature has for it: what changes no number."""

from typing import Annotated, Any

from pydantic import Field

from engine.presets.schema.section import Section


class PublishedElsewhere(Section):
    """A figure for what was trained on another task (preset) and tested on this one."""

    task: str
    value: float
    ci95: float | None = None


class Published(Section):
    """A figure from the literature for this task and algorithm: value and half-width as printed, with its
    source; and those of the same source for what was trained elsewhere."""

    value: float
    ci95: float | None = None
    source: str
    trained_on: Annotated[tuple[PublishedElsewhere, ...], Field(strict=False)] = ()

    def figure(self, task: str, trained_on: str) -> dict[str, Any] | None:
        """Value, ci95 and source of what was trained on `trained_on` and tested on `task`, this figure's."""
        if trained_on == task:
            return {"value": self.value, "ci95": self.ci95, "source": self.source}
        found = next((each for each in self.trained_on if each.task == trained_on), None)
        return {"value": found.value, "ci95": found.ci95, "source": self.source} if found else None


class Origin(Section):
    """Where a spec came from: preset names, label and budget; changes no number."""

    task: str = "custom"
    algorithm: str = "custom"
    budget: str = "quick"
    family: str = ""
    summary: str = ""
    paper: str = ""
    published: Published | None = None
