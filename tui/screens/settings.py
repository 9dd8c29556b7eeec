"""The settings form: every key of the spec, checked while one types, over the left half of the bench."""

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine.errors import RequestError
from tui.bench.field_list import FieldList, about, found_by
from tui.bench.form import Field, form, problem, with_value, without_change
from tui.bench.selection import Selection
from tui.bench.settings_keys import KEYS
from tui.keys import place
from tui.output import plain
from tui.widgets.key_line import KeyLine


class SettingsScreen(ModalScreen[Selection]):
    """A list of all keys with a line to edit in; it gives back the selection with what was changed."""

    PLACE = "settings"
    BINDINGS: ClassVar[list[BindingType]] = place("settings", KEYS)
    AUTO_FOCUS = "#keys"
    CSS = """
    SettingsScreen { align: left top; background: $background 40%; }
    #form { width: 60%; min-width: 80; max-width: 100%; height: 100%; background: $background;
        border: round $accent; border-title-color: $foreground; border-subtitle-color: $foreground; }
    #form FieldList { height: 1fr; scrollbar-size-vertical: 1; background: $background; }
    #what { height: auto; max-height: 4; padding: 0 1; color: $secondary; }
    #value, #words { height: 1; border: none; padding: 0 1; background: $panel; display: none; }
    #said { height: auto; max-height: 4; padding: 0 1; text-style: bold; }
    """

    class Read(Message):
        """All fields, and what is wrong with the settings as they are; which asking it answers."""

        def __init__(self, fields: list[Field], said: str, asking: int) -> None:
            super().__init__()
            self.fields, self.said, self.asking = fields, said, asking

    class Checked(Message):
        """The settings with a value that was typed, and what is wrong with it; `asking` is of one that was
        entered, None of one still being typed."""

        def __init__(self, changed: Selection, text: str, said: str, asking: int | None) -> None:
            super().__init__()
            self.changed, self.text, self.said, self.asking = changed, text, said, asking

    def __init__(self, selection: Selection, algorithm: str) -> None:
        super().__init__()
        self.selection, self.algorithm = selection, algorithm
        self.for_all = True
        self.fields: dict[str, Field] = {}
        self.words = ""
        self._editing: str | None = None
        self._possible: tuple[bool | None, ...] = ()
        self._asked, self._answered = 0, -1

    @property
    def takes_keys(self) -> bool:
        """Keys wait for the answer to what was entered: what they mean depends on it."""
        return self._asked == self._answered

    def compose(self) -> ComposeResult:
        with Vertical(id="form"):
            yield FieldList("", id="keys")
            yield Static("", id="what", markup=False)
            yield Input(id="value", select_on_focus=False, compact=True)
            yield Input(id="words", placeholder="words in name or description", compact=True)
            yield Static("", id="said", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self._title()
        self._read()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _title(self) -> None:
        scope = "all algorithms" if self.for_all else f"{plain(self.algorithm)} alone"
        for box in self.query("#form"):  # none where the app is left meanwhile
            box.border_title = Text(f"Settings: {plain(self.algorithm)} on {plain(self.selection.task)}")
            box.border_subtitle = Text(f"changes are for {scope}")

    # Values

    def _read(self) -> None:
        self._asked += 1
        self._read_form(self.selection, self.algorithm, self._asked)

    @work(thread=True, group="read")
    def _read_form(self, selection: Selection, algorithm: str, asking: int) -> None:
        try:
            fields, said = form(selection, algorithm)
        except (RequestError, OSError) as fault:
            fields, said = [], str(fault)
        self.post_message(self.Read(fields, said, asking))

    def on_settings_screen_read(self, message: Read) -> None:
        """Shows the fields."""
        if message.asking != self._asked:
            return
        self._answered = message.asking
        self.fields = {field.path: field for field in message.fields}
        self._draw()
        self._say(message.said)

    def _draw(self) -> None:
        found = [field for field in self.fields.values() if found_by(field, self.words)]
        self.query_one(FieldList).draw(found)
        self._about()

    @property
    def _field(self) -> Field | None:
        name = self._editing or self.query_one(FieldList).name_in_focus
        return self.fields.get(name or "")

    @on(FieldList.OptionHighlighted)
    def _about(self) -> None:
        """What the key under the cursor is, what it takes and where its value comes from."""
        field = self._field
        nothing = f"no key has the words {plain(self.words)}; esc drops them" if self.words else ""
        self.query_one("#what", Static).update(Text(about(field) if field is not None else nothing))
        possible = tuple(self.check_action(key.action, ()) for key in KEYS)
        if possible != self._possible:
            # The footer is made anew each time: not for every row that the cursor passes.
            self._possible = possible
            self.refresh_bindings()

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(Text(plain(text)))

    # Changing

    @on(FieldList.OptionSelected)
    def action_edit(self) -> None:
        """Opens the line to edit in."""
        field = self._field
        if field is None:
            return
        if field.locked:
            self._say(f"{field.path} {field.locked}")
            return
        self._editing = field.path
        line = self.query_one("#value", Input)
        line.display = True
        line.value = field.value
        line.cursor_position = len(field.value)
        self.set_focus(line)
        self._about()

    @on(Input.Changed, "#value")
    def _typed(self, message: Input.Changed) -> None:
        if self._editing is not None:
            self._check(self._editing, message.value, None)

    @on(Input.Submitted, "#value")
    def _entered(self, message: Input.Submitted) -> None:
        if self._editing is not None:
            self._enter(self._editing, message.value)

    def _enter(self, path: str, text: str) -> None:
        self._asked += 1
        self._check(path, text, self._asked)

    @work(thread=True, group="check")
    def _check(self, path: str, text: str, asking: int | None) -> None:
        """Asks the schema about a value."""
        scope = None if self.for_all else self.algorithm
        changed = self.selection
        try:
            changed = with_value(self.selection, path, text, scope)
            said = problem(changed)
        except RequestError as fault:
            said = str(fault)
        self.post_message(self.Checked(changed, text, said, asking))

    def on_settings_screen_checked(self, message: Checked) -> None:
        """Says what is wrong; takes what was entered and fits."""
        if message.asking is None:
            if self._editing is not None and message.text == self.query_one("#value", Input).value:
                self._say(message.said)
            return
        self._answered = message.asking
        self._say(message.said)
        if not message.said:
            self._close_line()
            self.selection = message.changed
            self._read()

    def _close_line(self) -> None:
        self._editing = None
        self.set_focus(self.query_one(FieldList))
        self.query_one("#value", Input).display = False
        self._about()

    def action_next_choice(self) -> None:
        """The next of few choices."""
        field = self._field
        if field is not None and field.choices and not field.locked:
            at = field.choices.index(field.value) if field.value in field.choices else -1
            self._enter(field.path, field.choices[(at + 1) % len(field.choices)])

    def action_undo(self) -> None:
        """The value under the cursor as the presets have it."""
        if self._field is not None:
            self.selection = without_change(self.selection, self._field.path, self.algorithm)
            self._read()

    def action_undo_all(self) -> None:
        """Every value as the presets have it."""
        self.selection = Selection(self.selection.task, self.selection.algorithms)
        self._read()

    def action_scope(self) -> None:
        """Whether changes are for all algorithms."""
        self.for_all = not self.for_all
        self._title()

    def action_next_algorithm(self) -> None:
        """The settings of the next chosen algorithm."""
        names = self.selection.algorithms
        at = names.index(self.algorithm) if self.algorithm in names else -1
        self.algorithm = names[(at + 1) % len(names)]
        self._title()
        self._read()

    def action_find(self) -> None:
        """Opens the line of words that the list is kept to."""
        line = self.query_one("#words", Input)
        line.display = True
        self.set_focus(line)

    @on(Input.Changed, "#words")
    def _sought(self, message: Input.Changed) -> None:
        self.words = message.value.strip()
        self._draw()

    @on(Input.Submitted, "#words")
    def _found(self) -> None:
        """Keeps the words, which stay in sight, and goes back to the list."""
        self.query_one("#words").display = bool(self.words)
        self.set_focus(self.query_one(FieldList))

    def _find_no_more(self) -> None:
        line = self.query_one("#words", Input)
        line.value, line.display = "", False
        self.set_focus(self.query_one(FieldList))

    def on_descendant_focus(self) -> None:
        self.refresh_bindings()

    async def action_help(self) -> None:
        """The keys of this form."""
        await self.app.run_action("help")

    def action_leave(self) -> None:
        """Closes the line to edit in, else that of words, else the form."""
        if self._editing is not None:
            self._close_line()
            self._read()
        elif self.query_one("#words").display:
            self._find_no_more()
        else:
            self.dismiss(self.selection)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys what is impossible now; while something is written the keys are text."""
        if self._editing is not None or isinstance(self.focused, Input):
            return action == "leave"
        field = self._field if self.is_mounted else None
        if action == "next_choice":
            return True if field is not None and field.choices and not field.locked else None
        if action == "undo":
            return True if field is not None and field.was is not None else None
        if action == "undo_all":
            return True if self.selection.changes or self.selection.overrides else None
        if action == "next_algorithm":
            return True if len(self.selection.algorithms) > 1 else None
        return True
