"""What the command line asks of runs: of all that are named, or of none where one is in no state for it."""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from tui.output import say

if TYPE_CHECKING:
    from engine.runs import Run


def distinct(runs: "Iterable[Run]") -> "list[Run]":
    """The runs, each once."""
    return list({run.id: run for run in runs}.values())


def ask_each(runs: "Sequence[Run]", word: str) -> None:
    """Asks runs to stop or pause after a checkpoint, and says so; nothing where one cannot be asked."""
    from engine.runs import ask, read_status
    from engine.runs.processes import stop_paused
    from engine.runs.status import LIVE

    for run in runs:
        check_state(run, LIVE | {"paused"} if word == "stop" else LIVE, word)
    for run in runs:
        if read_status(run).state == "paused":
            stop_paused(run)
            say(f"{run.id}: stopped")
        else:
            ask(run, word)
            say(f"{run.id}: asked to {word} after a checkpoint")


def check_state(run: "Run", states: Collection[str], word: str) -> None:
    """Refuses the whole request before anything is done when one run is in no state for it. RequestError."""
    from engine.errors import RequestError
    from engine.runs import asked, read_status
    from engine.runs.status import LIVE

    state = read_status(run).state
    if state not in states:
        if word == "resume" and state in LIVE and asked(run) & {"stop", "pause"}:
            raise RequestError(
                f"run {run.id} is about to {'stop' if 'stop' in asked(run) else 'pause'}; "
                "try again in a moment, once it has"
            )
        if word == "remove" and state in LIVE:
            raise RequestError(f"run {run.id} is {state}; stop it first: kshot runs stop {run.id}")
        if word == "resume" and state in LIVE:
            raise RequestError(
                f"second writer: run {run.id} is {state} already; kshot runs watch {run.id} follows it"
            )
        raise RequestError(f"run {run.id} is {state}; there is nothing to {word}")
