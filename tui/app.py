"""The workbench: four screens over one picture of the runs folder."""

import asyncio
import contextlib
import gc
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.worker import WorkerFailed

from engine.errors import RequestError
from tui.beginnings import Beginnings, Request
from tui.faults_told import FaultsTold
from tui.greyed import GreyedKeys
from tui.keys import EVERYWHERE, place
from tui.layouts import mend
from tui.offers import Offer
from tui.output import plain
from tui.presence import Presence
from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot
from tui.sparing import Sparing
from tui.terminal import is_gone, prepare, without_colour
from tui.themed import Themed
from tui.themes import after
from tui.threads import LEAVING_SECONDS, Unbroken, use_abandonable_threads
from tui.typed_ahead import OrderedKeys

if TYPE_CHECKING:
    from engine.runs.rows import Options
    from tui.reader import Reader
    from tui.session import Session

TERMINAL_LOOK_SECONDS = 2.0
LOST_TERMINAL = 129
BEGINNING_SECONDS = 10.0
"""How long leaving waits for trainings that are being started."""
OPENED_SECONDS = 2.0
"""After so long everything has been imported."""
mend()


def _bench() -> Screen[None]:
    from tui.screens.bench import BenchScreen

    return BenchScreen()


def _runs() -> Screen[None]:
    from tui.screens.runs import RunsScreen

    return RunsScreen()


def _compare() -> Screen[None]:
    from tui.screens.compare import CompareScreen

    return CompareScreen()


def _episode() -> Screen[None]:
    from tui.screens.episode import EpisodeScreen

    return EpisodeScreen()


class Workbench(Themed[int], Presence[int], GreyedKeys[int], OrderedKeys[int], Sparing[int]):
    """`kshot` on a terminal. Screens read `snapshot`; what changes a run goes through `ask_off_loop`."""

    CSS_PATH = Path(__file__).with_name("theme.tcss")
    TITLE = "kshot"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {
        "bench": _bench,
        "runs": _runs,
        "compare": _compare,
        "episode": _episode,
    }
    DEFAULT_MODE = "bench"
    BINDINGS: ClassVar[list[BindingType]] = place("everywhere", EVERYWHERE)
    AT_ONCE = frozenset(key.keys for key in EVERYWHERE if key.priority)
    ANY_TIME = frozenset(key.keys for key in EVERYWHERE)

    class Pictured(Message):
        """The reader has taken a new picture; of several waiting ones only the newest is drawn."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

        def can_replace(self, message: Message) -> bool:
            # A fault that one picture tells must not be passed over.
            return isinstance(message, Workbench.Pictured) and self.snapshot.error in (
                None,
                message.snapshot.error,
            )

    class Refused(Message):
        """What was to be begun cannot be, in a sentence."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Done(Message):
        """A request on files was carried out: what it says, and what is to be done next."""

        def __init__(self, said: str | None, then: Callable[[], object] | None) -> None:
            super().__init__()
            self.said, self.then = said, then

    def __init__(self, runs_dir: Path, data_dir: Path) -> None:
        # Without colours Textual sends none only if it may use the terminal's own.
        super().__init__(ansi_color=without_colour())
        self.runs_dir, self.data_dir = runs_dir, data_dir
        self.snapshot = Snapshot()
        self.run_in_focus: str | None = None
        """The run, by id, that the other screens show: what was last opened, or begun."""
        self.laid_over: tuple[str, ...] = ()
        """Runs, by id, that Bench lays over each other, where several were opened together."""
        self.beginnings = Beginnings(runs_dir, data_dir)
        self._faults_told, self._session_told = FaultsTold(), FaultsTold()
        self.take_up_themes()

    @cached_property
    def reader(self) -> "Reader":
        """Takes the pictures. What it reads with is not imported before the first frame."""
        from tui.reader import Reader

        return Reader(self.runs_dir, lambda picture: self.post_message(self.Pictured(picture)))

    def on_load(self) -> None:
        use_abandonable_threads(asyncio.get_running_loop())

    def on_mount(self) -> None:
        self.set_interval(TERMINAL_LOOK_SECONDS, self._look_for_terminal)
        self.call_after_refresh(self._begin_looking)

    def _begin_looking(self) -> None:
        """After the first frame."""
        self.reader.start()
        self.remember_closing()
        self.set_timer(OPENED_SECONDS, _collect_garbage_again)

    def _look_for_terminal(self) -> None:
        """A process whose terminal has gone must end, not spin."""
        if not self.is_headless and is_gone():
            self.exit(return_code=LOST_TERMINAL)

    def on_workbench_pictured(self, message: Pictured) -> None:
        """Hands a new picture to the screen that is shown; its fault is told, wherever one is."""
        self.snapshot = message.snapshot
        session = self.snapshot.session
        for told, fault in (
            (self._faults_told, self.snapshot.error),
            (self._session_told, session.error if session is not None else None),
        ):
            if told.is_news(fault):
                self.complain(fault or "")
        # A picture may still wait while the app ends.
        if self.screen_stack and isinstance(self.screen, PlaceScreen):
            self.screen.refresh_picture()
            self.show_absence()

    async def on_unmount(self) -> None:
        if "reader" in vars(self):  # it has been asked for
            self.reader.end()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self.note_presence), LEAVING_SECONDS)

    def action_go(self, mode: str) -> None:
        """Another screen; or, from what was opened over it, back to the one that is the place itself."""
        if not isinstance(self.screen, PlaceScreen):
            return
        if self.current_mode != mode:
            self.switch_mode(mode)
        else:
            for _ in self.screen_stack[1:]:
                self.pop_screen()

    def open_run(self, run_id: str, mode: str = "bench") -> None:
        """Looks at one run on another screen."""
        self.run_in_focus, self.laid_over = run_id, ()
        self.reader.watch([run_id])
        self.action_go(mode)

    def open_together(self, run_ids: Sequence[str]) -> None:
        """Lays several runs of one task over each other on Bench; the first is the one in focus."""
        self.run_in_focus, self.laid_over = run_ids[0], tuple(run_ids)
        self.reader.watch(run_ids)
        self.action_go("bench")

    def begin(self, what: Sequence[str], options: "Options") -> Unbroken:
        """Starts a task's algorithms (or a comparison) in the background; what is wrong becomes a notice."""

        def follow(session: "Session") -> None:
            self.reader.follow(session)

        return self.beginnings.begin(
            what, options, follow, lambda text: self._post_from_thread(self.Refused(text))
        )

    def on_workbench_refused(self, message: Refused) -> None:
        """Says what could not be begun, or done."""
        self.beginnings.was_told(message.text)
        self.complain(message.text)

    def trainings_under_way(self) -> int:
        """How many trainings go on without the app: by the newest picture, or counted anew where there is
        none, or something was asked that it may not show yet."""
        if not self.snapshot.taken or self.beginnings.asked:
            from engine.runs import list_runs

            with contextlib.suppress(RequestError, OSError):
                return sum(run.status.alive for run in list_runs(self.runs_dir))
        return len(self.snapshot.under_way())

    def ask_off_loop(self, request: Request, then: Callable[[], object] | None = None) -> None:
        """Makes a request on files off the event loop, which leaving waits for; the sentence it returns, or
        its fault, is shown. `then` is called on the loop where there was no fault."""
        self.beginnings.request(
            request,
            lambda said: self._post_from_thread(self.Done(said, then)),
            lambda text: self._post_from_thread(self.Refused(text)),
        )

    def _post_from_thread(self, message: Message) -> None:
        with contextlib.suppress(RuntimeError):  # the app has been left
            self.post_message(message)

    def on_workbench_done(self, message: Done) -> None:
        """Says what was done, and looks at what that changed."""
        if message.said:
            self.tell(message.said)
        if message.then is not None:
            message.then()
        self.reader.look()

    def tell(self, text: str) -> None:
        """A notice that goes away by itself."""
        self.notify(plain(text), markup=False)

    def complain(self, text: str) -> None:
        """A fault in one sentence."""
        self.notify(plain(text), severity="error", timeout=12, markup=False)

    def _handle_exception(self, error: Exception) -> None:
        """A fault in a thread is told, and the app goes on: nothing is drawn there. On the event loop one
        ends the app, since nobody knows then what the screen shows."""
        if isinstance(error, WorkerFailed):
            from tui.reader import in_one_sentence

            self.complain(in_one_sentence(error.error))
        else:
            super()._handle_exception(error)

    def action_leave(self) -> None:
        """Leaves, and says on the way out what goes on without the app."""
        self.exit(0)

    def action_theme(self) -> None:
        """The next colour theme."""
        self.theme = after(self.theme)
        self.tell(f"theme {self.theme}")

    def action_help(self) -> None:
        """The keys of this place."""
        from tui.screens.help import HelpScreen

        place_name = self.screen.PLACE if isinstance(self.screen, PlaceScreen) else ""
        self.push_screen(HelpScreen(place_name))

    def action_command_palette(self) -> None:
        """Every function by name."""
        from tui.palette import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

    def action_copy(self) -> None:
        """Copies what the focused widget or the screen offers as text."""
        for node in (self.focused, self.screen):
            offer = getattr(node, "text_to_copy", None)
            offered = offer() if callable(offer) else None
            text, said = offered if isinstance(offered, Offer) else (offered, "")
            if text:
                self.copy_to_clipboard(text)
                lines = f"copied {len(text.splitlines()):,} lines" if "\n" in text else f"copied: {text}"
                self.tell(said or lines)
                return
        self.tell("there is nothing to copy here")


def _collect_garbage_again() -> None:
    """What was made up to now mostly stays, and is not looked through any more; each frame makes thousands of
    objects that go by themselves."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def run_workbench(runs_dir: Path, data_dir: Path) -> int:
    """Runs the app until it is left; returns its exit code and says what goes on without it."""
    prepare()
    # Looking for garbage, of which there is little yet, would only hold up the first frame.
    gc.disable()
    app = Workbench(runs_dir, data_dir)
    app.run()
    from tui.output import say

    app.beginnings.wait(BEGINNING_SECONDS, say)
    under_way = app.trainings_under_way()
    if under_way:
        plural = "s go" if under_way > 1 else " goes"
        say(f"{under_way} training{plural} on; kshot runs watch RUN follows one, kshot shows them again")
    return app.return_code or 0
