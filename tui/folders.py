"""The folders that the options of a command mean."""

from pathlib import Path

from engine.errors import RequestError


def folders(runs_dir: Path | None, data_dir: Path | None) -> tuple[Path, Path]:
    """The runs folder and the data folder that these options mean; RequestError for data that are nowhere."""
    from engine.folders import at_home, data_folder
    from engine.runs import runs_folder

    if data_dir is not None and not at_home(data_dir).is_dir():
        raise RequestError(f"--data-dir {data_dir} is no folder; name the one that holds the data sets")
    return runs_folder(runs_dir), data_folder(data_dir)
