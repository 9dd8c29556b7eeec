"""`kshot reproduce`: a published table at its own protocol, ours beside it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from tui import options as given
from tui.output import columns, emit, emit_json, terminal_width

Table = Mapping[str, Any]
APART = (
    ("--json", "--detach"),
    ("--json", "--markdown"),
    ("--markdown", "--detach"),
    ("--markdown", "--dry-run"),
)
"""Options of which one would do nothing beside the other."""


def _complete(incomplete: str) -> list[str]:
    from engine.runs.reproductions import reproductions

    return [name for name in reproductions() if name.startswith(incomplete)]


def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="A published table; without one all are listed.", autocompletion=_complete
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ROW", help="Only these rows, now: the others another time."),
    ] = None,
    fraction: Annotated[
        float,
        typer.Option("--fraction", metavar="F", help="Train for this part of the published iterations."),
    ] = 1.0,
    set_: given.Set = None,
    seed: given.Seed = None,
    seeds: given.Seeds = None,
    device: given.Device = None,
    detach: given.Detach = False,
    dry_run: given.DryRun = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
    json: given.Json = False,
    runs_dir: given.RunsDir = None,
    data_dir: given.DataDir = None,
) -> int:
    """Run a published table at its own protocol.

    Ours stands beside it, with a verdict on every cell. What is finished is reused, what was stopped
    goes on: asked again, it resumes. --only trains in parts."""
    from engine.errors import RequestError
    from engine.runs.comparison import plan
    from engine.runs.reproductions import BUDGET, as_comparison, reproduction_named
    from engine.runs.rows import Options

    shown = {"--markdown": markdown, "--detach": detach, "--dry-run": dry_run}
    if name is None:
        trained = {"--only": only, "--fraction": fraction != 1, "--set": set_, "--seed": seed is not None}
        others = {"--seeds": seeds, "--device": device}
        given.refuse({**trained, **others, **shown}, "is for a published table; name one")
        _list(json)
        return 0
    if not 0 < fraction <= 1:
        raise RequestError(f"--fraction {fraction:g}: write a number above 0, up to 1")
    clash = next((pair for pair in APART if all({"--json": json, **shown}[option] for option in pair)), None)
    if clash is not None:
        raise RequestError(f"{' and '.join(clash)} do not go together: give one")
    wanted = reproduction_named(name)
    options = Options(BUDGET, given.overrides(set_, None), seed, seeds, device)
    runs_folder, data_folder = given.folders(runs_dir, data_dir)
    planned = plan(as_comparison(wanted, only or (), fraction), options, runs_folder, data_folder)
    if dry_run:
        from tui.dry_run import show_plan

        return show_plan(planned, runs_folder, json)
    from tui.carrying_out import carry_out

    tables, code = carry_out(planned, runs_folder, data_folder, None, detach)
    if tables is not None:
        _print(wanted, tables, fraction, json, markdown)
    return code


def _list(json: bool) -> None:
    from engine.runs.reproductions import reproductions

    listed = [{"name": each.name, "summary": each.summary} for each in reproductions().values()]
    if json:
        emit_json(listed)
    else:
        rows = [list(each.values()) for each in listed]
        emit(columns(["name", "what it is"], rows, width=terminal_width()))


def _print(wanted: Any, tables: Sequence[Table], fraction: float, json: bool, markdown: bool) -> None:
    from engine.runs.reproductions import claims, verdicts
    from tui import tables as shown

    counted, claimed = verdicts(tables), claims(wanted, tables)
    if json:
        more = {"fraction": fraction, "verdicts": counted, "claims": claimed, "tables": list(tables)}
        emit_json({"reproduction": wanted.name, **more})
        return
    parts = [shown.markdown(table) if markdown else shown.text(table, terminal_width()) for table in tables]
    emit("\n\n".join([*parts, "\n".join(summary(counted, claimed, fraction))]))


def summary(counted: Mapping[str, int], claimed: Sequence[Mapping[str, Any]], fraction: float) -> list[str]:
    """What came out, a line each: cells by verdict, claims, and how much of the budget this was."""
    lines = []
    if counted:
        cells = sum(counted.values())
        told = ", ".join(f"{number} {verdict}" for verdict, number in counted.items())
        lines.append(f"Beside the published figures, {cells} cell{'' if cells == 1 else 's'}: {told}")
    words = {True: "holds", False: "does not hold", None: "not tested yet"}
    lines += [f"{each['claim']}: {words[each['holds']]}" for each in claimed]
    if fraction != 1:
        lines.append(f"Each training ran for {100 * fraction:g} % of its published iterations")
    return lines
