"""A table as Markdown, CSV or JSON: to read, to copy, to write to a file."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import ScrollableContainer, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine.errors import RequestError
from engine.folders import at_home
from tui import tables
from tui.compare.view import Table
from tui.keys import Key, place
from tui.output import as_json, plain
from tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from tui.app import Workbench

KEYS = (
    Key("y", "copy_all", "Copy", "copy the whole text to the clipboard (OSC 52, works over SSH)"),
    Key("w", "write", "Write to a file", "write the text to a new file whose name is asked"),
    Key("escape", "close", "Back", "back to the table"),
)
FORMATS = {"md": "Markdown", "csv": "CSV", "json": "JSON"}


def exported(table: Table, kind: str) -> str:
    """The table in the format of that file ending, as `kshot compare` prints it."""
    if kind == "md":
        return tables.markdown(table)
    if kind == "csv":
        return tables.comma_separated([table])
    return as_json(table)


def write_new(path: Path, text: str) -> str:
    """Writes a file that is not there yet; returns what to say. Raises RequestError."""
    try:
        with at_home(path).open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError as fault:
        raise RequestError(f"{path} is there already; give another name") from fault
    except (OSError, ValueError) as fault:
        raise RequestError(f"cannot write {path}: {getattr(fault, 'strerror', None) or fault}") from fault
    return f"written to {at_home(path).absolute()}"


class ExportScreen(ModalScreen[None]):
    """One table as text."""

    BINDINGS: ClassVar[list[BindingType]] = place("export", KEYS)
    DEFAULT_CSS = """
    ExportScreen { align: center middle; }
    ExportScreen #export { width: 90%; height: 90%; border: round $primary; background: $surface; }
    ExportScreen #export-scroll { height: 1fr; }
    ExportScreen #export-text { width: auto; height: auto; }
    ExportScreen #export-name { display: none; }
    ExportScreen #export-name.asked { display: block; }
    """

    def __init__(self, table: Table, kind: str) -> None:
        super().__init__()
        self.kind, self.text = kind, exported(table, kind)
        self.suggested = f"{plain(str(table['task'])).replace('/', '-') or 'table'}.{kind}"

    def compose(self) -> ComposeResult:
        with Vertical(id="export") as box:
            box.border_title = FORMATS[self.kind]
            with ScrollableContainer(id="export-scroll"):
                shown = "\n".join(plain(line) for line in self.text.split("\n"))
                yield Static(Text(shown, no_wrap=True), id="export-text")
            yield Input(self.suggested, placeholder="file name", id="export-name")
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one("#export-scroll").focus()

    def action_copy_all(self) -> None:
        """Copies the text."""
        self.app.copy_to_clipboard(self.text)
        self.app.notify(f"copied {len(self.text.splitlines()):,} lines", markup=False)

    def action_write(self) -> None:
        """Asks for the file's name."""
        name = self.query_one("#export-name", Input)
        name.add_class("asked")
        name.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Writes the file, off the event loop; where it cannot be written, the name stays to be changed."""
        path, text = Path(event.value.strip()), self.text
        if not event.value.strip():
            return

        def done() -> None:
            if self.is_current:
                self.dismiss()

        cast("Workbench", self.app).ask_off_loop(lambda: write_new(path, text), done)

    def action_close(self) -> None:
        """Leaves the name, then the text."""
        name = self.query_one("#export-name", Input)
        if name.has_class("asked"):
            name.remove_class("asked")
            self.query_one("#export-scroll").focus()
        else:
            self.dismiss()
