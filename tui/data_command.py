"""`kshot data`: data sets, where they lie, what is missing, and how to get them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tui import options as given
from tui.output import columns, emit, emit_json, say, terminal_width, wrap

app = typer.Typer(help="List data sets, fetch them, check their files.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A data set's name, such as omniglot.")]


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, json: given.Json = False, data_dir: given.DataDir = None) -> int:
    if context.invoked_subcommand is None:
        return list_(json, data_dir)
    given.pass_down(context, json=json, data_dir=data_dir)
    return 0


@app.command("list")
def list_(json: given.Json = False, data_dir: given.DataDir = None) -> int:
    """All data sets that kshot knows, and how to get them."""
    from engine.data import DATASETS, data_folder, inspect
    from engine.presets.schema import ImageTask

    folder = data_folder(data_dir)
    described = []
    for dataset in DATASETS.values():
        if dataset.name == "folder":
            continue
        found = inspect(ImageTask.model_validate({"dataset": dataset.name}), folder)
        described.append(
            {
                "name": dataset.name,
                "summary": dataset.summary,
                "present": found.present,
                "where": str(found.where),
                "detail": found.detail,
                "how": found.how,
                "splits": list(dataset.splits),
                "licence": dataset.licence,
            }
        )
    if json:
        emit_json(described)
        return 0
    width = terminal_width()
    rows = [[str(d["name"]), "here" if d["present"] else "missing", str(d["summary"])] for d in described]
    emit(columns(["data set", "", "what it is"], rows, width=width))
    emit("")
    for item in described:
        line = f"{item['name']}: {item['where']}" if item["present"] else str(item["detail"])
        emit(wrap(line, width, "  "))
    return 0


@app.command("fetch")
def fetch(name: Name, data_dir: given.DataDir = None) -> int:
    """Download a data set into the data folder."""
    from engine.data import data_folder
    from engine.data import fetch as download

    where = download(name, data_folder(data_dir), _Teller())
    emit(str(where))
    return 0


@app.command("check")
def check(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A data set or a folder of your own images; none: all that are here, "
            "folders that task presets name among them.",
        ),
    ] = None,
    json: given.Json = False,
    data_dir: given.DataDir = None,
) -> int:
    """Read every file of a data set and say what is wrong.

    Exit code 1 where something is."""
    from engine.data import DATASETS, inspect
    from engine.data import check as look
    from engine.presets.schema import ImageTask
    from tui.progress import Counting

    _, folder = given.folders(None, data_dir)
    if name is not None:
        names = [name]
    else:
        known = [n for n in DATASETS if n not in ("folder", "glyphs")]
        names = [n for n in known if inspect(ImageTask.model_validate({"dataset": n}), folder).present]
        names += _own_folders(folder)
    findings = []
    for each in names:
        with Counting(f"checking {each}", silent=json) as counting:
            findings += [(each, finding) for finding in look(each, folder, counting.show)]
    if json:
        emit_json([{"data": n, "level": f.level, "detail": f.text} for n, f in findings])
    elif findings:
        emit(columns(["data set", "", "what"], [[n, f.level, f.text] for n, f in findings]))
    else:
        say(f"no data sets in {folder}")
    return 1 if any(f.level == "fault" for _, f in findings) else 0


def _own_folders(data_folder: Path) -> list[str]:
    """The folders of people's own images that task presets name (KSHOT_PRESETS) and that are here."""
    from engine.data import inspect
    from engine.presets import list_presets
    from engine.presets.schema import ImageTask

    found = []
    for preset in list_presets("tasks"):
        section = preset.content.get("task", {})
        if not preset.problem and section.get("dataset") == "folder":
            presence = inspect(ImageTask.model_validate(section), data_folder)
            found += [str(section["folder"])] if presence.present else []
    return list(dict.fromkeys(found))


class _Teller:
    """Progress of a download as plain lines, one every tenth."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}

    def __call__(self, what: str, fraction: float) -> Any:
        tenth = int(fraction * 10)
        if self._said.get(what) != tenth:
            self._said[what] = tenth
            say(f"{what}: {tenth * 10} %")
