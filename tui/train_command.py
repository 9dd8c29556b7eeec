"""`kshot train`: one run, or one for each of several seeds."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tui import options as given
from tui.output import emit, emit_json, say


def train(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="TASK ALGORITHM | SPEC.yaml",
            help="Presets by name or path, or a run's spec.yaml to repeat it.",
            autocompletion=given.complete_train,
        ),
    ],
    set_: given.Set = None,
    budget: given.Budget = None,
    seed: given.Seed = None,
    seeds: given.Seeds = None,
    device: given.Device = None,
    processes: given.Processes = None,
    name: given.Name = None,
    time_limit: given.TimeLimit = None,
    fresh: given.Fresh = False,
    detach: given.Detach = False,
    dry_run: given.DryRun = False,
    json: given.Json = False,
    runs_dir: given.RunsDir = None,
    data_dir: given.DataDir = None,
) -> int:
    """Train one algorithm on one task.

    It trains in the background and is followed here until it ends."""
    from engine.ranks.refusals import check_processes
    from engine.runs.comparison import plan_training
    from engine.runs.rows import Options

    overrides = given.overrides(set_, time_limit)
    options = Options(budget or "quick", overrides, seed, seeds, device, fresh or len(what) == 1)
    runs_folder, data_folder = given.folders(runs_dir, data_dir)
    specs = _specs(what, options, budget)
    check_processes(specs[0], processes or 1)
    trainings = plan_training(specs, options, runs_folder, data_folder)
    if dry_run:
        from tui.dry_run import show_trainings

        return show_trainings(trainings, runs_folder, json, merged=specs[0])
    return carry_out(
        trainings,
        runs_folder,
        data_folder,
        name=name,
        detach=detach,
        json=json,
        many=len(specs) > 1,
        processes=processes,
    )


def carry_out(
    trainings: Sequence[Any],
    runs_folder: Any,
    data_folder: Any,
    *,
    name: str | None,
    detach: bool,
    json: bool,
    many: bool,
    processes: int | None = None,
) -> int:
    """Begins the trainings and follows them to their end; returns the exit code."""
    from engine.errors import RequestError
    from engine.runs.store import metric_of
    from engine.runs.trainings import Trainings
    from tui.following import follow_trainings, interrupted, tell_actions
    from tui.preparing import prepare_images

    if json and detach:
        raise RequestError("--json and --detach do not go together: run IDs are printed alone, one a line")
    for where in dict.fromkeys(training.data_dir or data_folder for training in trainings):
        there = (training for training in trainings if (training.data_dir or data_folder) == where)
        prepare_images((training.spec for training in there), where)
    started = Trainings(trainings, runs_folder, data_folder, name, processes)
    try:
        started.begin()
        tell_actions(trainings, name)
        if detach:
            emit("\n".join(item.run.id for item in started.followed))
            return 0
        follow_trainings(started)
    except KeyboardInterrupt:
        return interrupted(started)
    reports = [_report(item) for item in started.followed]
    if json:
        emit_json(reports if many else reports[0])
    else:
        metrics = [metric_of(item.training.spec) for item in started.followed]
        emit("\n".join(_line(*line) for line in zip(reports, metrics, strict=True)))
    _tell_faults(started.followed)
    finished = [item.run for item in started.followed if item.status.state == "finished"]
    if finished and not json:
        tested = "it" if len(finished) == 1 else "the first of them"
        say(f"kshot evaluate {_short_name(finished[0], runs_folder)} tests {tested}")
    return 0 if len(finished) == len(started.followed) else 1


def _tell_faults(followed: Sequence[Any]) -> None:
    for item in followed:
        if item.status.state == "crashed":
            say(f"{item.run.id}: {item.status.error}; kshot runs resume {item.run.id} goes on")
        elif item.status.error:
            say(f"{item.run.id}: {item.status.error}")


def _short_name(run: Any, runs_folder: Any) -> str:
    """The run's name where that finds it (several may have one), else its ID."""
    from engine.runs import find_run, summarise

    name = summarise(run).name
    return name if name and find_run(runs_folder, name).id == run.id else run.id


def _specs(what: Sequence[str], options: Any, budget: str | None) -> list[Any]:
    from engine.errors import RequestError
    from engine.presets import resolve

    if len(what) == 1:
        spec = _read_spec(what[0], options)
        if budget is not None:
            raise RequestError(
                f"--budget {budget}: {what[0]} is resolved already; use --set training.iterations=N"
            )
    elif len(what) == 2:
        settings = {"budget": options.budget, "overrides": options.overrides, "device": options.device}
        spec = resolve(what[0], what[1], seed=options.seed, own=options.overrides, **settings).spec
    else:
        raise RequestError(
            "kshot train takes TASK ALGORITHM, or one SPEC.yaml; kshot compare takes several algorithms"
        )
    count = options.seeds or 1
    return [spec.model_copy(update={"seed": spec.seed + number}) for number in range(count)]


def _read_spec(text: str, options: Any) -> Any:
    """The spec of a file, with --seed and --device laid over; its other values are as they were resolved."""
    from engine.errors import RequestError
    from engine.folders import at_home
    from engine.presets import load_spec

    path = at_home(text)
    if path.suffix not in (".yaml", ".yml"):
        raise RequestError(f"kshot train {text}: name an algorithm too; kshot algorithms lists them")
    laid_over = [*options.overrides]
    laid_over += [] if options.seed is None else [f"seed={options.seed}"]
    laid_over += [] if options.device is None else [f"device={options.device}"]
    return load_spec(path, overrides=laid_over)


def _report(item: Any) -> dict[str, Any]:
    from engine.runs import latest, read_events

    events = latest(read_events(item.run.events_path)[0])
    status = item.status
    last: dict[str, Any] = {}
    for event in events:
        if event["kind"] == "train":
            last["outer_loss"] = event.get("outer_loss")
        elif event["kind"] == "validation":
            last["validation"] = (event.get("metric") or [None])[-1]
    if status.best:
        last["best"] = status.best.get("value")
    return {
        "run": item.run.id,
        "state": status.state,
        "iterations": status.step,
        "seconds": status.more.get("seconds"),
        "last": last,
    }


def _line(report: dict[str, Any], metric: str) -> str:
    from tui.numbers import count, duration
    from tui.views import named_value

    last = report["last"]
    values = [f"loss {last['outer_loss']:.3g}"] if last.get("outer_loss") is not None else []
    values += [named_value(last["validation"], metric)] if last.get("validation") is not None else []
    values += [f"best {named_value(last['best'], metric)}"] if last.get("best") is not None else []
    parts = [f"{count(report['iterations'])} iterations"]
    if report["seconds"] is not None:
        parts.append(duration(report["seconds"]))
    return f"{report['run']}  {report['state']}  {', '.join([*parts, *values])}"
