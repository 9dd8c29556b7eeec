"""Glyphs: the same pixels everywhere, drawn as stated, and as hard as Omniglot."""

import numpy as np
import pytest

from engine.data import chance
from engine.data.choosing import chosen
from engine.data.glyphs import CLASSES, DIGEST, DRAWINGS, draw_classes
from engine.data.rasters import CLOSED, SMOOTH, STRAIGHT, rasterise, trace
from engine.data.skeletons import skeletons


@pytest.fixture(scope="module")
def all_glyphs() -> np.ndarray:
    return np.concatenate([draw_classes(range(first, first + 40)) for first in range(0, CLASSES, 40)])


def test_every_pixel_is_the_recorded_one(all_glyphs: np.ndarray) -> None:
    import hashlib

    assert all_glyphs.shape == (CLASSES, DRAWINGS, 28, 28)
    assert hashlib.sha256(all_glyphs.tobytes()).hexdigest().startswith(DIGEST)


def test_a_drawing_does_not_depend_on_what_is_drawn_with_it(all_glyphs: np.ndarray) -> None:
    assert np.array_equal(draw_classes([1599, 7], drawings=[19, 3]), all_glyphs[[1599, 7]][:, [19, 3]])


def test_seeds_and_drawings_differ(all_glyphs: np.ndarray) -> None:
    assert not np.array_equal(draw_classes([0], seed=1)[0], all_glyphs[0])
    distinct = {drawing.tobytes() for drawing in all_glyphs.reshape(-1, 28, 28)}
    assert len(distinct) == CLASSES * DRAWINGS


def test_another_size_shows_the_same_drawings(all_glyphs: np.ndarray) -> None:
    large = draw_classes([5], size=84)[0].reshape(DRAWINGS, 28, 3, 28, 3).mean((2, 4))
    assert np.abs(large - all_glyphs[5]).mean() < 4


def test_drawings_lie_inside_their_frame(all_glyphs: np.ndarray) -> None:
    ink = (all_glyphs > 127).sum((2, 3))
    assert ink.min() >= 8
    border = np.concatenate((all_glyphs[..., 0, :], all_glyphs[..., -1, :]), -1)
    assert (border > 250).mean() < 0.01


def test_as_hard_as_omniglot_for_pixel_nearest_neighbour(all_glyphs: np.ndarray) -> None:
    # Omniglot's 423 test characters of the split finn, measured in the same way: 42.3 %.
    assert 38 < pixel_nearest_neighbour(all_glyphs[1200:], np.random.default_rng(0)) < 46


def pixel_nearest_neighbour(
    images: np.ndarray, generator: np.random.Generator, episodes: int = 2000
) -> float:
    """Percent right, 5-way 1-shot with one query a class, by the squared distance of pixels."""
    flat = images.reshape(*images.shape[:2], -1).astype(np.float32)
    right = 0
    for _ in range(episodes):
        classes = generator.choice(len(flat), 5, replace=False)
        pair = np.stack([generator.choice(flat.shape[1], 2, replace=False) for _ in classes])
        support, query = flat[classes, pair[:, 0]], flat[classes, pair[:, 1]]
        nearest = ((query[:, None] - support[None]) ** 2).sum(-1).argmin(1)
        right += int((nearest == np.arange(5)).sum())
    return 100 * right / (5 * episodes)


def test_rasters_against_distances_to_all_segments() -> None:
    generator = np.random.default_rng(0)
    knots = generator.uniform(4, 24, (6, 6, 2))
    points = trace(knots, np.array([SMOOTH, STRAIGHT, CLOSED, SMOOTH, STRAIGHT, SMOOTH]))
    points = points[:, 0, None] + (points - points[:, 0, None]) * 0.3  # segments of about a pixel
    owner, pen = np.array([0, 0, 1, 1, 1, 2]), np.array([1.2, 1.5, 1.7])
    drawn = rasterise(points, owner, pen, 28)
    pixel = np.stack(np.meshgrid(np.arange(28.0), np.arange(28.0)), -1)[:, :, None]
    for image in range(3):
        lines = points[owner == image]
        start = lines[:, :-1].reshape(-1, 2)
        step = (lines[:, 1:] - lines[:, :-1]).reshape(-1, 2)
        along = (((pixel - start) * step).sum(-1) / (step**2).sum(-1)).clip(0, 1)
        distance = np.sqrt(((pixel - start - along[..., None] * step) ** 2).sum(-1)).min(-1)
        expected = 255 * (pen[image] / 2 + 0.5 - distance).clip(0, 1)
        assert np.abs(drawn[image] - expected).max() < 1


def test_strokes_pass_through_their_knots() -> None:
    knots = np.random.default_rng(1).uniform(0, 28, (3, 6, 2))
    points = trace(knots, np.array([SMOOTH, STRAIGHT, CLOSED]))
    for point, knot in enumerate(range(5)):
        assert np.allclose(points[:, point * (points.shape[1] - 1) // 5], knots[:, knot])
    assert np.allclose(points[:2, -1], knots[:2, 5])
    assert np.allclose(points[2, -1], knots[2, 0])


def test_copies_and_tangles_are_left_out() -> None:
    some = skeletons(0, 1600)
    knots, strokes, kinds = some.knots[:8].copy(), some.strokes[:8], some.kinds[:8].copy()
    assert chosen(knots, strokes, kinds).tolist() == list(range(8))
    strokes = strokes.copy()
    knots[5], strokes[5], kinds[5] = knots[2], strokes[2], kinds[2]
    knots[6] = 13.5 + np.random.default_rng(0).uniform(-3, 3, (4, 6, 2))
    strokes[6], kinds[6] = 4, STRAIGHT
    assert chosen(knots, strokes, kinds).tolist() == [0, 1, 2, 3, 4, 7]


def test_chance_is_splitmix64() -> None:
    assert int(chance.bits(0)) == 0xE220A8397B1DCDAF  # the first output from seed 0, as published


def test_chance_is_spread_as_it_says() -> None:
    index = np.arange(200_000)
    uniform, normal = chance.uniform(2, 5, 7, index), chance.normal(7, index, 1)
    assert uniform.min() >= 2
    assert uniform.max() < 5
    assert abs(uniform.mean() - 3.5) < 0.01
    assert abs(normal.mean()) < 0.01
    assert abs(normal.std() - 1) < 0.01
    assert abs(np.corrcoef(normal[:-1], normal[1:])[0, 1]) < 0.01


def test_series_against_numpy() -> None:
    angle = np.linspace(-13, 13, 1001)
    assert np.allclose(chance.cosine_sine(angle), (np.cos(angle), np.sin(angle)), atol=1e-9, rtol=0)
    assert np.allclose(chance.exponential(angle / 7), np.exp(angle / 7), atol=1e-9, rtol=0)
