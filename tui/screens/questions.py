"""Small questions over a screen: a line of text with what it would do under it."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, Static

from engine.errors import RequestError
from tui.output import plain

WAIT_SECONDS = 0.15
"""How long typing must rest before the text is checked."""


class AskText(ModalScreen[str | None]):
    """Asks for a line. `check` runs off the loop while one types: what it returns, or the RequestError that
    it raises, stands under the line. Gives the text, or None when it was put away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "put_away", "Back"),
        # The line has the focus, and what is said under it may be longer than the screen.
        Binding("pageup", "turn(-1)", "Up", show=False),
        Binding("pagedown", "turn(1)", "Down", show=False),
    ]
    DEFAULT_CSS = """
    AskText { align: center middle; }
    AskText > VerticalScroll {
        width: 90%; max-width: 100; height: auto; max-height: 80%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    AskText Static { height: auto; }
    AskText Input { border: none; height: 1; padding: 0; background: $panel; margin: 1 0; }
    AskText Input:focus { border: none; }
    AskText .hint { color: $secondary; }
    AskText .wrong { color: $error; }
    """

    def __init__(self, title: str, hint: str, check: Callable[[str], str], text: str = "") -> None:
        super().__init__()
        self._title, self._hint, self._check, self._text = title, hint, check, text
        self._fault: str | None = None
        self._checked: str | None = None
        self._finish = False
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = Text(plain(self._title))
            yield Static(Text(plain(self._hint)), classes="hint")
            yield Input(self._text, id="answer", select_on_focus=False)
            yield from self.more()
            yield Static("", id="verdict")

    def more(self) -> ComposeResult:
        """What stands between the line and what is said of it."""
        return iter(())

    @property
    def _line(self) -> Input:
        return self.query_one("#answer", Input)

    def on_mount(self) -> None:
        self._look()

    def action_turn(self, pages: int) -> None:
        """Moves what is said by a page."""
        box = self.query_one(VerticalScroll)
        (box.scroll_page_down if pages > 0 else box.scroll_page_up)(animate=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._finish = False
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(WAIT_SECONDS, self._look)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Takes the text once it has been checked and nothing is wrong with it."""
        event.stop()
        self._finish = True
        if self._checked == self._line.value:
            self.end_if_right()
        else:
            self._look()

    def action_put_away(self) -> None:
        """Leaves the question without an answer."""
        self.dismiss(None)

    def _look(self) -> None:
        self._check_off_loop(self._line.value)

    @work(thread=True, exclusive=True, group="check")
    def _check_off_loop(self, text: str) -> None:
        fault = None
        try:
            said = self._check(text)
        except (RequestError, OSError) as error:
            fault = said = str(error).removeprefix("--set ")
        self.app.call_from_thread(self._checked_now, text, said, fault)

    def _checked_now(self, text: str, said: str, fault: str | None) -> None:
        if not self.is_attached or text != self._line.value:
            return
        self._checked, self._fault = text, fault
        lines = "\n".join(plain(line) for line in said.splitlines())
        verdict = self.query_one("#verdict", Static)
        verdict.set_class(fault is not None, "wrong")
        verdict.update(Text(f"✖ {lines}" if fault is not None else lines))
        self.end_if_right()

    def end_if_right(self) -> None:
        """Gives the text, where it was submitted and is right."""
        if self._finish and self._fault is None and self._checked is not None:
            self.dismiss(self._checked)
        self._finish = False
