"""What is sent to terminals of 256, of 16 and of no colours: nothing that they do not have."""

import re
from pathlib import Path

import pytest
from terminals import Terminal, pseudo_terminals
from tested_runs import run_with_result

pytestmark = pseudo_terminals

SGR = re.compile(rb"\x1b\[([0-9;]*)m")
ATTRIBUTES = {0, 1, 2, 3, 4, 7, 9, 22, 23, 24, 27, 29, 39, 49}
SIXTEEN = {*range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs that were tested."""
    for algorithm, after in (("maml", 0.9), ("pretrain", 0.7)):
        run_with_result(tmp_path / "runs", algorithm, after)
    return tmp_path / "runs"


def looked_round(runs: Path, term: str, **environment: str) -> bytes:
    """What was sent for a look at the bench, the runs, the comparison and the help."""
    with Terminal(term=term, environment={"KSHOT_RUNS": str(runs), **environment}) as terminal:
        terminal.wait_for("maml", "sine-10shot", "? Help")
        looks = (("]", "Outer loss"), ("2", "2 runs"), ("3", "against pretrain"), ("?", "esc closes"))
        for key, shown in looks:
            terminal.press(key)
            terminal.wait_for(shown)
        return bytes(terminal.sent)


def codes(sent: bytes) -> set[tuple[int, ...]]:
    """Every code of every SGR sequence; colours beyond sixteen with their arguments: (38, 5, 233)."""
    found = set()
    for sequence in SGR.findall(sent):
        numbers = [int(number or 0) for number in sequence.split(b";")]
        while numbers:
            length = {2: 5, 5: 3}[numbers[1]] if numbers[0] in (38, 48) else 1
            found.add(tuple(numbers[:length]))
            del numbers[:length]
    return found


@pytest.mark.parametrize("term", ["linux", pytest.param("xterm-color", marks=pytest.mark.long)])
def test_sixteen_colours(runs: Path, term: str) -> None:
    sent = codes(looked_round(runs, term))
    assert {code for code, *_ in sent} <= ATTRIBUTES | SIXTEEN and all(len(code) == 1 for code in sent)
    assert len({code for code, *_ in sent} & SIXTEEN) >= 6


def test_256_colours_as_the_theme_has_them(runs: Path) -> None:
    """What the themes use lies on the terminal's own palette: nothing has to be guessed by the terminal."""
    sent = codes(looked_round(runs, "xterm-256color"))
    assert {code[0] for code in sent} <= ATTRIBUTES | SIXTEEN | {38, 48}
    assert {code[1] for code in sent if len(code) > 1} == {5}
    # kshot-dark's background, panel and primary: #121212, #262626, #00afff.
    assert {(48, 5, 233), (48, 5, 235), (38, 5, 39)} <= sent


def test_no_colours(runs: Path) -> None:
    sent = codes(looked_round(runs, "xterm-256color", NO_COLOR="1"))
    assert {code for code, *_ in sent} <= ATTRIBUTES
    assert (7,) in sent, "what has the focus is reversed"
