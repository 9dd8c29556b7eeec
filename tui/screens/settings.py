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
from tui.bench.choosing import GroupedList
from tui.bench.form import Field, form, problem, with_value, without_change
from tui.bench.selection import Selection
from tui.keys import Key, place
from tui.output import cells, pad, plain
from tui.widgets.key_line import KeyLine

KEYS = (
    Key("enter", "edit", "Change", "change the value under the cursor"),
    Key(
        "space",
        "next_choice",
        "Next choice",
        "the next of few choices",
        why_not="there are not a few choices",
    ),
    Key("a", "scope", "For all / one", "changes are for all algorithms, or for the one shown alone"),
    Key(
        "u", "undo", "Undo", "the value under the cursor as the presets have it", why_not="it is not changed"
    ),
    Key("U", "undo_all", "Undo all", "every value as the presets have it", why_not="nothing is changed"),
    Key("tab", "next_algorithm", "Algorithm", "the settings of the next algorithm", why_not="there is one"),
    Key("escape", "leave", "Back", "back to the bench with these settings"),
    Key("question_mark", "help", "Help", "every key of this form"),
)


class SettingsScreen(ModalScreen[Selection]):
    """A list of all keys with a line to edit in; it gives back the selection with what was changed."""

    PLACE = "settings"
    BINDINGS: ClassVar[list[BindingType]] = place("settings", KEYS)
    AUTO_FOCUS = "#keys"
    CSS = """
    SettingsScreen { align: left top; background: $background 40%; }
    #form { width: 60%; min-width: 80; max-width: 100%; height: 100%; background: $background;
        border: round $accent; border-title-color: $foreground; border-subtitle-color: $foreground; }
    #form GroupedList { height: 1fr; scrollbar-size-vertical: 1; background: $background; }
    #what { height: auto; max-height: 4; padding: 0 1; color: $secondary; }
    #value { height: 1; border: none; padding: 0 1; background: $panel; }
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
        self._editing: str | None = None
        self._possible: tuple[bool | None, ...] = ()
        self._asked, self._answered = 0, -1

    @property
    def takes_keys(self) -> bool:
        """Keys wait for the answer to what was entered: what they mean depends on it."""
        return self._asked == self._answered

    def compose(self) -> ComposeResult:
        with Vertical(id="form"):
            yield GroupedList("", id="keys")
            yield Static("", id="what", markup=False)
            line = Input(id="value", select_on_focus=False, compact=True)
            line.display = False
            yield line
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
        keys = self.query_one(GroupedList)
        rows: list[tuple[str | None, Text]] = []
        section = ""
        for field in self.fields.values():
            if field.section != section:
                section = field.section
                rows.append((None, Text(section.capitalize(), style="dim")))
            rows.append((field.path, self._row(field)))
        keys.show_rows(rows)
        self._about()

    def _row(self, field: Field) -> Text:
        label = field.path.removeprefix(f"{field.section}.")
        style = "dim" if field.locked else "bold" if field.was is not None else ""
        text = Text("● " if field.was is not None else "  ", no_wrap=True, overflow="ellipsis")
        text.append(pad(plain(label), max(30, cells(label))) + " ", style=style)
        text.append(plain(field.value), style=style)
        if field.was is not None:
            text.append(f"   replaces {plain(field.was)}", style="dim")
        if field.locked:
            text.append(f"   {field.locked}", style="dim")
        return text

    @property
    def _field(self) -> Field | None:
        name = self._editing or self.query_one(GroupedList).name_in_focus
        return self.fields.get(name or "")

    @on(GroupedList.OptionHighlighted)
    def _about(self) -> None:
        """What the key under the cursor is, what it takes and where its value comes from."""
        field = self._field
        text = Text("")
        if field is not None:
            parts = [field.about, field.locked, f"takes {field.takes}" if field.takes else ""]
            parts.append(f"from {plain(field.layer)}" if field.layer else "")
            text = Text("; ".join(part for part in parts if part))
        self.query_one("#what", Static).update(text)
        possible = tuple(self.check_action(key.action, ()) for key in KEYS)
        if possible != self._possible:
            # The footer is made anew each time: not for every row that the cursor passes.
            self._possible = possible
            self.refresh_bindings()

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(Text(plain(text)))

    # Changing

    @on(GroupedList.OptionSelected)
    def action_edit(self) -> None:
        """Opens the line to edit in."""
        field = self._field
        if field is None:
            return
        if field.locked:
            self._say(f"{field.path} {field.locked}")
            return
        self._editing = field.path
        line = self.query_one(Input)
        line.display = True
        line.value = field.value
        line.cursor_position = len(field.value)
        self.set_focus(line)
        self._about()

    @on(Input.Changed)
    def _typed(self, message: Input.Changed) -> None:
        if self._editing is not None:
            self._check(self._editing, message.value, None)

    @on(Input.Submitted)
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
            if self._editing is not None and message.text == self.query_one(Input).value:
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
        self.set_focus(self.query_one(GroupedList))
        self.query_one(Input).display = False
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

    async def action_help(self) -> None:
        """The keys of this form."""
        await self.app.run_action("help")

    def action_leave(self) -> None:
        """Closes the line to edit in, else the form."""
        if self._editing is not None:
            self._close_line()
            self._read()
        else:
            self.dismiss(self.selection)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys what is impossible now; while a value is edited the keys are text."""
        if self._editing is not None:
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
