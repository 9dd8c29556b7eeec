"""The workbench on a real terminal: it opens, keys outrun frames, texts are pasted, sizes change."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_runs import make_run
from patience import shown, until
from terminals import Terminal, pseudo_terminals

from tui.app import Workbench

pytestmark = pseudo_terminals

# To the runs; down and up, two marks, another order, a filter, to Compare and back, down and up again.
BURST = "2jjjjjjkk jj oo/finis\r32jjjkj"
# What would act, were it keys: remove, stop, fork, leave.
DANGEROUS = "dxfq\r" * 40


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen runs that have ended."""
    folder = tmp_path_factory.mktemp("keys") / "runs"
    folder.mkdir()
    for seed in range(12):
        make_run(folder, seed=seed, state="failed" if seed % 3 else "finished", step=seed, host="elsewhere")
    return folder


@pytest.fixture(scope="module")
def terminal(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """One workbench on those runs, opened once for this file."""
    environment = {"KSHOT_RUNS": str(runs), "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("runtime"))}
    with Terminal(environment=environment) as opened:
        yield opened


def on_runs(terminal: Terminal) -> None:
    """The runs screen without a filter, the cursor on the first run."""
    terminal.press("2")
    terminal.wait_for("order:")
    terminal.press("escape")
    terminal.wait_for("12 runs")


def test_thirty_keys_in_one_write_end_where_single_ones_do(terminal: Terminal, runs: Path) -> None:
    expected = asyncio.run(_by_single_keys(runs))
    assert "4 of 12 runs   order: task   filter: finis   2 marked" in expected
    terminal.wait_for("1 Bench", "? Help")
    terminal.write(BURST)
    terminal.wait_until(lambda: terminal.text().rstrip() == expected.rstrip(), expected)


async def _by_single_keys(runs: Path) -> str:
    """The screen after the same keys, each pressed when the one before was dealt with."""
    app = Workbench(runs, runs.parent / "data")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: bool(app.snapshot.taken))
        await pilot.press(*({"\r": "enter", " ": "space", "/": "slash"}.get(key, key) for key in BURST))
        # The selected run's files are read a moment later.
        await until(pilot, lambda: "dataset sine" in shown(app))
        return shown(app)


def test_a_pasted_text_never_acts_as_keys(terminal: Terminal, runs: Path) -> None:
    on_runs(terminal)
    terminal.paste(DANGEROUS)
    terminal.press("o")
    terminal.wait_for("order: algorithm")
    terminal.press("3")
    terminal.wait_for("not tested yet")
    terminal.paste(DANGEROUS)
    terminal.press("2")
    terminal.wait_for("12 runs   order: algorithm")
    assert terminal.process.poll() is None and len(list(runs.glob("2*"))) == 12


def test_a_text_pasted_into_a_line_stands_there(terminal: Terminal) -> None:
    on_runs(terminal)
    terminal.press("/")
    terminal.wait_for("words in id")
    terminal.paste("dxq[b]\nq")
    terminal.wait_for("0 of 12 runs", "filter: dxq[b]", "no run has the words dxq[b]")
    terminal.press("escape")
    terminal.wait_for("12 runs")


def test_every_size_is_filled(terminal: Terminal) -> None:
    on_runs(terminal)
    for columns, rows in ((120, 36), (40, 10), (200, 60), (20, 5), (80, 24)):
        terminal.resize(columns, rows)
        terminal.wait_until(lambda rows=rows: _is_filled(terminal, rows), f"a screen of {columns}×{rows}")  # type: ignore[misc]
    terminal.wait_for("12 runs", "? Help")


def _is_filled(terminal: Terminal, rows: int) -> bool:
    """The first line names the program, the last one shows keys."""
    lines = terminal.text().split("\n")
    return len(lines) == rows and lines[0].startswith(" kshot") and lines[-1].strip() != ""
