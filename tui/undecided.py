"""Why a difference is undecided, and what would decide it, in words."""

from collections.abc import Callable, Mapping
from typing import Any

from engine.runs.settling import rounded

Ask = Callable[[int], str]
"""The key that asks for that many episodes, to stand behind them; nothing where there is none."""


def cannot_tell(difference: Mapping[str, Any], ask: Ask = lambda episodes: "") -> str:
    """`600 episodes cannot tell these apart; about 4,000 would`, of an undecided paired difference."""
    return f"{_over(difference)} cannot tell these apart{what_would(difference, ask)}"


def what_would(difference: Mapping[str, Any], ask: Ask = lambda episodes: "") -> str:
    """`; about 4,000 would`: how many episodes or seeds would decide it, or which are worth adding."""
    wanted = difference.get("to_settle") or {}
    episodes, seeds = wanted.get("episodes"), wanted.get("seeds")
    if difference["over"] == "episodes":
        return f"; about {rounded(episodes):,} would{ask(rounded(episodes))}" if episodes else ""
    if wanted.get("worth_adding") == "episodes":
        about = f"about {rounded(episodes):,} episodes would" if episodes else None
        return f"; {about or 'more episodes are worth adding'}"
    more = seeds is not None and seeds > difference.get("seeds", 0)
    return f"{f'; about {seeds:,} would' if more else ''}; seeds, not episodes, are worth adding"


def _over(difference: Mapping[str, Any]) -> str:
    seeds, episodes = difference.get("seeds", 1), difference.get("episodes", 0)
    if difference["over"] == "episodes":
        return f"{episodes:,} episodes"
    told = (difference.get("to_settle") or {}).get("worth_adding") == "episodes"
    return f"{seeds} seeds of {episodes:,} episodes" if told else f"{seeds} seeds"
