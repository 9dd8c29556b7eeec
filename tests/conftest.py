"""What every test stands on: few threads, folders of its own, and the long mode."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Small tensors on a busy machine: a second thread costs more than it gives. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run soak, fuzz and reproduction tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if "long" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="a long test: run with --long"))


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's runs, queue, presets or choices."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "runtime").mkdir(mode=0o700)
    monkeypatch.setenv("KSHOT_RUNS", str(folder / "runs"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "runtime"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.delenv("KSHOT_PRESETS", raising=False)
    monkeypatch.delenv("KSHOT_SLOTS", raising=False)


@pytest.fixture(scope="session", autouse=True)
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of packed images for the whole session, so that glyphs are drawn once."""
    folder = tmp_path_factory.mktemp("cache")
    if "KSHOT_CACHE" not in os.environ:
        os.environ["KSHOT_CACHE"] = str(folder)
    return folder


@pytest.fixture
def kshot(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line called in this process: exit code, standard output, standard error."""
    from tui import cli

    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
