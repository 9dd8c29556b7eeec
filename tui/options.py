"""The options that several commands share."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import RequestError
from tui.folders import folders as folders


def complete_task(incomplete: str) -> list[str]:
    """Task presets for the shell's completion."""
    return _complete("tasks", incomplete)


def complete_algorithm(incomplete: str) -> list[str]:
    """Algorithm presets for the shell's completion."""
    return _complete("algorithms", incomplete)


def complete_comparison(incomplete: str) -> list[str]:
    """Comparison presets for the shell's completion."""
    return _complete("comparisons", incomplete)


def complete_compare(context: typer.Context, incomplete: str) -> list[str]:
    """After `compare`: a comparison or a task first, algorithms after it."""
    if context.params.get("what"):
        return _complete("algorithms", incomplete)
    return _complete("comparisons", incomplete) + _complete("tasks", incomplete)


def complete_train(context: typer.Context, incomplete: str) -> list[str]:
    """After `train`: a task first, an algorithm after it."""
    return _complete("algorithms" if context.params.get("what") else "tasks", incomplete)


def complete_run(incomplete: str) -> list[str]:
    """Run ids for the shell's completion."""
    from engine.runs import runs_folder

    folder = runs_folder(None)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted((n for n in names if n.startswith(incomplete) and not n.startswith(".")), reverse=True)


def _complete(kind: str, incomplete: str) -> list[str]:
    from tui.names import preset_names

    return [name for name in preset_names(kind) if name.startswith(incomplete)]


RunsDir = Annotated[
    Path | None, typer.Option("--runs-dir", metavar="DIR", help="Where runs lie (else KSHOT_RUNS).")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Where data sets lie (else KSHOT_DATA).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
All = Annotated[bool, typer.Option("--all", help="Show keys that are left at an empty default too.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change one value of the spec; may be given again."),
]
Budget = Annotated[
    str | None, typer.Option("--budget", metavar="quick|paper", help="How long to train (quick).")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="The first seed of the training.")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, max=1000, metavar="N", help="Train N seeds.")]
Device = Annotated[
    str | None, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print what would be trained or reused, time, memory and the spec; start nothing.",
    ),
]
TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="10m",
        help="End each training as finished after this time: 90s, 10m, 1h30m; a number alone is seconds.",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option("--processes", min=1, metavar="N", help="Share each meta-batch among N processes here."),
]
Name = Annotated[str | None, typer.Option("--name", help="A name for the runs that this begins.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Train anew what a finished run could serve.")]
Detach = Annotated[
    bool, typer.Option("--detach", help="Leave the runs in the background and print their ids, one a line.")
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id or name.", autocompletion=complete_run)
]
_RUNS = typer.Argument(metavar="RUN", help="Runs by id or name.", autocompletion=complete_run)
RunNames = Annotated[list[str], _RUNS]
AnyRunNames = Annotated[list[str] | None, _RUNS]

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


def seconds(text: str) -> float:
    """A time as `90`, `90s`, `10m`, `1.5h` or `1h30m` in seconds; RequestError for anything else.

    A number alone is seconds; beside others it needs its unit: `1h30` would be read as one would not mean it.
    """
    compact = text.strip().lower().replace(" ", "")
    pieces = re.findall(r"(\d+(?:\.\d+)?)(min|[smh]?)", compact)
    whole = "".join(number + unit for number, unit in pieces)
    total = sum(float(number) * _UNITS[unit] for number, unit in pieces)
    bare = len(pieces) > 1 and any(not unit for _, unit in pieces)
    if not compact or whole != compact or total <= 0 or bare:
        raise RequestError(f'--time-limit "{text}" is no time; write 90s, 10m or 1h30m')
    return total


def overrides(set_: list[str] | None, time_limit: str | None) -> tuple[str, ...]:
    """The texts of --set, and what --time-limit adds to them; each has to be `path=value`."""
    for text in set_ or []:
        path, equals, _ = text.partition("=")
        if not equals or not path.strip():
            raise RequestError(f"--set {text}: write path.to.key=value")
    limit = () if time_limit is None else (f"training.time_limit={seconds(time_limit):.1f}",)
    return (*(set_ or ()), *limit)


def refuse(options: Mapping[str, object], why: str) -> None:
    """RequestError for the first of these options that was given: without effect it must not stay unsaid."""
    for option, value in options.items():
        if value:
            raise RequestError(f"{option} {why}")


def pass_down(context: typer.Context, **given: object) -> None:
    """Options that stand before a sub-command hold for it too, unless it is given its own.

    Folders hold for whatever reads them. RequestError for --json before a command that prints none.
    """
    name = context.invoked_subcommand or ""
    asked = {option: value for option, value in given.items() if value not in (None, False)}
    command = getattr(context.command, "commands", {}).get(name)
    takes = {option.name for option in getattr(command, "params", ())}
    if "json" in asked and "json" not in takes and not hasattr(command, "commands"):
        raise RequestError(f"{context.command_path} {name} prints no JSON")
    # What click fills in for options that are not given; what came from further above goes on down.
    context.default_map = {name: {**(context.default_map or {}), **asked}}
