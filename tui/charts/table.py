"""Curves as tab-separated text."""

from collections.abc import Sequence

import numpy as np

from tui.charts.axes import Range
from tui.charts.decimation import Floats
from tui.charts.series import Series
from tui.offers import MOST_ROWS, Offer


def as_table(curves: Sequence[Series], x: Range, x_label: str, most: int = MOST_ROWS) -> Offer:
    """One line for each x inside the range, a column for each curve (and its band's two); gaps are empty.

    Where there are more than `most` of them, evenly spaced points of each curve.
    """
    names: list[str] = []
    columns: list[tuple[Floats, Floats]] = []
    for curve in curves:
        inside = (curve.x >= x[0]) & (curve.x <= x[1])
        for suffix, values in (("", curve.y), (" low", curve.low), (" high", curve.high)):
            if values is not None:
                names.append(curve.name + suffix)
                known = inside & np.isfinite(values)
                columns.append((curve.x[known], values[known]))
    total, said = _rows(columns), ""
    if total > most:
        columns = [_spread(*column, max(2, most // len(columns))) for column in columns]
        said = f"copied {_rows(columns):,} rows of {total:,}, evenly spaced"
    found = [dict(zip(at.tolist(), values.tolist(), strict=True)) for at, values in columns]
    lines = ["\t".join([x_label or "x", *names])]
    lines += [
        "\t".join([f"{at:.10g}", *(f"{column[at]:.10g}" if at in column else "" for column in found)])
        for at in sorted({at for column in found for at in column})
    ]
    return Offer("\n".join(lines) if len(lines) > 1 else "", said)


def _rows(columns: Sequence[tuple[Floats, Floats]]) -> int:
    """How many different x the columns have."""
    return len(np.unique(np.concatenate([at for at, _ in columns]))) if columns else 0


def _spread(at: Floats, values: Floats, most: int) -> tuple[Floats, Floats]:
    """The first, the last and evenly spaced points between them."""
    if len(at) <= most:
        return at, values
    chosen = np.linspace(0, len(at) - 1, most).round().astype(np.intp)
    return at[chosen], values[chosen]
