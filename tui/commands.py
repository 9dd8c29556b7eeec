"""The command tree: every command's signature, none of its work. Nothing heavy is imported for it."""

from typing import Annotated

import typer

from tui import (
    bench_command,
    compare_command,
    data_command,
    doctor_command,
    evaluate_command,
    presets_command,
    reproduce_command,
    runs_command,
    train_command,
)
from tui import options as given

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app = typer.Typer(
    name="kshot",
    help="Train, watch and compare few-shot learners. Without a command, on a terminal: the workbench.",
    context_settings=CONTEXT,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"kshot {version('kshot')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _kshot(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    runs_dir: given.RunsDir = None,
    data_dir: given.DataDir = None,
) -> int:
    """On a terminal, without a command: the workbench."""
    if context.invoked_subcommand is not None:
        given.pass_down(context, runs_dir=runs_dir, data_dir=data_dir)
        return 0
    from tui.terminal import can_show

    if not can_show():
        typer.echo(context.get_help())
        return 0
    from tui.app import run_workbench

    return run_workbench(*given.folders(runs_dir, data_dir))


app.command("train")(train_command.train)
app.command("compare", cls=compare_command.Compare)(compare_command.compare)
app.command("evaluate")(evaluate_command.evaluate)
app.command("reproduce")(reproduce_command.reproduce)
app.add_typer(runs_command.app, name="runs")
app.add_typer(presets_command.group("tasks"), name="tasks")
app.add_typer(presets_command.group("algorithms"), name="algorithms")
app.add_typer(presets_command.group("comparisons"), name="comparisons")
app.add_typer(data_command.app, name="data")
app.command("doctor")(doctor_command.doctor)
app.command("bench")(bench_command.bench)
