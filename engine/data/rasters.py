"""Strokes to pixels: knots to a fine polyline, and its distance to every pixel near it."""

import numpy as np

FRAME = 28  # pixels a side of the frame that skeletons are made for
SPANS = 5
_CUTS = 8  # segments a span: seldom longer than a pixel
SMOOTH, STRAIGHT, CLOSED = 0, 1, 2
_REACH = 4  # pixels a side of the patch that a segment may ink


def trace(knots: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Points [strokes, points, 2] along strokes of knots [strokes, 6, 2].

    kinds [strokes]: SMOOTH (Catmull-Rom), STRAIGHT between knots, or CLOSED (Catmull-Rom, its last knot is
    the first).
    """
    weights = _WEIGHTS[kinds]
    points = weights[:, :, 0, None] * knots[:, None, 0]
    for index in range(1, SPANS + 1):
        points = points + weights[:, :, index, None] * knots[:, None, index]
    return points


def rasterise(points: np.ndarray, owner: np.ndarray, pen: np.ndarray, size: int) -> np.ndarray:
    """Images uint8 [drawings, size, size] of polylines [strokes, points, 2] (x, y; pixel centres are whole).

    owner [strokes], ascending: the drawing that a stroke belongs to; pen [drawings]: the width of its ink in
    pixels. A pixel's ink falls off linearly over one pixel at the pen's edge.
    """
    points = points.astype(np.float32)
    start, step = points[:, :-1], points[:, 1:] - points[:, :-1]
    reach = _patch(size / FRAME)
    side = size + 2 * reach
    corner = np.clip(np.floor(start + step / 2).astype(np.int64) - (reach // 2 - 1), -reach, size)
    first = (owner[:, None] * side + corner[..., 1] + reach) * side + corner[..., 0] + reach
    offsets = (np.arange(reach)[:, None] * side + np.arange(reach)).reshape(-1)
    distances = _squared_distances(corner - start, step, reach)
    nearest = np.full(len(pen) * side * side, 1e6, np.float32)
    rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
    for stroke in range(int(rank.max(initial=-1)) + 1):
        # One stroke a drawing, one segment a stroke at a time: no two patches meet, plain indexing will do.
        rows = np.flatnonzero(rank == stroke)
        for segment in range(step.shape[1]):
            pixels = first[rows, segment, None] + offsets
            nearest[pixels] = np.minimum(nearest[pixels], distances[rows, segment])
    inner = nearest.reshape(-1, side, side)[:, reach : reach + size, reach : reach + size]
    edge = (pen / 2 + 0.5).astype(np.float32)[:, None, None]
    ink = np.clip(edge - np.sqrt(inner), np.float32(0), np.float32(1))
    return np.floor(ink * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _squared_distances(offset: np.ndarray, step: np.ndarray, reach: int) -> np.ndarray:
    """Squared distance float32 [strokes, segments, reach * reach] of each pixel of a patch to its segment.

    offset [strokes, segments, 2]: from the segment's start to the patch's first pixel; step: the segment.
    """
    pixel = np.arange(reach, dtype=np.float32)
    x = offset[..., 0, None, None].astype(np.float32) + pixel[None, :]
    y = offset[..., 1, None, None].astype(np.float32) + pixel[:, None]
    step_x, step_y = step[..., 0, None, None], step[..., 1, None, None]
    length = np.maximum(step_x * step_x + step_y * step_y, np.float32(1e-12))
    along = np.clip((x * step_x + y * step_y) / length, np.float32(0), np.float32(1))
    across_x, across_y = x - along * step_x, y - along * step_y
    return (across_x * across_x + across_y * across_y).reshape(*step.shape[:2], reach * reach)


def _patch(scale: float) -> int:
    """Even number of pixels a side that covers a pen and a segment at this scale."""
    return 2 * int(np.ceil(_REACH / 2 * max(1.0, scale)))


def _weights() -> np.ndarray:
    """Weights [kind, point, knot] of each knot in each point."""
    table = np.zeros((3, SPANS * _CUTS + 1, SPANS + 1))
    for point in range(SPANS * _CUTS + 1):
        span = min(point // _CUTS, SPANS - 1)
        t = point / _CUTS - span
        table[STRAIGHT, point, span] += 1 - t
        table[STRAIGHT, point, span + 1] += t
        blend = ((2 - t) * t * t - t, (3 * t - 5) * t * t + 2, ((4 - 3 * t) * t + 1) * t, (t - 1) * t * t)
        for offset, weight in zip(range(span - 1, span + 3), blend, strict=True):
            table[CLOSED, point, offset % SPANS] += weight / 2
            if offset < 0:  # beyond an open end the curve goes on straight
                table[SMOOTH, point, :2] += np.array((2, -1)) * weight / 2
            elif offset > SPANS:
                table[SMOOTH, point, -2:] += np.array((-1, 2)) * weight / 2
            else:
                table[SMOOTH, point, offset] += weight / 2
    return table


_WEIGHTS = _weights()
