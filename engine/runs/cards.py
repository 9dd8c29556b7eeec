"""The protocol card: what a figure rests on besides its algorithm, so that no two are compared unawares.

A card is made from a result's file. What all rows of a table agree on stands once, in its protocol; rows
whose cards differ in something that matters say in what (`differs`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from engine.runs.files import plain

Card = Mapping[str, Any]

MATTERS = {
    "dataset": "data set",
    "split": "split",
    "images": "images",
    "copy": "copy of the images",
    "ways": "ways",
    "shots": "shots",
    "queries": "queries",
    "episodes": "test episodes",
    "evaluation_seed": "evaluation seed",
    "network": "network",
    "model": "model",
    "checkpoint": "checkpoint",
    "budget": "budget",
    "precision": "precision of training",
    "numerics": "version of the numerics",
    "trained_by": "training",
}
"""The card's keys in which rows of one table should agree, with their words. Steps and training ways are an
algorithm's own, and batch statistics have a column where they differ."""
UNTRAINED = "as initialised"
ABSENT = {"copy": "as published", "trained_by": "by this one", "precision": "full"}
"""What it means where a card says nothing of these; of the others nothing was recorded."""
_ABOUT_IMAGES = ("recompressed", "unknown copy", "images a class")


def card_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol card of a result, less its training seed, which stands beside it."""
    protocol = {key: value for key, value in result.get("protocol", {}).items() if key != "seed"}
    if protocol.pop("normalised", True) is False:
        protocol["statistics"] = None
    found = {"split": _split(result), **protocol}
    digest = result.get("images_hash")
    found |= {
        "images": str(digest)[:8] if digest else None,
        "copy": "; ".join(copy_notes(result)) or None,
        "queries_sharing": _sharing(protocol),
        "tuning": _tuning(result.get("chosen")),
    }
    return {key: value for key, value in found.items() if value is not None}


def copy_notes(result: Mapping[str, Any]) -> list[str]:
    """What of a result's images is not, or not known to be, as published: recompressed, or fewer of them."""
    notes = result.get("notes")
    told = [plain(note, 80) for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    return [note for note in told if any(word in note for word in _ABOUT_IMAGES)]


def shared(cards: Sequence[Card]) -> dict[str, Any]:
    """The keys on which all the cards agree, in the first one's order."""
    if not cards:
        return {}
    return {
        key: value
        for key, value in cards[0].items()
        if all(key in other and other[key] == value for other in cards[1:])
    }


def differences(cards: Sequence[Sequence[Card]], baseline: int | None) -> list[list[dict[str, str]]]:
    """In what each row's cards [rows][seeds] differ from the others', as `what`, `here`, `others`.

    Against what most rows have; where as many have one thing as another, against the row at `baseline`.
    """
    found: list[list[dict[str, str]]] = [[] for _ in cards]
    for key, word in MATTERS.items():
        values = [_values(each, key) for each in cards]
        told = [value for value in values if value is not None]
        usual = _usual(told, values[baseline] if baseline is not None else None)
        for row, value in zip(found, values, strict=True):
            if value is None or usual is None:
                continue
            if value != usual or len(value) > 1:
                others = ", ".join(usual) if value != usual else ""
                row.append({"what": word, "here": ", ".join(value), "others": others})
    return found


def _values(cards: Sequence[Card], key: str) -> tuple[str, ...] | None:
    """What the cards of a row's seeds say there, each once; None where that says nothing."""
    if not cards or (key == "checkpoint" and all(card.get(key) == UNTRAINED for card in cards)):
        return None
    return tuple(dict.fromkeys(str(card.get(key, ABSENT.get(key, "not recorded"))) for card in cards))


def _usual(values: Sequence[tuple[str, ...]], reference: tuple[str, ...] | None) -> tuple[str, ...] | None:
    counts = Counter(values)
    most = max(counts.values(), default=0)
    usual = [value for value, count in counts.items() if count == most]
    if reference in usual:
        return reference
    return usual[0] if usual else None


def _split(result: Mapping[str, Any]) -> str | None:
    return f"{result['split']} ({result['split_hash'][:5]})" if result.get("split") else None


def _sharing(protocol: Mapping[str, Any]) -> int | None:
    """How many queries share the batch statistics of a test: all of a task, or each alone."""
    ways, queries = protocol.get("ways", 1), protocol.get("queries")
    if protocol.get("statistics") == "query" and isinstance(ways, int) and isinstance(queries, int):
        return ways * queries
    return 1 if protocol.get("statistics") == "one" else None


def _tuning(chosen: Any) -> str | None:
    """How much was tried on validation for a row's test, where anything was."""
    if not isinstance(chosen, Mapping) or not chosen.get("tried"):
        return None
    tried = chosen["tried"]
    return f"{tried} {'try' if tried == 1 else 'tries'} on {chosen.get('episodes', '?')} validation episodes"
