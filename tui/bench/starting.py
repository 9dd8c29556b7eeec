"""The bench's left half: what is chosen there is started, copied as a command, changed in the settings."""

from abc import abstractmethod
from typing import Any

from textual import on

from tui.bench.choose import Choose
from tui.bench.choosing import GroupedList, StartLine
from tui.bench.columns import ColumnScreen
from tui.bench.selection import Selection
from tui.screens.welcome import FIRST_COMPARISON, Welcome

WATCHING = 1
"""The column of the curves."""


class StartingScreen(ColumnScreen):
    """A screen with the column `Choose`, and what its keys do."""

    def __init__(self) -> None:
        super().__init__()
        self._begun: Any = None

    @abstractmethod
    def look_at_all(self) -> None:
        """No run is looked at in particular any more."""

    @property
    def choose(self) -> Choose:
        """The left column."""
        return self.query_one(Choose)

    @property
    def selection(self) -> Selection:
        """What is chosen."""
        return self.choose.selection if self.is_mounted else Selection()

    def on_choose_faulty(self, message: Choose.Faulty) -> None:
        """Says why the lists are short."""
        self.workbench.complain(message.text)

    def action_choose_algorithm(self) -> None:
        """Chooses the algorithm under the cursor, or lets go of it."""
        self.choose.toggle_algorithm()

    def action_take(self) -> None:
        """Starts from the start line or the welcome; in a list takes the row under the cursor."""
        if isinstance(self.focused, Welcome):
            self._begin(list(FIRST_COMPARISON), Selection().options)
        elif isinstance(self.focused, StartLine):
            self.action_start()
        elif isinstance(self.focused, GroupedList):
            self.focused.action_select()

    @on(StartLine.Pressed)
    def action_start(self) -> None:
        """Starts every chosen algorithm on the chosen task."""
        if self.selection.complete:
            self._begin(self.selection.what, self.selection.options)

    def _begin(self, what: list[str], options: Any) -> None:
        if self.is_starting:
            return
        self.workbench.run_in_focus, self.workbench.laid_over = None, ()
        self.look_at_all()
        self.choose.looking_at_tasks = False
        self._begun = self.workbench.begin(what, options)
        self._wait_for_begin()
        self.go_to(WATCHING, None)
        self.refresh_picture()

    def _wait_for_begin(self) -> None:
        """Draws anew when the start has succeeded or failed: a failed one makes no new picture."""
        if self.is_starting:
            self.set_timer(0.2, self._wait_for_begin)
        else:
            self.refresh_picture()

    @property
    def is_starting(self) -> bool:
        """Whether what was asked for is being begun."""
        return self._begun is not None and not self._begun.is_finished

    async def action_find(self) -> None:
        """Keeps the lists to what has some words."""
        self.show_column(0)
        await self.choose.find()

    async def action_find_no_more(self) -> None:
        """The whole lists again."""
        await self.choose.find_no_more()
        self.refresh_bindings()

    def action_settings(self) -> None:
        """The form of everything that can be changed."""
        from tui.screens.settings import SettingsScreen

        form = SettingsScreen(self.selection, self.choose.algorithm_in_focus)
        self.app.push_screen(form, self.choose.take)

    def action_copy_command(self) -> None:
        """Copies the headless line."""
        command = self.text_to_copy()
        self.app.copy_to_clipboard(command)
        self.workbench.tell(f"copied: {command}")

    def text_to_copy(self) -> str:
        """The headless command of what is chosen."""
        return self.selection.command(self._folder_arguments()) if self.selection.complete else ""

    def _folder_arguments(self) -> list[str]:
        from engine.folders import data_folder
        from engine.runs import runs_folder

        runs, data = self.workbench.runs_dir, self.workbench.data_dir
        given = [] if runs == runs_folder(None) else ["--runs-dir", str(runs)]
        return given + ([] if data == data_folder(None) else ["--data-dir", str(data)])
