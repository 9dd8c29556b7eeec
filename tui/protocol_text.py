"""A protocol in words: how figures were tested, and what their intervals are over."""

from collections.abc import Mapping, Sequence
from typing import Any

METHODS = {"bootstrap-t": "bootstrap-t", "t": "Student's t", "bootstrap": "bootstrap over seeds and episodes"}
CODE = ("version", "numerics", "engine")
"""A protocol's keys that say which code tested."""
ELSEWHERE = ("episodes", "queries_sharing", *CODE)
"""Keys that are told with others."""
STATISTICS = {
    "query": "batch statistics over all queries",
    "support": "batch statistics of the support set",
    "one": "batch statistics of the support set and one query at a time",
}
SAID = {
    "budget": "{} budget",
    "model": "{} model",
    "copy": "copy of the images: {}",
    "trained_by": "training {}",
}
ONE = {"ways": "way", "shots": "shot", "queries": "query"}
"""A protocol's counts, with the word for one."""
Table = Mapping[str, Any]


def protocol_line(table: Table) -> str:
    """How all rows were tested, and what their intervals are over."""
    return "Protocol: " + "; ".join([*protocol_parts(table["protocol"]), *_intervals(table)])


def _intervals(table: Table) -> list[str]:
    means = over_what([row["after"] for row in table["rows"] if row["after"] is not None])
    paired = over_what([row["vs_baseline"] for row in table["rows"] if row["vs_baseline"]])
    if not paired:
        return [means] if means else []
    also = f", {paired}" if paired != means else ""
    return [means, f"differences paired episode by episode{also}"]


def over_what(entries: Sequence[Mapping[str, Any]]) -> str:
    """`± 95 % interval over test episodes`: what the intervals of these entries are over, and how they are
    made where they are not mean ± 1.96 standard errors; nothing for no entries."""
    over = {entry.get("over") for entry in entries}
    if not over:
        return ""
    several = "over training seeds" + (", of one seed over test episodes" if len(over) > 1 else "")
    methods = [word for method, word in METHODS.items() if any(e.get("method") == method for e in entries)]
    how = f" ({', '.join(methods)})" if methods else ""
    return f"± 95 % interval {several if 'seeds' in over else 'over test episodes'}{how}"


def protocol_parts(protocol: Mapping[str, Any]) -> list[str]:
    """A protocol as readable pieces; keys that it may hold and this does not know are shown as they are."""
    parts = [
        _part(key, value, protocol)
        for key, value in protocol.items()
        if not (value is None or value is False or value == "" or key in ELSEWHERE)
    ]
    code = [f"{name.replace('version', 'kshot')} {protocol[name]}" for name in CODE if protocol.get(name)]
    return [*parts, *([f"code: {', '.join(code)}"] if code else [])]


def _part(key: str, value: Any, protocol: Mapping[str, Any]) -> str:
    if key == "statistics":
        said = STATISTICS.get(str(value), f"batch statistics: {value}")
        sharing = protocol.get("queries_sharing") if value == "query" else None
        return f"{said}, {sharing} a task" if sharing else said
    if key == "seeds":
        return f"seed{'s' if len(value) > 1 else ''} {', '.join(map(str, value))}"
    if key in ONE:
        return f"{value} {ONE[key] if value == 1 else key}"
    if key in SAID:
        return SAID[key].format(value)
    name = key.replace("_", " ")
    if value is True:
        return name
    return f"{name} {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
