"""Glyphs: characters that never were, drawn as by different hands. As hard as Omniglot, nothing to download.

A class is a skeleton (`skeletons.py`); a drawing of it is that skeleton with its knots, strokes, size, slant,
place and pen perturbed as a hand would. Every pixel is a function of (seed, class, drawing), the same on
every machine.
"""

from collections.abc import Sequence

import numpy as np

from engine.data.chance import cosine_sine, exponential, normal, uniform
from engine.data.rasters import FRAME, rasterise, trace
from engine.data.skeletons import KNOTS, STROKES, Skeletons, skeletons

VERSION = 2  # raised whenever any pixel changes: packed glyphs and results of others do not compare
CLASSES = 1600
DRAWINGS = 20
SEED = 0
DIGEST = "f7e5fb6af2790d40"  # how the SHA-256 of all of them begins

# Standard deviations, in pixels of the 28-pixel frame, radians, or logarithms.
_BEND, _WOBBLE = 0.40, 0.15  # of a stroke's knots: shared along it, and each one's own
_STROKE_SHIFT, _STROKE_TURN, _STROKE_SCALE = 0.63, 0.094, 0.11
_TURN, _SHEAR, _SCALE, _ASPECT, _SHIFT = 0.094, 0.135, 0.16, 0.13, 1.6
_PEN = (1.2, 1.7)  # pixels


def draw_classes(
    classes: Sequence[int], *, size: int = 28, drawings: Sequence[int] = range(DRAWINGS), seed: int = SEED
) -> np.ndarray:
    """Drawings of some classes, uint8 [classes, drawings, size, size], ink 255 on 0."""
    every = skeletons(seed, CLASSES)
    class_ids = np.repeat(np.asarray(classes, np.int64), len(drawings))
    drawing_ids = np.tile(np.asarray(drawings, np.int64), len(classes))
    knots, pen = _drawn(every, class_ids, drawing_ids, seed)
    owner, stroke = np.nonzero(np.arange(STROKES)[None, :] < every.strokes[class_ids][:, None])
    points = trace(knots[owner, stroke], every.kinds[class_ids[owner], stroke])
    scale = size / FRAME
    images = rasterise(points * scale + (scale - 1) / 2, owner, pen * scale, size)
    return images.reshape(len(classes), len(drawings), size, size)


def _drawn(
    every: Skeletons, class_ids: np.ndarray, drawing_ids: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Knots [drawings, strokes, knots, 2] in pixels and pen widths [drawings]."""
    tag = iter(range(1000, 2000))  # each quantity has a key of its own
    whose = (seed, class_ids, drawing_ids)

    def spread(deviation: float, *shape: int) -> np.ndarray:
        index = (
            np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape) if shape else np.zeros((), np.int64)
        )
        keys = [key if isinstance(key, int) else key.reshape(-1, *[1] * len(shape)) for key in whose]
        return deviation * normal(*keys, next(tag), index)

    exists = (np.arange(STROKES)[None, :] < every.strokes[class_ids][:, None])[..., None, None]
    knots = every.knots[class_ids] + _along(spread(_BEND, STROKES, 3, 2)) + spread(_WOBBLE, STROKES, KNOTS, 2)
    middle = _mean_of_knots(knots)
    turn, scale = spread(_STROKE_TURN, STROKES, 1), exponential(spread(_STROKE_SCALE, STROKES, 1, 1))
    knots = middle + _turned((knots - middle) * scale, turn) + spread(_STROKE_SHIFT, STROKES, 1, 2)
    centre = (FRAME - 1) / 2
    aspect, size = spread(_ASPECT, 1, 1), spread(_SCALE, 1, 1)
    across = exponential(size + aspect / 2) * (knots[..., 0] - centre)
    down = exponential(size - aspect / 2) * (knots[..., 1] - centre)
    across = across + spread(_SHEAR, 1, 1) * down
    knots = _turned(np.stack((across, down), -1), spread(_TURN, 1, 1)) + centre
    pen = uniform(*_PEN, *whose, next(tag))
    return _inside(knots + spread(_SHIFT, 1, 1, 2), exists, pen), pen


def _along(three: np.ndarray) -> np.ndarray:
    """Shifts [..., 3, 2] of a stroke's start, middle and end, as shifts [..., 6, 2] of its knots."""
    start, middle, end = (three[..., index : index + 1, :] for index in range(3))
    first, second = (np.array(weights)[:, None] for weights in ((0.0, 0.4, 0.8), (0.8, 0.4, 0.0)))
    halves = (start + (middle - start) * first, end + (middle - end) * second)
    return np.concatenate(halves, axis=-2)


def _inside(knots: np.ndarray, exists: np.ndarray, pen: np.ndarray) -> np.ndarray:
    """Drawings shrunk and pushed so that their knots, pen included, lie within the frame."""
    low = np.where(exists, knots, np.inf).min((1, 2), keepdims=True)
    high = np.where(exists, knots, -np.inf).max((1, 2), keepdims=True)
    margin = (pen / 2)[:, None, None, None]
    room = FRAME - 1 - 2 * margin
    shrink = np.minimum(1.0, room / (high - low).max(-1, keepdims=True))
    middle = (low + high) / 2
    half = (high - low) / 2 * shrink
    target = np.clip(middle, margin + half, FRAME - 1 - margin - half)
    return target + (knots - middle) * shrink


def _mean_of_knots(knots: np.ndarray) -> np.ndarray:
    total = knots[..., 0:1, :]
    for index in range(1, KNOTS):
        total = total + knots[..., index : index + 1, :]
    return total / KNOTS


def _turned(offsets: np.ndarray, angle: np.ndarray) -> np.ndarray:
    cosine, sine = cosine_sine(angle)
    x, y = offsets[..., 0], offsets[..., 1]
    return np.stack((cosine * x - sine * y, sine * x + cosine * y), -1)
