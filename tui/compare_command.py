"""`kshot compare`: trains what is missing, tests everything on the same episodes, prints the table."""

import re
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.core import TyperCommand

from tui import options as given
from tui.output import emit, emit_json, terminal_width

FORMATS = ("table", "markdown", "csv")
SHORTEST = "shortest"
TIME = re.compile(r"[\d.][\d.a-z]*", re.IGNORECASE)


class Compare(TyperCommand):
    """The command, whose --equal-seconds may stand without a number: click has no such option."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """As ever, after a number is put where none follows."""
        return super().parse_args(ctx, with_seconds(args))


def with_seconds(arguments: Sequence[str]) -> list[str]:
    """The same arguments, `shortest` behind every --equal-seconds that no time follows."""
    found: list[str] = []
    for number, argument in enumerate(arguments):
        found.append(argument)
        following = arguments[number + 1] if number + 1 < len(arguments) else ""
        if argument == "--":
            return [*found, *arguments[number + 1 :]]
        if argument == "--equal-seconds" and not TIME.fullmatch(following):
            found.append(SHORTEST)
    return found


def _seconds(text: str) -> float:
    """A time in seconds; RequestError for anything else."""
    from engine.errors import RequestError

    try:
        return given.seconds(text)
    except RequestError:
        raise RequestError(f'--equal-seconds "{text}" is no time; write 90, 10m or 1h30m') from None


def compare(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="TASK ALGORITHM | COMPARISON",
            help="A task and algorithms after it, or one comparison: by name or path.",
            autocompletion=given.complete_compare,
        ),
    ],
    set_: given.Set = None,
    budget: given.Budget = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="NAME|none", help="The row that the others are paired with (pretrain)."
        ),
    ] = None,
    seed: given.Seed = None,
    seeds: given.Seeds = None,
    device: given.Device = None,
    name: given.Name = None,
    time_limit: given.TimeLimit = None,
    fresh: given.Fresh = False,
    detach: given.Detach = False,
    dry_run: given.DryRun = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="table|markdown|csv", help="How the table is printed.")
    ] = "table",
    equal_seconds: Annotated[
        str | None,
        typer.Option(
            "--equal-seconds",
            metavar="[SECONDS]",
            help="Add a view of all rows' validations at equal seconds of training (90, 10m), by default "
            "those of the shortest training.",
        ),
    ] = None,
    json: given.Json = False,
    runs_dir: given.RunsDir = None,
    data_dir: given.DataDir = None,
) -> int:
    """Compare algorithms on the same test episodes of a task.

    What is not trained yet is trained first, and a pretraining baseline is added."""
    from engine.runs.comparison import plan, requested_comparison
    from engine.runs.rows import Options

    silent = "--detach" if detach else "--dry-run" if dry_run else None
    _check_printed(format_, json, silent, equal_seconds is not None)
    cut_at = None if equal_seconds in (None, SHORTEST) else _seconds(equal_seconds)
    options = Options(budget or "quick", given.overrides(set_, time_limit), seed, seeds, device, fresh)
    runs_folder, data_folder = given.folders(runs_dir, data_dir)
    planned = plan(requested_comparison(what, baseline), options, runs_folder, data_folder)
    if dry_run:
        from tui.dry_run import show_plan

        return show_plan(planned, runs_folder, json)
    from tui.carrying_out import carry_out

    tables, code = carry_out(planned, runs_folder, data_folder, name, detach)
    if tables is None:
        return code
    if equal_seconds is not None:
        from engine.runs.equal_seconds import equal_seconds as cut

        tables = [{**table, "equal_seconds": cut(table, runs_folder, cut_at)} for table in tables]
    _print(tables, planned.name, format_, json)
    return code


def _check_printed(format_: str, json: bool, silent: str | None, equal_seconds: bool) -> None:
    """RequestError for what cannot be printed; `silent` is the option with which no table is."""
    from engine.errors import RequestError

    if format_ not in FORMATS:
        raise RequestError(f'--format "{format_}" is unknown; there are {", ".join(FORMATS)}')
    if format_ != "table" and (json or silent):
        raise RequestError(f"--format {format_} and {silent or '--json'} do not go together: give one")
    if json and silent == "--detach":
        raise RequestError(
            "--json and --detach do not go together: a detached comparison prints run IDs alone"
        )
    if equal_seconds and silent:
        raise RequestError(f"--equal-seconds and {silent} do not go together: give one")


def _print(tables: list[dict], name: str | None, format_: str, json: bool) -> None:
    from tui import equal_seconds as cut
    from tui import tables as shown

    if json:
        emit_json(tables[0] if name is None else {"comparison": name, "tables": tables})
        return
    if format_ == "csv":
        emit(shown.comma_separated(tables))
        return
    parts = []
    for table in tables:
        second = table.get("equal_seconds")
        if format_ == "markdown":
            parts += [shown.markdown(table), *([cut.markdown(second)] if second else [])]
        else:
            width = terminal_width()
            parts += [shown.text(table, width), *([cut.text(second, width)] if second else [])]
    emit("\n\n".join(parts))
