"""Strokes to pixels: knots to a fine polyline, and its distance to every pixel near it."""

import numpy as np

FRAME = 28  # pixels a side of the frame that skeletons are made for
SPANS = 5
_CUTS = 12  # segments a span: at most about a pixel long
SMOOTH, STRAIGHT, CLOSED = 0, 1, 2
_REACH = 4  # pixels a side of the patch that a segment may ink


def trace(knots: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Points [strokes, points, 2] along strokes of knots [strokes, 6, 2].

    kinds [strokes]: SMOOTH (Catmull-Rom), STRAIGHT between knots, or CLOSED (Catmull-Rom, the last knot is the first).
    """
    weights = _WEIGHTS[kinds]
    points = weights[:, :, 0, None] * knots[:, None, 0]
    for index in range(1, SPANS + 1):
        points = points + weights[:, :, index, None] * knots[:, None, index]
    return points


def rasterise(points: np.ndarray, owner: np.ndarray, pen: np.ndarray, size: int) -> np.ndarray:
    """Images uint8 [drawings, size, size] of polylines [strokes, points, 2] (x, y in pixels; centres are whole).

    owner [strokes]: the drawing that a stroke belongs to; pen [drawings]: the width of its ink in pixels. A pixel's
    ink falls off linearly over one pixel at the pen's edge.
    """
    start, step = points[:, :-1], points[:, 1:] - points[:, :-1]
    start, step = start.reshape(-1, 2).astype(np.float32), step.reshape(-1, 2).astype(np.float32)
    reach = _patch(float(size) / FRAME)
    canvas_size = size + 2 * reach
    corner = np.clip(np.floor(start + step / 2).astype(np.int32) - (reach // 2 - 1), -reach, size)
    drawing = np.repeat(owner, points.shape[1] - 1)
    first = (drawing * canvas_size + corner[:, 1] + reach) * canvas_size + corner[:, 0] + reach
    nearest = np.full(len(pen) * canvas_size**2, 1e6, np.float32)
    length = np.maximum(step[:, 0] ** 2 + step[:, 1] ** 2, np.float32(1e-12))
    from_x, from_y = corner[:, 0] - start[:, 0], corner[:, 1] - start[:, 1]
    for row in range(reach):
        y = from_y + np.float32(row)
        for column in range(reach):
            x = from_x + np.float32(column)
            along = np.clip((x * step[:, 0] + y * step[:, 1]) / length, np.float32(0), np.float32(1))
            across_x, across_y = x - along * step[:, 0], y - along * step[:, 1]
            distance = across_x * across_x + across_y * across_y
            np.minimum.at(nearest, first + (row * canvas_size + column), distance)
    inner = nearest.reshape(-1, canvas_size, canvas_size)[:, reach : reach + size, reach : reach + size]
    edge = (pen / 2 + 0.5).astype(np.float32)[:, None, None]
    ink = np.clip(edge - np.sqrt(inner), np.float32(0), np.float32(1))
    return np.floor(ink * np.float32(255) + np.float32(0.5)).astype(np.uint8)


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
