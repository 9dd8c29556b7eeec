"""Diagnosis: what looks wrong with a run, what to try, and by which figures. Never imports torch.

Each rule is a generator over a run's facts that yields findings, or a few words on what it found in order;
it yields nothing where the facts do not suffice or it does not apply. Thresholds stand in the rules' files.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.runs.diagnosis.facts import Facts, gather
from engine.runs.diagnosis.finding import SEVERITIES, Finding, iteration
from engine.runs.diagnosis.gain import beyond, chance, gain
from engine.runs.diagnosis.inner_loop import dead_layers, overshoot
from engine.runs.diagnosis.learned_rates import rates
from engine.runs.diagnosis.meta_gradient import along_steps, finite, over_training
from engine.runs.diagnosis.progress import noise, overfitting, plateau
from engine.runs.diagnosis.testing import batch_statistics, speed
from engine.runs.store import Run


def readable(facts: Facts) -> Iterator[Finding | str]:
    """A run whose spec is broken, or of another version."""
    if facts.spec is None:
        yield Finding(
            "spec-unreadable",
            "warning",
            f"Its spec cannot be read, so that little can be judged: {facts.spec_fault}.",
            "kshot train SPEC.yaml says what is wrong with a spec once it is mended",
            {"reason": facts.spec_fault},
        )


RULES: tuple[Callable[[Facts], Iterator[Finding | str]], ...] = (
    readable,
    finite,
    chance,
    gain,
    overshoot,
    beyond,
    dead_layers,
    rates,
    along_steps,
    over_training,
    overfitting,
    plateau,
    noise,
    batch_statistics,
    speed,
)


@dataclass(frozen=True)
class Diagnosis:
    """What was found in one run; `fine` is what was looked at and is in order, in a few words each."""

    run: Run
    state: str
    done: int
    planned: int
    findings: tuple[Finding, ...]
    fine: tuple[str, ...]
    note: str
    """Why little or nothing could be judged; empty where there is no reason."""

    @property
    def sound(self) -> bool:
        """Whether nothing looks wrong: hints may be there."""
        return all(finding.severity == "hint" for finding in self.findings)


def diagnose(run: Run) -> Diagnosis:
    """Judges a run by its spec, status, events and results.

    Raises nothing for whatever its folder holds.
    """
    facts = gather(run)
    findings: list[Finding] = []
    fine: list[str] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Means over columns of which nothing is known; what comes of them is not finite, and is passed over.
        warnings.simplefilter("ignore", RuntimeWarning)
        for rule in RULES:
            for said in rule(facts):
                if isinstance(said, Finding):
                    findings.append(said)
                else:
                    fine.append(said)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(
        run, facts.status.state, facts.done, facts.planned, tuple(findings), tuple(fine), _note(facts)
    )


def _note(facts: Facts) -> str:
    if facts.spec is None:
        return ""
    if facts.spec.outer.rule == "none":
        return "it is not trained, so that there is no training to judge"
    if not facts.done:
        return "nothing to judge yet: it has no training record"
    if facts.early:
        so_far = f"it is at {iteration(facts.done)} of {facts.planned:,}"
        return f"most is not judged before a tenth of training; {so_far}"
    return ""


__all__ = ["Diagnosis", "Finding", "diagnose"]
