"""Curves as tab-separated text."""

from collections.abc import Sequence

import numpy as np

from tui.charts.axes import Range
from tui.charts.series import Series


def as_table(curves: Sequence[Series], x: Range, x_label: str) -> str:
    """One line for each x inside the range, a column for each curve (and its band's two); gaps are empty."""
    names: list[str] = []
    columns: list[dict[float, float]] = []
    for curve in curves:
        inside = (curve.x >= x[0]) & (curve.x <= x[1])
        for suffix, values in (("", curve.y), (" low", curve.low), (" high", curve.high)):
            if values is None:
                continue
            names.append(curve.name + suffix)
            pairs = zip(curve.x[inside].tolist(), values[inside].tolist(), strict=True)
            columns.append({at: value for at, value in pairs if np.isfinite(value)})
    lines = ["\t".join([x_label or "x", *names])]
    lines += [
        "\t".join([f"{at:.10g}", *(f"{column[at]:.10g}" if at in column else "" for column in columns)])
        for at in sorted({at for column in columns for at in column})
    ]
    return "\n".join(lines) if len(lines) > 1 else ""
