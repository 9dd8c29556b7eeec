"""A protocol in words: how figures were tested, and what their intervals are over."""

from collections.abc import Mapping, Sequence
from typing import Any

METHODS = {"bootstrap-t": "bootstrap-t", "t": "Student's t", "bootstrap": "bootstrap over seeds and episodes"}
CODE = ("version", "numerics", "engine")
"""A protocol's keys that say which code tested."""
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
    statistics = {
        "query": "batch statistics over all queries",
        "support": "batch statistics of the support set",
        "one": "batch statistics of the support set and one query at a time",
    }
    parts = []
    for key, value in protocol.items():
        if value is None or value == "" or key in ("episodes", "queries_sharing", *CODE):
            continue
        name = key.replace("_", " ")
        if key == "statistics":
            said = statistics.get(str(value), f"batch statistics: {value}")
            sharing = protocol.get("queries_sharing") if value == "query" else None
            parts.append(f"{said}{f', {sharing} a task' if sharing else ''}")
        elif key == "seeds":
            seeds = ", ".join(str(seed) for seed in value)
            parts.append(f"seed{'s' if len(value) > 1 else ''} {seeds}")
        elif key == "budget":
            parts.append(f"{value} budget")
        elif key in ("ways", "shots", "queries"):
            parts.append(
                f"{value} {name if value != 1 else name.removesuffix('s').replace('querie', 'query')}"
            )
        elif key == "model":
            parts.append(f"{value} model")
        elif key == "copy":
            parts.append(f"copy of the images: {value}")
        elif key == "trained_by":
            parts.append(f"training {value}")
        elif value is True:
            parts.append(name)
        elif value is not False:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            parts.append(f"{name} {shown}")
    code = [f"{name.replace('version', 'kshot')} {protocol[name]}" for name in CODE if protocol.get(name)]
    return [*parts, *([f"code: {', '.join(code)}"] if code else [])]
