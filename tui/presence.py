"""An app that knows when it was last open on its runs folder: a card says what ended since, and it notes that
it is open now."""

from pathlib import Path
from typing import TYPE_CHECKING, Generic

from textual import work
from textual.app import App, ReturnType

from tui.snapshot import Snapshot

if TYPE_CHECKING:
    from tui.runs.away import Absence, AwayCard


class Presence(App[ReturnType], Generic[ReturnType]):
    """The app's part that was away and is back."""

    runs_dir: Path
    snapshot: Snapshot
    _absence: "Absence | None" = None
    _is_back = False
    _is_noting = False

    @work(thread=True)
    def remember_closing(self) -> None:
        """Reads when the app was last closed on this runs folder."""
        from tui.runs.away import Absence

        self._absence = Absence(self.runs_dir)
        self.call_from_thread(self.show_absence)

    def show_absence(self) -> None:
        """Once both are known, the first picture and the last closing: a card with what happened between."""
        if self._absence is None or not self.snapshot.taken or self._is_back:
            return
        self._is_back = True
        card = self._absence.card(self.snapshot.runs)
        if card is None:
            self._begin_presence()
        else:
            self.push_screen(card, self._begin_presence)
            self._ask_tests(self._absence, card)

    @work(thread=True)
    def _ask_tests(self, absence: "Absence", card: "AwayCard") -> None:
        """What the tests say is read for the card that is there."""
        lines = absence.with_tests(self.snapshot.runs)
        if lines:
            self.call_from_thread(card.say, lines)

    def _begin_presence(self, _: None = None) -> None:
        """What ends from here on is seen; that is written again and again, since a lost line ends the app."""
        from tui.runs.away import SEEN_SECONDS

        self._be_present()
        self.set_interval(SEEN_SECONDS, self._be_present)

    def _be_present(self) -> None:
        # On a file server that hangs one waiting thread is enough.
        if not self._is_noting:
            self._is_noting = True
            self._note_presence()

    @work(thread=True)
    def _note_presence(self) -> None:
        try:
            self.note_presence()
        finally:
            self._is_noting = False

    def note_presence(self) -> None:
        """Remembers that the app is open now. Writes a file: never on the event loop."""
        if self._absence is not None:
            self._absence.note()
