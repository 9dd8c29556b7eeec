"""The right name that is most like a wrong one: one measure and one wording for presets, data sets and runs.

Imports nothing heavy: whatever refuses a name may say what was meant.
"""

import difflib
from collections.abc import Iterable

ALIKE = 0.55
"""How alike two names are at least (difflib's ratio) for one to be suggested for the other."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, the first of several; None where none is alike."""
    matcher = difflib.SequenceMatcher(b=name.lower())
    best, likeness = None, ALIKE
    for candidate in known:
        matcher.set_seq1(candidate.lower())
        if matcher.real_quick_ratio() > likeness and (ratio := matcher.ratio()) > likeness:
            best, likeness = candidate, ratio
    return best


def suggestion(name: str, known: Iterable[str], what: str = "known") -> str:
    """` (nearest: ways)`, or all that is known where nothing is near."""
    candidates = list(known)
    match = nearest(name, candidates)
    return f" (nearest: {match})" if match else f" ({what}: {', '.join(candidates) or 'none'})"
