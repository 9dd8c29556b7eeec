"""The bench: choose a task and algorithms, start them, watch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import OptionList, Static

from engine.runs import Summary
from tui.bench.catalog import Catalog, load_catalog, names_alone
from tui.bench.choosing import AlgorithmList, StartLine, TaskList, about_algorithm, about_task
from tui.bench.estimates import Estimator, Outlook
from tui.bench.live import Curves, Inner, Preview
from tui.bench.looks import LAYOUT
from tui.bench.previews import preview_of
from tui.bench.selection import FIRST_ALGORITHMS, FIRST_TASK, Selection
from tui.bench.shown import looked_at, shown_runs
from tui.keys import Key, place
from tui.screens.base import PlaceScreen
from tui.screens.welcome import FIRST_COMPARISON, Welcome
from tui.snapshot import Snapshot

KEYS = (
    Key("space", "choose_algorithm", "Choose", "choose the algorithm under the cursor, or let go of it"),
    Key("enter", "take", "Take", "in the lists take what is under the cursor; on the start line start"),
    Key(
        "g",
        "start",
        "Start",
        "start every chosen algorithm on the chosen task, with the pretraining baseline",
        why_not="choose a task and an algorithm first",
    ),
    Key(
        "s",
        "settings",
        "Settings",
        "change what will be started: budget, seeds, device and every value of the spec",
        why_not="choose a task and an algorithm first",
    ),
    Key(
        "c",
        "copy_command",
        "Command",
        "copy the headless command that does the same",
        why_not="choose a task and an algorithm first",
    ),
    Key(
        "o",
        "next_run",
        "Other run",
        "show the training and inner loop of the next run",
        why_not="one run",
        in_footer=False,
    ),
    Key(
        "tab",
        "panel(1)",
        "Panel",
        "the next panel; at few columns the next column when it comes to that",
        in_footer=False,
    ),
    Key("shift+tab", "panel(-1)", "Panel back", "the panel before", in_footer=False),
    Key(
        "right_square_bracket",
        "column(1)",
        "Column",
        "the next column: choose, curves, inner loop",
        in_footer=False,
    ),
    Key("left_square_bracket", "column(-1)", "Column back", "the column before", in_footer=False),
)
COLUMNS = (("choose", "choose"), ("curves", "curves"), ("inner", "inner loop"))


class BenchScreen(PlaceScreen):
    """Three columns, which become tabs where there is no room for them."""

    PLACE = "bench"
    BINDINGS: ClassVar[list[BindingType]] = place("bench", KEYS)
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (Screen declares it without ClassVar)
        (0, "-narrow"),
        (100, "-wide"),
    ]
    CSS = LAYOUT
    AUTO_FOCUS = "#algorithms"

    def __init__(self) -> None:
        super().__init__()
        self.catalog = Catalog()
        self.selection = Selection()
        self.outlook: Outlook | None = None
        self.preview: Preview | None = None
        self.column = 0
        self._previews: dict[str, Preview] = {}
        self._chosen_run: str | None = None
        self._came_for: str | None = None
        self._watched: list[str] = []
        self._starting: Any = None
        self._welcomed = self._choosing = False
        self._estimator: Estimator | None = None

    def compose_body(self) -> ComposeResult:
        yield Static("", id="columns")
        with Horizontal(id="bench"):
            with Vertical(id="choose", classes="column"):
                with Container(id="lists"):
                    yield AlgorithmList("Algorithms", "algorithms")
                    yield TaskList("Task", "tasks")
                with VerticalScroll(id="about"):
                    yield Static("", id="about-text", markup=False)
                yield StartLine()
            yield Curves(id="curves", classes="column")
            yield Inner(id="inner", classes="column")

    def on_mount(self) -> None:
        self._estimator = Estimator(self.workbench.runs_dir, self.workbench.data_dir)
        self._show_column()
        self.call_after_refresh(self._load)

    def on_screen_resume(self) -> None:
        self._watched = []
        if self.workbench.run_in_focus != self._came_for:
            self._came_for, self._choosing = self.workbench.run_in_focus, False
            self._chosen_run = None
            if self._came_for is not None:
                self.column = 1
                self._show_column()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw_choices)
        self._show_column()

    # What can be chosen

    @work(thread=True, exclusive=True, group="catalog")
    def _load(self) -> None:
        """Names first, then what the files say."""
        self.app.call_from_thread(self._take_catalog, names_alone(), False)
        self.app.call_from_thread(self._take_catalog, load_catalog(self.workbench.data_dir), True)

    def _take_catalog(self, catalog: Catalog, whole: bool) -> None:
        if catalog.error:
            self.workbench.complain(catalog.error)
        if not catalog.tasks and not catalog.algorithms and self.catalog.tasks:
            return
        self.catalog = catalog
        if not self.selection.task:
            tasks = [entry.name for entry in catalog.tasks if not entry.problem]
            task = FIRST_TASK if FIRST_TASK in tasks else next(iter(tasks), "")
            there = tuple(name for name in FIRST_ALGORITHMS if catalog.algorithm(name) is not None)
            self.selection = Selection(task, there)
        self._draw_choices()
        if whole:
            self.query_one(TaskList).highlight(self.selection.task)
            self.query_one(AlgorithmList).highlight(next(iter(self.selection.algorithms), None))
            self._ask_outlook()
            self._ask_preview()

    def _draw_choices(self) -> None:
        for each in (self.query_one(AlgorithmList), self.query_one(TaskList)):
            each.draw(self.catalog, self.selection, each.scrollable_content_region.width or 26)
        self._draw_start()
        self.refresh_bindings()

    def _draw_start(self) -> None:
        self.query_one(StartLine).draw(self.selection, self.outlook, self._is_starting)

    def _take_selection(self, selection: Selection | None) -> None:
        if selection is None or selection == self.selection:
            return
        self.selection, self.outlook = selection, None
        self._draw_choices()
        self._ask_outlook()

    @work(thread=True, exclusive=True, group="outlook")
    def _ask_outlook(self) -> None:
        selection, estimator = self.selection, self._estimator
        if not selection.complete or estimator is None:
            return
        self.app.call_from_thread(self._take_outlook, selection, estimator.outlook(selection))

    def _take_outlook(self, selection: Selection, outlook: Outlook) -> None:
        if selection == self.selection:
            self.outlook = outlook
            self._draw_start()

    @on(OptionList.OptionHighlighted)
    def _about(self) -> None:
        """Says what the row under the cursor is."""
        tasks, algorithms = self.query_one(TaskList), self.query_one(AlgorithmList)
        text = Text("")
        if tasks.has_focus:
            task = self.catalog.task(tasks.name_in_focus or "")
            text = about_task(task) if task is not None else text
            self._choosing = True
            self._ask_preview()
        else:
            entry = self.catalog.algorithm(algorithms.name_in_focus or "")
            text = (
                about_algorithm(entry, self.catalog.task(self.selection.task)) if entry is not None else text
            )
        self.query_one("#about-text", Static).update(text)

    def on_descendant_focus(self) -> None:
        self._about()
        self.refresh_bindings()
        self.refresh_picture()

    @on(OptionList.OptionSelected)
    def _take_row(self, message: OptionList.OptionSelected) -> None:
        if isinstance(message.option_list, TaskList):
            self._take_selection(replace(self.selection, task=message.option_list.name_in_focus or ""))
        elif isinstance(message.option_list, AlgorithmList):
            self.action_choose_algorithm()

    def action_choose_algorithm(self) -> None:
        """Chooses the algorithm under the cursor, or lets go of it."""
        name = self.query_one(AlgorithmList).name_in_focus
        if name is not None:
            self._take_selection(self.selection.toggled(name))

    # What it looks like before anything runs

    def _ask_preview(self) -> None:
        tasks = self.query_one(TaskList)
        name = (tasks.name_in_focus if tasks.has_focus else None) or self.selection.task
        entry = self.catalog.task(name)
        self.preview = self._previews.get(name)
        if entry is not None and self.preview is None and not entry.problem and entry.section:
            self._make_preview(name)
        self.refresh_picture()

    @work(thread=True, exclusive=True, group="preview")
    def _make_preview(self, name: str) -> None:
        entry = self.catalog.task(name)
        if entry is not None:
            self.app.call_from_thread(self._take_preview, name, preview_of(entry, self.workbench.data_dir))

    def _take_preview(self, name: str, preview: Preview) -> None:
        self._previews[name] = preview
        self._ask_preview()

    # Starting

    @property
    def _is_starting(self) -> bool:
        return self._starting is not None and not self._starting.is_finished

    def action_take(self) -> None:
        """Starts from the start line or the welcome; lists take their rows themselves."""
        if isinstance(self.focused, Welcome):
            self._begin(list(FIRST_COMPARISON), Selection().options)
        elif isinstance(self.focused, StartLine):
            self.action_start()

    @on(StartLine.Pressed)
    def action_start(self) -> None:
        """Starts every chosen algorithm on the chosen task."""
        if self.selection.complete and not self._is_starting:
            self._begin(self.selection.what, self.selection.options)

    def _begin(self, what: list[str], options: Any) -> None:
        self.workbench.run_in_focus = self._chosen_run = None
        self._choosing = False
        self._starting = self.workbench.begin(what, options)
        self.column = 1
        self._show_column()
        self._draw_start()
        self.refresh_picture()

    def action_settings(self) -> None:
        """The form of everything that can be changed."""
        from tui.screens.settings import SettingsScreen

        algorithm = self.query_one(AlgorithmList).name_in_focus
        if algorithm not in self.selection.algorithms:
            algorithm = self.selection.algorithms[0]
        self.app.push_screen(SettingsScreen(self.selection, algorithm), self._take_selection)

    def action_copy_command(self) -> None:
        """Copies the headless line."""
        command = self.text_to_copy()
        self.app.copy_to_clipboard(command)
        self.workbench.tell(f"copied: {command}")

    def text_to_copy(self) -> str:
        """The headless command of what is chosen."""
        return self.selection.command(self._folder_arguments()) if self.selection.complete else ""

    def _folder_arguments(self) -> list[str]:
        from engine.data import data_folder
        from engine.runs import runs_folder

        runs, data = self.workbench.runs_dir, self.workbench.data_dir
        given = [] if runs == runs_folder(None) else ["--runs-dir", str(runs)]
        return given + ([] if data == data_folder(None) else ["--data-dir", str(data)])

    # Watching

    def draw(self, snapshot: Snapshot) -> None:
        """Draws the runs shown, the inner loop of one of them, and the session's progress."""
        in_focus = self.workbench.run_in_focus
        runs = shown_runs(snapshot, in_focus)
        one = looked_at(runs, self._chosen_run, in_focus)
        wanted = [summary.id for summary in runs]
        if wanted != self._watched:
            self._watched = wanted
            self.workbench.reader.watch(wanted)
        curves = self.query_one(Curves)
        first_start = snapshot.taken > 0 and not snapshot.runs and snapshot.session is None
        curves.welcome(first_start and not self._is_starting)
        if first_start and not self._is_starting:
            self._welcome_once()
        else:
            said = "starting: reading the presets, checking the data, making the runs"
            curves.draw(
                snapshot, runs, one, self._shown_preview(snapshot, runs), said if self._is_starting else ""
            )
        self.query_one(Inner).draw(snapshot, runs, one)
        self._draw_start()
        self.refresh_bindings()

    def _shown_preview(self, snapshot: Snapshot, runs: Sequence[Summary]) -> Preview | None:
        """The preview, while nothing trains and nothing was asked to be seen since the task was chosen."""
        session = snapshot.session
        going = session is not None and not session.done
        if going or self._is_starting or any(summary.status.alive for summary in runs):
            return None
        return self.preview if self._choosing or not runs else None

    def _welcome_once(self) -> None:
        """Puts the first start's key under the finger."""
        if not self._welcomed:
            self._welcomed = True
            self.column = 1
            self._show_column()
            self.query_one(Welcome).focus()

    def action_next_run(self) -> None:
        """Looks at the next of the runs shown."""
        runs = shown_runs(self.workbench.snapshot, self.workbench.run_in_focus)
        one = looked_at(runs, self._chosen_run, self.workbench.run_in_focus)
        if one is not None and len(runs) > 1:
            self._choosing = False
            self._chosen_run = runs[(runs.index(one) + 1) % len(runs)].id
            self.refresh_picture()

    # Moving about

    @property
    def _narrow(self) -> bool:
        return self.size.width < 100

    def _show_column(self) -> None:
        """At few columns only one of the three; their names stand above it."""
        for index, (name, _) in enumerate(COLUMNS):
            self.query_one(f"#{name}").display = not self._narrow or index == self.column
        line = Text(" ")
        for index, (_, label) in enumerate(COLUMNS):
            line.append(f" {label} ", style="reverse" if index == self.column else "").append(" ")
        line.append("  tab, [ and ] change", style="dim")
        tabs = self.query_one("#columns", Static)
        tabs.display = self._narrow
        tabs.update(line)

    def _panels(self, column: int) -> list[Widget]:
        """What can have the focus in a column, in order."""
        inside = self.query_one(f"#{COLUMNS[column][0]}")
        found = [node for node in inside.walk_children(Widget, with_self=True) if node.can_focus]
        return [node for node in found if all(part.display for part in _up_to(node, inside))]

    def action_panel(self, direction: int) -> None:
        """The next thing that can have the focus, into the next column after a column's last."""
        order = [(column, node) for column in range(len(COLUMNS)) for node in self._panels(column)]
        at = next((index for index, (_, node) in enumerate(order) if node is self.focused), -1)
        if order:
            self._focus(*order[(at + direction) % len(order)])

    def action_column(self, direction: int) -> None:
        """The next column's first panel."""
        column = (self.column + direction) % len(COLUMNS)
        self._focus(column, next(iter(self._panels(column)), None))

    def _focus(self, column: int, node: Widget | None) -> None:
        self.column = column
        self._show_column()
        if node is not None:
            self.call_after_refresh(node.focus)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys what is impossible now."""
        if action in ("start", "settings", "copy_command"):
            return True if self.selection.complete else None
        if action == "next_run":
            several = len(shown_runs(self.workbench.snapshot, self.workbench.run_in_focus)) > 1
            return True if several else None
        if action == "choose_algorithm":
            return isinstance(self.focused, AlgorithmList)
        if action == "take":
            return isinstance(self.focused, StartLine | Welcome)
        return True


def _up_to(node: Widget, top: Widget) -> list[Widget]:
    """The node and what holds it, up to `top`; the column itself may be out of sight."""
    found: list[Widget] = []
    current: Any = node
    while current is not None and current is not top:
        found.append(current)
        current = current.parent
    return found
