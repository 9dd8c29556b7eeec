"""Training time: when each record was made on a clock that stands still while a run was paused or gone."""

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]

GAP_SECONDS = 60.0
"""Longer than this, and 20 times the usual distance of two records, the run was not training."""


def training_seconds(
    train_step: Column, train_time: Column, validation_step: Column, validation_time: Column
) -> tuple[Column, Column]:
    """Seconds of training since the first record at each training record `[n]` and validation `[m]`.

    Steps rise, times are seconds since 1970; a validation stands behind the training record of its step. A
    distance of two records that is a pause counts as a usual one (the median of those above zero), a clock
    that was set back as none, and a record without a time has that of the one before it.
    """
    places = np.searchsorted(train_step, validation_step, side="right")
    moments = _known(np.insert(train_time, places, validation_time))
    distances = np.diff(moments, prepend=moments[:1])
    np.maximum(distances, 0.0, out=distances)
    moving = distances[distances > 0]
    usual = float(np.median(moving)) if moving.size else 0.0
    distances[distances > max(GAP_SECONDS, 20 * usual)] = usual
    elapsed = np.cumsum(distances)
    of_validation = places + np.arange(places.size)
    trained = np.delete(elapsed, of_validation)
    return _fixed(trained), _fixed(elapsed[of_validation])


def _known(moments: Column) -> Column:
    """The moments, each unknown one as the last known before it, the first ones as the first known."""
    known = np.isfinite(moments)
    if known.all():
        return moments
    if not known.any():
        return np.zeros_like(moments)
    last = np.maximum.accumulate(np.where(known, np.arange(moments.size), 0))
    last[: int(np.argmax(known))] = int(np.argmax(known))
    found: Column = moments[last]
    return found


def _fixed(column: Column) -> Column:
    column.flags.writeable = False
    return column
