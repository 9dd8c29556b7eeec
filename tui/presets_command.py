"""`kshot tasks | algorithms | comparisons`: what can be run, and what one preset says."""

from typing import Annotated, Any, Literal

import typer

from tui import options as given
from tui.choices import choices_of
from tui.output import columns, emit, emit_json, left_out, terminal_width, wrap

Kind = Literal["tasks", "algorithms", "comparisons"]
SINGULAR = {"tasks": "task", "algorithms": "algorithm", "comparisons": "comparison"}


def group(kind: Kind) -> typer.Typer:
    """The commands `list` (the default) and `show NAME` of one kind of preset."""
    app = typer.Typer(help=f"List {kind} that can be run, or show one.", rich_markup_mode=None)

    @app.callback(invoke_without_command=True)
    def _default(context: typer.Context, json: given.Json = False, data_dir: given.DataDir = None) -> int:
        if context.invoked_subcommand is None:
            return _list(kind, json, data_dir)
        given.pass_down(context, json=json, data_dir=data_dir)
        return 0

    @app.command("list", help=f"All {kind}, shipped and your own (KSHOT_PRESETS).")
    def _listing(json: given.Json = False, data_dir: given.DataDir = None) -> int:
        return _list(kind, json, data_dir)

    if kind == "algorithms":

        @app.command("show", help="One algorithm; with --task merged with a task.")
        def _show_algorithm(
            name: Annotated[
                str,
                typer.Argument(
                    metavar="NAME", help="A name or a path.", autocompletion=given.complete_algorithm
                ),
            ],
            task: Annotated[
                str | None,
                typer.Option(
                    "--task", metavar="TASK", help="Merge with this task.", autocompletion=given.complete_task
                ),
            ] = None,
            budget: given.Budget = None,
            set_: given.Set = None,
            all_: given.All = False,
            json: given.Json = False,
        ) -> int:
            if task is not None:
                return _show_merged(task, name, budget or "quick", given.overrides(set_, None), all_, json)
            merging = {"--all": all_, "--budget": budget, "--set": set_}
            given.refuse(merging, "is for an algorithm merged with a task; name one with --task")
            return _show(kind, name, json)
    else:

        @app.command("show", help=f"One {SINGULAR[kind]}, as its file has it.")
        def _show_preset(
            name: Annotated[
                str,
                typer.Argument(metavar="NAME", help="A name or a path.", autocompletion=_completion(kind)),
            ],
            json: given.Json = False,
        ) -> int:
            return _show(kind, name, json)

    return app


def _completion(kind: Kind) -> Any:
    return given.complete_task if kind == "tasks" else given.complete_comparison


def _list(kind: Kind, json: bool, data_dir: Any) -> int:
    from engine.presets import list_presets

    presets = list_presets(kind)
    described = [_described(preset, data_dir) for preset in presets]
    if json:
        emit_json(described)
        return 0
    if kind == "algorithms":
        return _list_algorithms(described)
    width = terminal_width()
    blocks: dict[str, list[list[str]]] = {}
    for item in described:
        summary = f"problem: {item['problem']}" if item.get("problem") else item["summary"]
        here = {True: "here", False: "not here"}.get(item.get("data", {}).get("present"), "")
        row = [item["name"], here, summary] if kind == "tasks" else [item["name"], summary]
        blocks.setdefault(item.get("family") or "", []).append(row)
    headings = ["task", "data", "what it is"] if kind == "tasks" else [SINGULAR[kind], "what it is"]
    texts = []
    for family, rows in blocks.items():
        heading = [family or headings[0], *headings[1:]] if family else headings
        texts.append(columns(heading, rows, width=width))
    emit("\n\n".join(texts))
    return 0


def _list_algorithms(described: list[dict[str, Any]]) -> int:
    """By family: what it is, its three choices, its paper."""
    families = dict.fromkeys(item["family"] or "" for item in described)
    width, blocks = terminal_width(), []
    for family in families:
        lines = [f"{family}:" if family else "others:"]
        for item in described:
            if (item["family"] or "") == family:
                lines += [wrap(line, width, "    ") for line in _told_algorithm(item)]
        blocks.append("\n".join(lines))
    emit("\n\n".join(blocks))
    return 0


def _told_algorithm(item: dict[str, Any]) -> list[str]:
    if item.get("problem"):
        return [f"  {item['name']}: problem: {item['problem']}"]
    choices = "; ".join(f"{name}: {text}" for name, text in item["choices"].items())
    paper = item["paper"] or "no paper: a control"
    return [f"  {item['name']}: {item['summary']}", f"    {choices}", f"    {paper}"]


def _described(preset: Any, data_dir: Any) -> dict[str, Any]:
    item = {
        "name": preset.name,
        "summary": preset.summary,
        "family": preset.family,
        "paper": preset.paper,
        "path": str(preset.path),
    }
    if preset.problem:
        return item | {"problem": preset.problem}
    if preset.kind == "algorithms":
        item["choices"] = choices_of(preset.content)
    elif preset.kind == "tasks":
        item["data"] = _data(preset, data_dir)
    elif preset.kind == "comparisons":
        item |= {key: preset.content.get(key) for key in ("tasks", "rows", "baseline", "seeds")}
    return item


def _data(preset: Any, data_dir: Any) -> dict[str, Any]:
    """Whether the images of a task are here; a sine task needs none."""
    section = preset.content["task"]
    if section.get("dataset") == "sine":
        return {"present": True, "detail": "drawn", "how": ""}
    from engine.data import data_folder, inspect
    from engine.presets.schema import ImageTask

    presence = inspect(ImageTask.model_validate(section), data_folder(data_dir))
    return {"present": presence.present, "detail": presence.detail, "how": presence.how}


def _show(kind: Kind, name: str, json: bool) -> int:
    from engine.presets import load_preset
    from engine.runs.store import yaml_text

    preset = load_preset(kind, name)
    if json:
        emit_json(
            {"name": preset.name, "summary": preset.summary, "paper": preset.paper, "family": preset.family}
            | {"path": str(preset.path), "content": preset.content}
        )
        return 0
    emit(f"# {preset.name}: {preset.path}\n{yaml_text(preset.content).rstrip()}")
    return 0


def _show_merged(
    task: str, algorithm: str, budget: str, overrides: tuple[str, ...], all_: bool, json: bool
) -> int:
    from engine.presets import load_preset, resolve, spec_to_dict
    from tui.spec_text import told

    resolved = resolve(task, algorithm, budget=budget, overrides=overrides)
    spec = spec_to_dict(resolved.spec)
    if json:
        emit_json({"spec": spec, "layers": dict(resolved.layers)})
        return 0
    every, shown = (
        [leaf for leaf in _leaves(content, "") if leaf[0] in resolved.layers]
        for content in (spec, spec if all_ else told(resolved.spec)[0])
    )
    rows = [[path, value, resolved.layers[path]] for path, value in shown]
    preset = load_preset("algorithms", algorithm)
    width = terminal_width()
    emit(wrap(f"{preset.name}: {preset.summary}", width, "  "))
    for name, text in choices_of(spec).items():
        emit(wrap(f"  {name}: {text}", width, "    "))
    emit(wrap(f"  {preset.paper or 'no paper: a control'}", width, "    ") + "\n")
    emit(columns(["path", "value", "from"], rows))
    if number := len(every) - len(shown):
        emit(left_out(number))
    return 0


def _leaves(value: Any, path: str) -> list[tuple[str, str]]:
    """Every value of nested mappings with its dotted path."""
    if isinstance(value, dict) and value:
        return [
            leaf
            for key, inner in value.items()
            for leaf in _leaves(inner, f"{path}.{key}" if path else str(key))
        ]
    if value is None:
        return [(path, "null")]
    if isinstance(value, bool):
        return [(path, str(value).lower())]
    return [(path, str(value))]
