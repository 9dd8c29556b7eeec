"""Skeletons of glyphs: one to four strokes of six knots each, put together as letters are."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.data.chance import bits, cosine_sine, normal, uniform
from engine.data.choosing import chosen
from engine.data.rasters import CLOSED, FRAME, SMOOTH, STRAIGHT

STROKES = 4
KNOTS = 6
_STROKES_UP_TO = (0.15, 0.50, 0.82)  # shares of one, two, three strokes, added up
_KINDS = ("line", "arc", "s", "hook", "corner", "loop", "zigzag")
_KINDS_UP_TO = (0.26, 0.48, 0.56, 0.70, 0.84, 0.94)
_ATTACHED = 0.75
_SIZE = (13.0, 20.0)  # pixels of the longer side
_DEGREE = 0.017453292519943295


@dataclass(frozen=True)
class Skeletons:
    """Knots float64 [classes, 4, 6, 2] in pixels, strokes [classes], kinds [classes, 4] for `trace`."""

    knots: np.ndarray
    strokes: np.ndarray
    kinds: np.ndarray


@lru_cache(maxsize=4)
def skeletons(seed: int, classes: int) -> Skeletons:
    """The first `classes` skeletons of a seed: random, less tangles and near-duplicates of earlier ones."""
    kept = np.zeros(0, np.int64)
    tried = 0
    while len(kept) < classes:
        tried += 2 * classes
        every = _candidates(seed, np.arange(tried))
        kept = chosen(every.knots, every.strokes, every.kinds)
    kept = kept[:classes]
    return Skeletons(every.knots[kept], every.strokes[kept], every.kinds[kept])


def _candidates(seed: int, ids: np.ndarray) -> Skeletons:
    strokes = 1 + _choice(_STROKES_UP_TO, uniform(0, 1, seed, ids, 0))
    own = (seed, ids[:, None], np.arange(STROKES)[None, :])
    kinds = _choice(_KINDS_UP_TO, uniform(0, 1, *own, 1))
    local = _stroke_shapes(kinds, own)
    placed = _put_together(local, own)
    exists = (np.arange(STROKES) < strokes[:, None])[..., None, None]
    low = np.where(exists, placed, np.inf).min((1, 2), keepdims=True)
    high = np.where(exists, placed, -np.inf).max((1, 2), keepdims=True)
    size = uniform(*_SIZE, seed, ids, 2)[:, None, None, None]
    scale = size / (high - low).max(-1, keepdims=True)
    knots = (placed - (low + high) / 2) * scale + (FRAME - 1) / 2
    tracing = np.full(kinds.shape, SMOOTH)
    tracing[(kinds == _KINDS.index("corner")) | (kinds == _KINDS.index("zigzag"))] = STRAIGHT
    tracing[kinds == _KINDS.index("loop")] = CLOSED
    return Skeletons(np.where(exists, knots, (FRAME - 1) / 2), strokes, tracing)


def _stroke_shapes(kinds: np.ndarray, own: tuple[int, np.ndarray, np.ndarray]) -> np.ndarray:
    """Knots [classes, 4, 6, 2] of each stroke by itself, in units of a letter's size."""
    t = np.linspace(-1, 1, KNOTS - 1)
    bends = np.array(  # heading of each span in units of the stroke's bend
        [t, t / 2, np.abs(t) * 2 - 1, [0, 0, 0, 0.45, 1], [0, 0, 0.5, 1, 1], [0, 1, 2, 3, 4], [0, 0, 1, 0, 0]]
    )
    bends[4] = [0, 0, 1, 1, 1]
    least = np.array([0, 70, 45, 90, 60, 72, 120]) * _DEGREE
    most = np.array([10, 200, 80, 170, 125, 72, 150]) * _DEGREE
    spans = np.array([[1.0] * 5] * 6 + [[0.7, 0.7, 1.5, 0.7, 0.7]])
    bend = least[kinds] + (most - least)[kinds] * uniform(0, 1, *own, 3)
    bend = np.where(uniform(0, 1, *own, 4) < 0.5, -bend, bend)
    heading = (np.floor(uniform(0, 8, *own, 5)) * 45 + 6 * normal(*own, 6)) * _DEGREE
    cosine, sine = cosine_sine(heading[..., None] + bend[..., None] * bends[kinds])
    length = uniform(0.45, 1.1, *own, 7)
    length[:, 0] = uniform(0.8, 1.2, own[0], own[1][:, 0], 8)
    each = (length / 5)[..., None] * spans[kinds]
    each = each * np.where(kinds == _KINDS.index("loop"), 1.3, 1.0)[..., None]
    steps = np.stack((cosine, sine), -1) * each[..., None]
    knots = np.zeros((*kinds.shape, KNOTS, 2))
    for index in range(KNOTS - 1):
        knots[..., index + 1, :] = knots[..., index, :] + steps[..., index, :]
    return knots


def _put_together(local: np.ndarray, own: tuple[int, np.ndarray, np.ndarray]) -> np.ndarray:
    """Strokes moved so that most start, cross or end on an earlier one."""
    placed = local.copy()
    seed, ids, _ = own
    rows = np.arange(len(local))
    ends = np.array((0, 2, 3, 5))
    for stroke in range(1, STROKES):
        keys = (seed, ids[:, 0], stroke)
        earlier = np.floor(uniform(0, stroke, *keys, 9)).astype(np.int64)
        target = placed[rows, earlier, ends[bits(*keys, 10) >> np.uint64(62)]]
        anchor = local[rows, stroke, ends[bits(*keys, 11) >> np.uint64(62)]]
        loose = uniform(0, 1, *keys, 12) >= _ATTACHED
        offset = uniform(-0.6, 0.6, seed, ids, stroke, 13, np.arange(2)[None, :])
        middle = (placed[:, 0].min(1) + placed[:, 0].max(1)) / 2
        own_middle = (local[:, stroke].min(1) + local[:, stroke].max(1)) / 2
        shift = np.where(loose[:, None], middle + offset - own_middle, target - anchor)
        placed[:, stroke] = local[:, stroke] + shift[:, None]
    return placed


def _choice(up_to: tuple[float, ...], drawn: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.array(up_to), drawn, side="right")
