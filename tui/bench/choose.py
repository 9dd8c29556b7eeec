"""The left column as a whole: reads what there is, keeps what was chosen, asks what it would take."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static

from tui.bench.catalog import Catalog, load_catalog, looked_again, names_alone
from tui.bench.choosing import AlgorithmList, StartLine, TaskList, about_algorithm, about_task
from tui.bench.estimates import Estimator, Outlook
from tui.bench.opening import in_time
from tui.bench.selection import FIRST_ALGORITHMS, FIRST_TASK, Selection

if TYPE_CHECKING:
    from tui.bench.panel import Preview

WIDTH_BEFORE_LAYOUT = 26
TOGETHER_SECONDS = 0.5
"""Runs that begin or end within this time are one reason for a new estimate: it lists the whole folder."""


class Choose(Vertical):
    """Algorithms, tasks, what the one under the cursor is, and the start line. Files are read in threads,
    whose answers come as messages."""

    class Changed(Message):
        """Another selection, or another preview."""

    class Faulty(Message):
        """The presets could not be read."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Read(Message):
        """What the files of the presets say."""

        def __init__(self, catalog: Catalog) -> None:
            super().__init__()
            self.catalog = catalog

    class Estimated(Message):
        """What a selection would take."""

        def __init__(self, selection: Selection, outlook: Outlook) -> None:
            super().__init__()
            self.selection, self.outlook = selection, outlook

    class Previewed(Message):
        """What a task looks like."""

        def __init__(self, task: str, preview: "Preview") -> None:
            super().__init__()
            self.task, self.preview = task, preview

    def __init__(self, runs_dir: Path, data_dir: Path, id: str) -> None:
        super().__init__(id=id, classes="column")
        self.data_dir = data_dir
        self.catalog, self.selection = Catalog(), Selection()
        self.outlook: Outlook | None = None
        self.starting = False
        self.looking_at_tasks = False
        """Whether the preview is what one wants to see: a task was looked at, and no run since."""
        self._looked_at: str | None = None
        """The task under the cursor, from when its list had the focus until another panel here has it: at few
        columns the preview stands in another one."""
        self._words = ""
        self._anew: Timer | None = None
        self._previews: dict[str, Preview] = {}
        self._estimator = Estimator(runs_dir, data_dir)

    def compose(self) -> ComposeResult:
        with Container(id="lists"):
            yield AlgorithmList("Algorithms", "algorithms")
            yield TaskList("Task", "tasks")
        with VerticalScroll(id="about"):
            yield Static("", id="about-text", markup=False)
        yield StartLine()

    def on_mount(self) -> None:
        # The names stand in the first frame; what the files say is read after it.
        self._show(in_time(names_alone, Catalog()), whole=False)

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw)

    @property
    def algorithm_in_focus(self) -> str:
        """The chosen algorithm under the cursor, else the first chosen one."""
        name = self.query_one(AlgorithmList).name_in_focus
        return name if name in self.selection.algorithms and name else self.selection.algorithms[0]

    @property
    def preview(self) -> "Preview | None":
        """What the task under the cursor, or the chosen one, looks like; None until it is made."""
        return self._previews.get(self._task_in_focus)

    @property
    def _task_in_focus(self) -> str:
        return self._looked_at or self.selection.task

    # What can be chosen

    def read(self) -> None:
        """Reads what the files say. Called in a thread."""
        self.post_message(self.Read(load_catalog(self.data_dir)))

    @work(thread=True, exclusive=True, group="read again")
    def look_again(self) -> None:
        """Data may have come or gone while another screen was shown."""
        before = self.catalog
        found = looked_again(before, self.data_dir)
        if found != before:
            self.post_message(self.Read(found))

    def on_choose_read(self, message: Read) -> None:
        """Shows what the files say; what a task looked like that has other data now is looked at anew."""
        same = {entry.name for entry in message.catalog.tasks if entry == self.catalog.task(entry.name)}
        self._previews = {name: preview for name, preview in self._previews.items() if name in same}
        self._show(message.catalog, whole=True)

    def _show(self, catalog: Catalog, whole: bool) -> None:
        """Shows the lists; at the start the sine comparison is chosen. `whole`: with what the files say."""
        if catalog.error:
            self.post_message(self.Faulty(catalog.error))
        if catalog.error and self.catalog.tasks:
            return
        first, self.catalog = not self.catalog.tasks, catalog
        if not self.selection.task:
            tasks = [entry.name for entry in catalog.tasks if not entry.problem]
            task = FIRST_TASK if FIRST_TASK in tasks else next(iter(tasks), "")
            there = tuple(name for name in FIRST_ALGORITHMS if catalog.algorithm(name) is not None)
            self.selection = Selection(task, there)
        self.draw()
        if first:
            self.query_one(TaskList).highlight(self.selection.task)
            self.query_one(AlgorithmList).highlight(next(iter(self.selection.algorithms), None))
        if whole:
            self.about()
            self._estimate()
            self._want_preview()
        self.post_message(self.Changed())

    def draw(self) -> None:
        """Draws lists and start line as they are now."""
        catalog = self.catalog.with_words(self._words)
        for each in (self.query_one(AlgorithmList), self.query_one(TaskList)):
            width = each.scrollable_content_region.width or WIDTH_BEFORE_LAYOUT
            each.draw(catalog, self.selection, width)
        self.draw_start()

    def draw_start(self) -> None:
        """Draws the start line."""
        self.query_one(StartLine).draw(self.selection, self.outlook, self.starting)

    # Finding

    @property
    def is_finding(self) -> bool:
        """Whether the lists are kept to what has some words."""
        return bool(self.query("#find"))

    async def find(self) -> None:
        """Opens the line for the words."""
        if not self.is_finding:
            line = Input(placeholder="words in name or description", id="find", compact=True)
            await self.mount(line, before=0)
        self.screen.set_focus(self.query_one("#find", Input))

    @on(Input.Changed, "#find")
    def _look_for(self, message: Input.Changed) -> None:
        message.stop()
        self._words = message.value
        self.draw()

    @on(Input.Submitted, "#find")
    def _go_to_found(self, message: Input.Submitted) -> None:
        """Into the first list that has something."""
        message.stop()
        lists = (self.query_one(AlgorithmList), self.query_one(TaskList))
        self.screen.set_focus(next((each for each in lists if each.option_count), lists[0]))

    async def find_no_more(self) -> None:
        """All rows again."""
        self._words = ""
        self.screen.set_focus(self.query_one(AlgorithmList))
        await self.query("#find").remove()
        self.draw()

    # What was chosen

    def take(self, selection: Selection | None) -> None:
        """Another selection; None: as it was."""
        if selection is None or selection == self.selection:
            return
        self.selection, self.outlook = selection, None
        self.draw()
        self._estimate()
        self._want_preview()
        self.post_message(self.Changed())

    def toggle_algorithm(self) -> None:
        """Chooses the algorithm under the cursor, or lets go of it."""
        name = self.query_one(AlgorithmList).name_in_focus
        if name is not None:
            self.take(self.selection.toggled(name))

    @on(OptionList.OptionSelected)
    def _take_row(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        if isinstance(message.option_list, TaskList):
            self.take(replace(self.selection, task=message.option_list.name_in_focus or ""))
        else:
            self.toggle_algorithm()

    @on(OptionList.OptionHighlighted)
    def about(self) -> None:
        """Says what the row under the cursor is."""
        tasks, algorithms = self.query_one(TaskList), self.query_one(AlgorithmList)
        text = Text("")
        if tasks.has_focus:
            task = self.catalog.task(tasks.name_in_focus or "")
            text = about_task(task) if task is not None else text
            self.looking_at_tasks, self._looked_at = True, tasks.name_in_focus
            self._want_preview()
        else:
            if self.has_focus_within:
                self._looked_at = None
            entry = self.catalog.algorithm(algorithms.name_in_focus or "")
            task = self.catalog.task(self.selection.task)
            text = about_algorithm(entry, task) if entry is not None else text
        self.query_one("#about-text", Static).update(text)

    # What it would take, and what it looks like

    @work(thread=True, exclusive=True, group="estimate")
    def _estimate(self) -> None:
        selection = self.selection
        if selection.complete:
            self.post_message(self.Estimated(selection, self._estimator.outlook(selection)))

    def on_choose_estimated(self, message: Estimated) -> None:
        """Shows an estimate, unless something else was chosen since."""
        if message.selection == self.selection:
            self.outlook = message.outlook
            self.draw_start()

    def estimate_anew(self) -> None:
        """Asks again a moment later, once for several: runs were begun or have ended since."""
        if self._anew is not None:
            self._anew.stop()
        self._anew = self.set_timer(TOGETHER_SECONDS, self._estimate)

    def _want_preview(self) -> None:
        name = self._task_in_focus
        entry = self.catalog.task(name)
        if name in self._previews:
            self.post_message(self.Changed())
        elif entry is not None and entry.section:
            self._make_preview(name)

    @work(thread=True, exclusive=True, group="preview")
    def _make_preview(self, name: str) -> None:
        from tui.bench.previews import preview_of

        entry = self.catalog.task(name)
        if entry is not None:
            self.post_message(self.Previewed(name, preview_of(entry, self.data_dir)))

    def on_choose_previewed(self, message: Previewed) -> None:
        """Keeps a preview, which does not change while the task's data do not."""
        self._previews[message.task] = message.preview
        self.post_message(self.Changed())
