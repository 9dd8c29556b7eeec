"""What a diagnosis says: findings, with the figures that they were judged by, and numbers as sentences
have them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["fault", "warning", "hint"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "hint")
"""A fault ended the training or makes its result void; a warning is probably wrong; a hint is to be known."""


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong: one sentence with figures, and one that says what to try."""

    name: str
    severity: Severity
    sentence: str
    advice: str
    figures: Mapping[str, Any]
    """What it was judged by; accuracy in percent, iterations as counts."""

    def as_row(self) -> dict[str, Any]:
        """The finding as plain values."""
        return {
            "name": self.name,
            "severity": self.severity,
            "sentence": self.sentence,
            "advice": self.advice,
            "figures": dict(self.figures),
        }


def number(value: float) -> str:
    """Three significant digits, as 0.0123 or 1.2e-07; whole numbers from a thousand on with commas."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def iteration(step: float) -> str:
    """`iteration 3,000`."""
    return f"iteration {step:,.0f}"


def counted(count: int, word: str) -> str:
    """`1 step`, `5 steps`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Measure:
    """How a run's metric is told: accuracy in percent, an error as it is."""

    metric: Literal["accuracy", "mse"]

    @property
    def sign(self) -> float:
        """What makes more of the metric better: 1 for accuracy, -1 for an error."""
        return 1.0 if self.metric == "accuracy" else -1.0

    def told(self, value: float) -> float:
        """A value of an event in the unit of sentences and figures."""
        return 100.0 * value if self.metric == "accuracy" else value

    def text(self, value: float) -> str:
        """`61.2 %` or `0.361`, of a value of an event."""
        return f"{100 * value:.1f} %" if self.metric == "accuracy" else number(value)

    def pair(self, value: float, half_width: float) -> str:
        """`61.2 ± 0.9 %` or `0.361 ± 0.049`."""
        if self.metric == "accuracy":
            return f"{100 * value:.1f} ± {100 * half_width:.1f} %"
        return f"{number(value)} ± {number(half_width)}"

    def change(self, difference: float, half_width: float) -> str:
        """A difference with its half-width: `2.1 ± 0.8 points` or `0.0123 ± 0.0041`."""
        if self.metric == "accuracy":
            return f"{100 * difference:.1f} ± {100 * half_width:.1f} points"
        return f"{number(difference)} ± {number(half_width)}"

    def points(self, difference: float) -> str:
        """A difference: `2.1 points` or `0.0123`."""
        return f"{100 * difference:.1f} points" if self.metric == "accuracy" else number(difference)
