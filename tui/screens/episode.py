"""The episode screen: one test task under the microscope, adaptation step by step."""

from functools import partial
from random import randrange

from textual import work
from textual.app import ComposeResult
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from engine.runs import Run
from tui.episode.asking import Told, ask
from tui.episode.body import EpisodeBody, Shown
from tui.episode.choosing import Pair, next_algorithm, pair
from tui.episode.keys import KEYS
from tui.keys import place
from tui.output import plain
from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot

MOST_DIGITS = 12
PLAY_SECONDS, PATIENCE_SECONDS = 0.7, 0.5
NO_RUNS = "There is no finished run yet. On 1, g starts one; its test tasks can be looked at here then."


class EpisodeScreen(PlaceScreen):
    """One episode, under the run in focus and under the baseline."""

    PLACE = "episode"
    BINDINGS = place("episode", KEYS)
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    EpisodeScreen #episode-wait { height: auto; color: $warning; }
    EpisodeScreen #episode-go { height: 3; display: none; border: round $accent;
        border-subtitle-color: $foreground; background: $background; }
    EpisodeScreen EpisodeBody { height: 1fr; }
    """

    class Heard(Message):
        """Something is known of an answer; `asked` is which asking it belongs to."""

        def __init__(self, asked: int, told: Told) -> None:
            super().__init__()
            self.asked, self.told = asked, told

    def __init__(self) -> None:
        super().__init__()
        self.pair: Pair | None = None
        self.number, self.episodes = 0, 0
        self.step = 0
        self.hardest: tuple[int, ...] = ()
        self._picked: str | None = None
        self._picked_under: str | None = None
        self._wanted: str | None = None
        self._asked = 0
        self._told: dict[str, Told] = {}
        self._shown: dict[str, Shown] = {}
        self._patient, self._after_first = False, True
        self._hard: int | None = None
        self._player: Timer | None = None

    def compose_body(self) -> ComposeResult:
        yield Static("", id="episode-wait", markup=False)
        yield Input(id="episode-go", type="integer")
        yield EpisodeBody()

    @property
    def body(self) -> EpisodeBody:
        """What is shown of the answers."""
        return self.query_one(EpisodeBody)

    def on_mount(self) -> None:
        self.body.display = False

    # What is asked.

    def draw(self, snapshot: Snapshot) -> None:
        """Asks anew when the runs to look at are others than before."""
        focus = self.workbench.run_in_focus
        if focus != self._picked_under:
            self._picked, self._picked_under = None, focus
        wanted = self._picked or focus
        found = pair(snapshot, wanted, self.pair if wanted == self._wanted else None)
        self._wanted = wanted
        if found is None:
            self.pair = None
            self._wait(NO_RUNS)
            return
        if self.pair is None or found.ids != self.pair.ids:
            other_task = self.pair is None or found.focus.task != self.pair.focus.task
            self.pair, self.hardest = found, ()
            self.go_to(0 if other_task else self.number)

    def go_to(self, number: int) -> None:
        """Asks for an episode of the test part; what is shown stays until the answer is there."""
        if self.pair is not None:
            self.number = number % self.episodes if self.episodes else number
            self._asked += 1
            self._told = {}
            self._patient = bool(self._shown)
            if self._patient:
                self.set_timer(PATIENCE_SECONDS, partial(self._lose_patience, self._asked))
            self._ask(self.pair, self.number, self._asked)
            self._take_up()

    @work(thread=True, exclusive=True, group="episode")
    def _ask(self, asked: Pair, number: int, serial: int) -> None:
        runs = [summary.run for summary in asked.runs]
        worker = get_current_worker()

        def tell(told: Told) -> None:
            self.post_message(self.Heard(serial, told))

        ask(runs, number, self.workbench.data_dir, tell, lambda: worker.is_cancelled)

    def on_episode_screen_heard(self, message: Heard) -> None:
        """Takes up an answer, or says what is being done for it."""
        told = message.told
        if message.asked != self._asked or self.pair is None:
            return
        self._told[told.run_id] = told
        if told.run_id == self.pair.focus.id:
            self.hardest, self.episodes = told.hardest, told.episodes or self.episodes
        self._take_up()

    def _lose_patience(self, asked: int) -> None:
        if asked == self._asked:
            self._patient = False
            self._take_up()

    def _take_up(self) -> None:
        """Shows the answers that are there and says what is missing; for a moment after a question both wait,
        so that a quick answer replaces the one before in one go."""
        ids = self.pair.ids if self.pair is not None else ()
        done = all(run_id in self._told and not self._told[run_id].phase for run_id in ids)
        if self._patient and not done:
            return
        answers = {run_id: told.answer for run_id, told in self._told.items() if told.answer is not None}
        if ids and ids[0] in answers and answers != self._shown:
            self._shown = answers
            if self.step not in self._steps() or self._after_first:
                first = answers[ids[0]]
                self.step, self._after_first = first.steps[first.after], False
            self._redraw()
        self._say_waiting()
        self.refresh_bindings()

    # What is shown.

    def _list(self) -> list[Shown]:
        ids = self.pair.ids if self.pair is not None else ()
        found = [self._shown[run_id] for run_id in ids if run_id in self._shown]
        return [each for each in found if type(each) is type(found[0])]

    def _steps(self) -> list[int]:
        return sorted({step for shown in self._list() for step in shown.steps})

    def _say_waiting(self) -> None:
        lines = []
        for summary in self.pair.runs if self.pair is not None else ():
            told = self._told.get(summary.id)
            if told is None or told.phase:
                words = told.phase if told is not None else "asking"
                lines.append(f"{summary.algorithm}, episode {self.number + 1:,}: {words}")
            elif told.error is not None:
                lines.append(f"{summary.algorithm}, episode {self.number + 1:,}: {told.error}")
        self._wait("\n".join(lines))

    def _wait(self, text: str) -> None:
        waiting = self.query_one("#episode-wait", Static)
        waiting.update(plain_lines(text))
        waiting.display = bool(text)

    def _redraw(self) -> None:
        shown = self._list()
        self.body.display = bool(shown)
        self.body.show(shown, self.step, self.episodes)
        self.refresh_bindings()

    def draw_anew(self) -> None:
        self._redraw()

    def text_to_copy(self) -> str:
        """The episode's figures as text."""
        return self.body.as_text()

    @property
    def run_to_read(self) -> Run | None:
        return self.pair.focus.run if self.pair is not None else None

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys what is impossible now."""
        if action in ("step", "play"):
            return True if len(self._steps()) > 1 else None
        if action in ("episode", "random", "ask_number"):
            return True if self.pair is not None else None
        if action == "log":
            return True if self.run_to_read is not None else None
        if action == "hardest":
            return True if self.hardest else None
        if action == "pick_query":
            return True if self.body.images else None
        if action == "algorithm":
            return True if self._next_algorithm() is not None else None
        return True

    def action_step(self, by: int) -> None:
        """To another recorded inner step; playing ends."""
        self._stop()
        self._move(by)

    def _move(self, by: int) -> bool:
        steps = self._steps()
        if not steps:
            return False
        at = max((place for place, step in enumerate(steps) if step <= self.step), default=0)
        to = max(0, min(len(steps) - 1, at + by))
        self.step = steps[to]
        self._redraw()
        return to != at

    def action_play(self) -> None:
        """Plays the steps from here, or from the first when at the last."""
        if self._player is not None:
            self._stop()
            return
        steps = self._steps()
        if steps and self.step == steps[-1]:
            self.step = steps[0]
            self._redraw()
        self._player = self.set_interval(PLAY_SECONDS, self._play_on)

    def _play_on(self) -> None:
        if not self._move(1):
            self._stop()

    def _stop(self) -> None:
        if self._player is not None:
            self._player.stop()
            self._player = None

    def action_episode(self, by: int) -> None:
        """The next or the previous episode."""
        self.go_to(self.number + by)

    def action_hardest(self) -> None:
        """The episode with the worst result after adaptation; again: the next worst."""
        again = self._hard == self.number
        at = self.hardest.index(self.number) + 1 if again and self.number in self.hardest else 0
        self.go_to(self.hardest[at % len(self.hardest)])
        self._hard = self.number

    def action_random(self) -> None:
        """Any episode."""
        self.go_to(randrange(self.episodes or 600))

    def action_ask_number(self) -> None:
        """Opens the line for an episode's number."""
        line = self.query_one("#episode-go", Input)
        line.placeholder = f"episode 1 to {self.episodes:,}" if self.episodes else "episode number"
        line.border_subtitle = "enter goes there, esc puts the line away"
        line.value, line.display = "", True
        line.focus()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Goes to the number that was written."""
        digits = message.value[: MOST_DIGITS + 1]  # Python refuses to read thousands
        number = int(digits) if digits.isdecimal() and len(digits) <= MOST_DIGITS else 0
        self.action_close_line()
        if number >= 1:
            self.go_to(min(number, self.episodes or number) - 1)

    def action_close_line(self) -> None:
        """Puts the line away."""
        self.query_one("#episode-go").display = False
        self.set_focus(None)

    def action_pick_query(self, by: int) -> None:
        """The next or the previous query."""
        self.body.pick_query(by)

    def action_scroll_body(self, by: int) -> None:
        """Scrolls what does not fit."""
        self.body.scroll_panels(by)

    def action_algorithm(self) -> None:
        """The next algorithm that this task was learned by."""
        found = self._next_algorithm()
        if found is not None:
            self._picked = found
            self.draw(self.workbench.snapshot)

    def _next_algorithm(self) -> str | None:
        return next_algorithm(self.workbench.snapshot, self.pair.focus) if self.pair is not None else None


def plain_lines(text: str) -> str:
    """Lines of text without control characters."""
    return "\n".join(plain(line) for line in text.split("\n"))
