"""A training of some minutes holds on to nothing: `tests/soak.py` does the same for an hour."""

from pathlib import Path

import pytest
from soak import growth, soaked


@pytest.mark.long
@pytest.mark.parametrize(("task", "algorithm"), [("sine-10shot", "maml"), ("glyphs-5way-1shot", "maml")])
def test_memory_and_handles_are_flat(tmp_path: Path, task: str, algorithm: str) -> None:
    samples = soaked(tmp_path, 3.0, task, algorithm)
    before, after = growth(samples, "memory")
    assert after <= 1.01 * before
    for name in ("handles", "threads"):
        early, late = growth(samples, name)
        assert early == late, name
