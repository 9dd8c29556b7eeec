"""The left column: lists of algorithms and tasks, what the focused one is, and the line that starts."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.bench.catalog import AlgorithmEntry, Catalog, TaskEntry
from tui.bench.estimates import Outlook
from tui.bench.selection import Selection
from tui.marks import mark_of
from tui.output import cells, pad, plain

Entry = TypeVar("Entry", AlgorithmEntry, TaskEntry)
CHOSEN, FREE = "✔", " "
NO_DATA = ("⇣", "no data")
"""Short where there is no room."""


class GroupedList(OptionList):
    """A list in groups whose headings cannot be chosen; keeps the place when its rows are drawn anew."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Take"),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
    ]

    def __init__(self, title: str, id: str) -> None:
        super().__init__(id=id, compact=True)
        self.border_title = title
        self._names: list[str | None] = []

    @property
    def name_in_focus(self) -> str | None:
        """The name of the highlighted row."""
        if self.highlighted is None or self.highlighted >= len(self._names):
            return None
        return self._names[self.highlighted]

    def show_families(self, entries: Iterable[Entry], row: Callable[[Entry], Text]) -> None:
        """Draws entries, those of one family after each other, under their families' names."""
        rows: list[tuple[str | None, Text]] = []
        family = ""
        for entry in entries:
            if entry.family != family:
                family = entry.family
                rows.append((None, Text(plain(family).capitalize(), style="dim")))
            rows.append((entry.name, row(entry)))
        self.show_rows(rows)

    def show_rows(self, rows: Sequence[tuple[str | None, Text]]) -> None:
        """Draws (name, text) rows; a row without a name is a heading."""
        names = [name for name, _ in rows]
        if names == self._names:
            for index, (_, text) in enumerate(rows):
                if self.get_option_at_index(index).prompt != text:
                    self.replace_option_prompt_at_index(index, text)
            return
        kept = self.name_in_focus
        self._names = names
        self.set_options(Option(text, disabled=name is None) for name, text in rows)
        self.highlight(kept)

    def highlight(self, name: str | None) -> None:
        """Puts the highlight on that name, else on the first row that can be chosen."""
        there = [index for index, each in enumerate(self._names) if each is not None]
        if name in self._names and name is not None:
            self.highlighted = self._names.index(name)
        elif there:
            self.highlighted = there[0]


class AlgorithmList(GroupedList):
    """Every algorithm with its mark; several may be chosen."""

    def draw(self, catalog: Catalog, selection: Selection, width: int) -> None:
        """Shows what there is and what is chosen."""
        chosen = selection.algorithms
        self.show_families(catalog.algorithms, lambda entry: self._row(entry, entry.name in chosen, width))
        self.border_subtitle = f"{len(selection.algorithms)} chosen"

    def _row(self, entry: AlgorithmEntry, chosen: bool, width: int) -> Text:
        mark = mark_of(entry.name)
        text = Text(f"{CHOSEN if chosen else FREE} ", no_wrap=True, overflow="ellipsis")
        text.append(mark.shape, style=mark.colour)
        name = plain(entry.name)
        word = entry.word or ("cannot be used" if entry.problem else "")
        room = width - 6 - cells(word)
        text.append(
            f" {pad(name, room)} " if cells(name) <= room else f" {name}", style="bold" if chosen else ""
        )
        text.append(word if cells(name) <= room else "", style="dim")
        return text


class TaskList(GroupedList):
    """Every task and whether its data are here; one is chosen."""

    def draw(self, catalog: Catalog, selection: Selection, width: int) -> None:
        """Shows what there is and what is chosen."""
        chosen = selection.task
        self.show_families(catalog.tasks, lambda entry: self._row(entry, entry.name == chosen, width))
        self.border_subtitle = plain(selection.task)

    def _row(self, entry: TaskEntry, chosen: bool, width: int) -> Text:
        name = plain(entry.name)
        word = "cannot be used" if entry.problem else NO_DATA[1] if entry.present is False else ""
        if word and cells(name) + cells(word) > width - 4:
            word = NO_DATA[0] if entry.present is False else "✖"
        text = Text(f"{CHOSEN if chosen else FREE} ", no_wrap=True, overflow="ellipsis")
        text.append(pad(name, width - 4 - cells(word)), style="bold" if chosen else "")
        text.append(f" {word}", style="dim")
        return text


def about_algorithm(entry: AlgorithmEntry, task: TaskEntry | None) -> Text:
    """What it is, its paper and its three choices; what the chosen task's tasks are stands before what the
    algorithm itself says of them."""
    if entry.problem:
        return Text(plain(entry.problem))
    text = Text(f"{entry.summary}.\n" if entry.summary else "")
    tasks = [task.tasks if task is not None else "", entry.tasks]
    if any(tasks):
        text.append("tasks ", style="dim").append(f"{': '.join(filter(None, tasks))}\n")
    if entry.adaptation:
        text.append("inner ", style="dim").append(f"{entry.adaptation}\n")
    if entry.outer:
        text.append("outer ", style="dim").append(f"{entry.outer}\n")
    text.append(entry.paper, style="italic")
    return text


def about_task(entry: TaskEntry) -> Text:
    """What it is, and where its data are or how to get them."""
    if entry.problem:
        return Text(plain(entry.problem))
    text = Text(f"{entry.summary}\n" if entry.summary else "")
    if entry.present is False:
        text.append(f"{NO_DATA[0]} {entry.detail}\n", style="bold").append(entry.how)
    elif entry.detail:
        text.append("data ", style="dim").append(entry.detail)
    return text


class StartLine(VerticalScroll):
    """What would be started, what it would take, and the key that starts it."""

    class Pressed(Message):
        """Start what is chosen."""

    def __init__(self) -> None:
        super().__init__(id="start")
        self.border_title = "Start"
        self._shown: Text | None = None

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)

    def draw(self, selection: Selection, outlook: Outlook | None, starting: bool) -> None:
        """Shows settings, estimate and the key."""
        text = Text("s settings", style="bold")
        changed = f"{selection.changes} changed, " if selection.changes else ""
        text.append(f": {changed}{plain(selection.budget)} budget\n", style="not bold")
        if not selection.complete:
            missing = "a task" if not selection.task else "an algorithm (space)"
            text.append(f"choose {missing} first", style="not bold")
        else:
            if outlook is not None:
                style = "bold" if outlook.problem else "not bold"
                text.append(plain(outlook.text) + "\n", style=style)
            names = ", ".join(plain(name) for name in selection.algorithms)
            text.append("starting " if starting else "g starts ").append(f"{names} on ", style="not bold")
            text.append(plain(selection.task), style="not bold")
        if text != self._shown:
            self._shown = text
            self.query_one(Static).update(text)

    def on_click(self) -> None:
        """A click starts too."""
        self.post_message(self.Pressed())
