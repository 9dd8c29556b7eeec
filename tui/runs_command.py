"""`kshot runs`: list, look at, and steer runs."""

from pathlib import Path
from typing import Annotated

import typer

from tui import options as given
from tui import replay_command
from tui.output import emit, emit_json, say
from tui.steering import ask_each, check_state, distinct

app = typer.Typer(help="List runs, watch them, stop and resume them.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, json: given.Json = False, runs_dir: given.RunsDir = None) -> int:
    if context.invoked_subcommand is None:
        return list_(json, runs_dir)
    given.pass_down(context, json=json, runs_dir=runs_dir)
    return 0


@app.command("list")
def list_(json: given.Json = False, runs_dir: given.RunsDir = None) -> int:
    """All runs, the newest last."""
    from engine.runs import list_runs
    from tui.run_texts import crashed_hint, runs_table

    folder = _folder(runs_dir)
    summaries = list_runs(folder)
    if json:
        emit_json([summary.as_row() for summary in summaries])
    elif summaries:
        emit(runs_table(summaries))
        crashed = [summary for summary in summaries if summary.state == "crashed"]
        if crashed:
            say(crashed_hint(crashed))
    else:
        say(f"no runs in {folder}")
    return 0


@app.command("show")
def show(
    run: given.RunName, all_: given.All = False, json: given.Json = False, runs_dir: given.RunsDir = None
) -> int:
    """One run: its status, its results, its spec."""
    from engine.runs import find_run, read_evaluations, summarise
    from engine.runs.reports import evaluation_report
    from tui.run_texts import last_by_layer, run_text, spec_of, status_of

    found = find_run(_folder(runs_dir), run)
    summary = summarise(found)
    reports = [evaluation_report(found.id, result) for result in read_evaluations(found)]
    if json:
        report = summary.as_row() | {
            "spec": spec_of(found),
            "status": status_of(summary.status),
            "results": reports,
            **({"by_layer": found_by_layer} if (found_by_layer := last_by_layer(found)) else {}),
        }
        emit_json(report)
    else:
        emit(run_text(summary, reports, all_))
    return 0


@app.command("watch")
def watch(run: given.RunName, runs_dir: given.RunsDir = None) -> int:
    """Follow a run's events until it ends.

    Ctrl+C leaves it training."""
    from engine.runs import find_run
    from tui.run_texts import watch_run

    return watch_run(find_run(_folder(runs_dir), run))


@app.command("pause")
def pause(runs: given.RunNames, runs_dir: given.RunsDir = None) -> int:
    """Ask runs to write a checkpoint and wait for `resume`."""
    return _ask(runs, runs_dir, "pause")


@app.command("stop")
def stop(
    runs: given.AnyRunNames = None,
    all_: Annotated[bool, typer.Option("--all", help="All that are queued, starting or running.")] = False,
    runs_dir: given.RunsDir = None,
) -> int:
    """Ask runs to write a checkpoint and end."""
    from engine.errors import RequestError
    from engine.runs import list_runs

    if bool(runs) == all_:
        raise RequestError("kshot runs stop: name the runs to stop, or give --all")
    if not all_:
        return _ask(runs or [], runs_dir, "stop")
    # The last to be served first, so that no queued one begins while others are asked.
    live = [summary.id for summary in reversed(list_runs(_folder(runs_dir))) if summary.status.alive]
    if not live:
        say("nothing is under way")
    return _ask(live, runs_dir, "stop")


@app.command("resume")
def resume(
    runs: given.RunNames,
    processes: given.Processes = None,
    detach: given.Detach = False,
    json: given.Json = False,
    runs_dir: given.RunsDir = None,
    data_dir: given.DataDir = None,
) -> int:
    """Go on with paused, stopped, crashed or failed runs.

    They reach the numbers of runs that were never interrupted. Without --data-dir
    their data are looked for where they were when they began."""
    from engine.presets import load_spec
    from engine.ranks.refusals import check_processes
    from engine.runs import find_run, summarise
    from engine.runs.comparison import Training
    from engine.runs.processes import RESUMABLE, data_folder_of
    from tui.train_command import carry_out

    folder, data_folder = given.folders(runs_dir, data_dir)
    trainings = []
    for found in distinct(find_run(folder, text) for text in runs):
        check_state(found, RESUMABLE, "resume")
        spec = load_spec(found.spec_path)
        check_processes(spec, processes or 1)
        label = summarise(found).name or spec.origin.algorithm
        where = data_folder if data_dir is not None else data_folder_of(found, data_folder)
        if where != data_folder:
            say(f"{found.id}: its data sets are in {where}, as when it began")
        trainings.append(Training("", spec.seed, spec, "resume", found, [label], where))
    shared = {(other.labels[0], other.seed) for other in trainings}
    if len(shared) < len(trainings):  # nothing shorter tells these runs apart
        for training in trainings:
            training.labels[:] = [training.run.id if training.run else ""]
    return carry_out(
        trainings,
        folder,
        data_folder,
        name=None,
        detach=detach,
        json=json,
        many=len(trainings) > 1,
        processes=processes,
    )


@app.command("fork")
def fork(
    run: given.RunName,
    set_: given.Set = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="A name for the new run; without one the old run's, with what changes."),
    ] = None,
    runs_dir: given.RunsDir = None,
    data_dir: given.DataDir = None,
) -> int:
    """Begin a new run from another one's spec.

    --set changes it. The new run's id is printed."""
    from engine.runs import find_run, fork_run, summarise
    from tui.runs.requests import derived_name

    folder, data_folder = given.folders(runs_dir, data_dir)
    found, changes = find_run(folder, run), given.overrides(set_, None)
    if name is None:
        name = derived_name(summarise(found), changes)
    forked, _ = fork_run(found, changes, folder, data_folder, name)
    emit(forked.id)
    return 0


@app.command("remove")
def remove(
    runs: given.AnyRunNames = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Put runs back; without RUN the last one removed.")
    ] = False,
    runs_dir: given.RunsDir = None,
) -> int:
    """Move runs to the trash of the runs folder."""
    from engine.errors import RequestError
    from engine.runs import find_run, undo_remove
    from engine.runs import remove as move_to_trash

    folder = _folder(runs_dir)
    if undo:
        wanted: list[str | None] = list(runs) if runs else [None]
        for text in wanted:
            emit(undo_remove(folder, text).id)
        return 0
    if not runs:
        raise RequestError("kshot runs remove: name the runs to remove")
    found = distinct(find_run(folder, text) for text in runs)
    for run in found:
        check_state(run, ("paused", "stopped", "crashed", "failed", "finished"), "remove")
    for run in found:
        move_to_trash(run)
        emit(run.id)
    say("moved to the trash; kshot runs remove --undo puts back the last one")
    return 0


@app.command("prune")
def prune(
    days: Annotated[float, typer.Option("--days", min=0, help="How long removed runs are kept.")] = 30,
    failed: Annotated[
        bool, typer.Option("--failed", help="Also move failed and crashed runs to the trash.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    json: given.Json = False,
    runs_dir: given.RunsDir = None,
) -> int:
    """Delete old runs in the trash for good.

    What interrupted launches left behind goes too."""
    from engine.runs import prune as clean

    done = clean(_folder(runs_dir), days, (lambda summary: True) if failed else None, dry_run)
    if json:
        emit_json([{"run": item.id, "action": item.action, "why": item.why} for item in done])
    elif done:
        would = "would be " if dry_run else ""
        emit("\n".join(f"{item.id}  {would}{item.action}: {item.why}" for item in done))
    else:
        say("nothing to prune")
    return 0


app.command("replay-step")(replay_command.replay_step)


@app.command("export")
def export(
    runs: given.AnyRunNames = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="csv|json", help="CSV has a line an episode.")
    ] = "csv",
    runs_dir: given.RunsDir = None,
) -> int:
    """Write every result of runs to standard output.

    That is each episode's value after each recorded step; of all runs where none is named."""
    from engine.errors import RequestError
    from engine.runs import all_runs, find_run
    from tui.run_texts import exported_csv, exported_json

    if format_ not in ("csv", "json"):
        raise RequestError(f'--format "{format_}" is unknown; there are csv, json')
    folder = _folder(runs_dir)
    found = distinct(find_run(folder, text) for text in runs) if runs else list(all_runs(folder))
    if format_ == "json":
        emit_json(exported_json(found))
    else:
        emit(exported_csv(found))
    return 0


def _folder(runs_dir: Path | None) -> Path:
    from engine.runs import runs_folder

    return runs_folder(runs_dir)


def _ask(texts: list[str], runs_dir: Path | None, word: str) -> int:
    from engine.runs import find_run

    ask_each(distinct(find_run(_folder(runs_dir), text) for text in texts), word)
    return 0
