"""Which skeletons of glyphs are kept: no tangles, and none that looks like an earlier one.

All comparisons are of whole numbers, so that every machine keeps the same ones.
"""

import numpy as np

from engine.data.rasters import FRAME, rasterise, trace

_PEN = 1.5
_INKED = 100  # of 255
_BLOTS = 2  # pixels amid ink on all sides that a glyph may have; Omniglot's drawings have 0.7 on average
_ALIKE = 0.90  # cosine of two blurred glyphs of equal size from which on they are one
_CELL = 2  # pixels a side of the cells in which glyphs are compared


def chosen(knots: np.ndarray, strokes: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Indices, ascending, of the skeletons to keep (see Skeletons for the arguments)."""
    images = _inked(knots, strokes, kinds)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    clear = (windows.min((-1, -2)) >= _INKED).sum((1, 2)) <= _BLOTS
    return _unlike(_inked(_of_one_size(knots), strokes, kinds), clear)


def _unlike(images: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Indices of the images that are allowed and not like one taken before."""
    blurred = _blurred(_blurred(images.astype(np.int64)))
    cells = blurred.reshape(len(images), FRAME // _CELL, _CELL, FRAME // _CELL, _CELL).sum((2, 4)) // 256
    flat = cells.reshape(len(images), -1).astype(np.float64)  # whole numbers: products and sums are exact
    dots = flat @ flat.T
    squares = np.diagonal(dots)
    alike = dots * dots > _ALIKE**2 * squares[:, None] * squares[None, :]
    taken = np.zeros(len(images), bool)
    for index in np.flatnonzero(allowed):
        taken[index] = not (alike[index] & taken).any()
    return np.flatnonzero(taken)


def _blurred(images: np.ndarray) -> np.ndarray:
    """Each pixel's sum with its eight neighbours."""
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]


def _of_one_size(knots: np.ndarray) -> np.ndarray:
    """Skeletons scaled so that their longer side is 20 pixels."""
    centre = (FRAME - 1) / 2
    offsets = knots - centre
    return centre + offsets * (10.0 / np.abs(offsets).max((1, 2, 3), keepdims=True))


def _inked(knots: np.ndarray, strokes: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    owner, stroke = np.nonzero(np.arange(knots.shape[1])[None, :] < strokes[:, None])
    images = [
        rasterise(
            trace(knots[owner[some], stroke[some]], kinds[owner[some], stroke[some]]),
            owner[some] - first,
            np.full(min(200, len(knots) - first), _PEN),
            FRAME,
        )
        for first in range(0, len(knots), 200)
        for some in [np.flatnonzero((owner >= first) & (owner < first + 200))]
    ]
    return np.concatenate(images)
