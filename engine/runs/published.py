"""Ours beside a published figure: what the source's ± is, and a verdict on the two.

The verdict is `agrees` where the 95 % interval of the difference, made of both intervals, contains zero,
else `above` or `below`; `no interval` where the source or we have none; `not comparable`, with `reasons`,
where the figures are not of one protocol: another split, ensemble, network, source of batch statistics, or
images that are not as they were published.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import hypot, sqrt
from pathlib import Path
from typing import Any

from engine.statistics import seed_quantile

Entry = Mapping[str, Any]


def beside(figure: Entry, after: Entry | None, card: Entry, facts: Entry | None = None) -> dict[str, Any]:
    """The published figure {value, ci95, source} with what is known of its source, and ours beside it.

    `after` is ours {mean, ci95, low, high}, `card` its protocol card; `facts` are the source's, by default
    those of presets/sources.yaml. Added: `plus_minus`, what the source's ± is (None without one); `protocol`;
    `difference` (ours minus theirs); `verdict` and `reasons`; no verdict without a figure of ours.
    """
    known = facts_of(str(figure["source"])) if facts is None else facts
    width, told = _half_width(figure.get("ci95"), known)
    found = {**figure, "plus_minus": told, "protocol": known.get("protocol")}
    if after is None or after["mean"] is None:
        return found | {"difference": None, "verdict": None, "reasons": []}
    mean = after["mean"] - figure["value"]
    low, high = ends(after) or (None, None)
    difference: dict[str, Any] = {"mean": mean, "ci95": None}
    if width is not None and low is not None and high is not None:
        below, above = hypot(after["mean"] - low, width), hypot(high - after["mean"], width)
        difference |= {"ci95": (below + above) / 2, "low": mean - below, "high": mean + above}
    reasons = unlike(known, card)
    verdict = "not comparable" if reasons else _verdict(difference)
    return found | {"difference": difference, "verdict": verdict, "reasons": reasons}


def ends(entry: Entry | None) -> tuple[float, float] | None:
    """The ends of an entry's 95 % interval; None without one."""
    if entry is None or entry["mean"] is None or entry["ci95"] is None:
        return None
    if entry.get("low") is not None and entry.get("high") is not None:
        return entry["low"], entry["high"]
    return entry["mean"] - entry["ci95"], entry["mean"] + entry["ci95"]


def unlike(facts: Entry, card: Entry) -> list[str]:
    """Why a source's figures and a result of that card are not comparable; nothing where they are."""
    reasons = []
    ensemble, model = facts.get("ensemble"), card.get("model")
    theirs = f"ensemble of {ensemble}" if ensemble else "single"
    if model and model != theirs:
        reasons.append(f"{theirs} there, {model} here")
    statistics = card.get("statistics")
    if facts.get("statistics") and statistics and statistics != facts["statistics"]:
        reasons.append(f"batch statistics: {facts['statistics']} there, {statistics} here")
    split, dataset = facts.get("split"), str(card.get("dataset"))
    there = split.get(dataset) if isinstance(split, Mapping) else None
    ours = str(card.get("split", "")).partition(" ")[0]
    if there and ours and ours != there:
        reasons.append(f"split {there} there, {ours} here")
    network, here = facts.get("network"), str(card.get("network", ""))
    if network and here and here.partition(",")[0] != network:
        reasons.append(f"{network} there, {here} here")
    if card.get("copy"):
        reasons.append(f"our images: {card['copy']}")
    return reasons


def facts_of(source: str) -> Entry:
    """What is known of that source; nothing where nothing is."""
    known = _sources()
    found = known.get(source) or known.get(source.partition(",")[0])
    return found if isinstance(found, Mapping) else {}


@lru_cache(maxsize=1)
def _sources() -> Mapping[str, Any]:
    from engine.presets.files import SHIPPED
    from engine.presets.source import read_file

    content = read_file(Path(SHIPPED) / "sources.yaml").content
    return content if isinstance(content, Mapping) else {}


def _half_width(printed: Any, facts: Entry) -> tuple[float | None, str | None]:
    """The half-width of a figure's 95 % interval, and what its ± is in words."""
    if printed is None:
        return None, None
    if facts.get("interval") == "tasks":
        return float(printed), "95 % interval over test tasks"
    seeds = facts.get("seeds")
    if facts.get("interval") == "seeds" and isinstance(seeds, int) and seeds > 1:
        # A deviation of few trainings: their mean's interval is wider.
        return seed_quantile(seeds) * printed / sqrt(seeds), f"deviation over {seeds} seeds"
    return float(printed), "of unknown kind, taken as a 95 % interval"


def _verdict(difference: Entry) -> str:
    if difference["ci95"] is None:
        return "no interval"
    if difference["low"] <= 0 <= difference["high"]:
        return "agrees"
    return "above" if difference["mean"] > 0 else "below"
