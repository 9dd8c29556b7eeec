"""Tasks as a function of (seed, part, index): what is drawn, how evenly, and what it depends on."""

import math

import numpy as np
import pytest
import torch
from plain_loop import CPU, close, image_tasks, packed_images
from torch import Tensor

from engine.data import PackedImages
from engine.presets import resolve
from engine.presets.schema import Spec
from engine.runs.results import episodes_key
from engine.tasks import Episodes, TaskDistribution, training_shape
from engine.tasks.draws import bits, integers, normal, stream_key, uniform
from engine.tasks.images import ImageEpisodes
from engine.tasks.sine import Sine
from engine.tasks.stream import TrainingStream
from engine.tasks.warps import warped

PARTS = ("train", "validation", "test")
SIZES = {"train": [9, 12, 7, 10, 8, 9, 14], "validation": [8] * 6, "test": [11, 7, 9, 8, 12, 10]}
KOLMOGOROV = 1.95  # times 1/√n: exceeded by one honest sample in a thousand


def numbered_pictures() -> PackedImages:
    """Every picture says in one corner which it is; the corner tells how it was turned."""
    total = sum(map(sum, SIZES.values()))
    pictures = np.zeros((total, 1, 4, 4), dtype=np.uint8)
    pictures[:, 0, 0, 0] = np.arange(1, total + 1)
    return packed_images(SIZES, pictures=pictures)


def spec_of(task: dict, training: dict | None = None, seed: int = 0, evaluation_seed: int = 0) -> Spec:
    content = {
        "task": task,
        "training": training or {},
        "seed": seed,
        "evaluation": {"seed": evaluation_seed},
    }
    return Spec.model_validate(content)


def images(
    training: dict | None = None, seed: int = 0, evaluation_seed: int = 0, **task: object
) -> ImageEpisodes:
    task = {"dataset": "glyphs", "ways": 4, "shots": 2, "queries": 3} | task
    return image_tasks(spec_of(task, training, seed, evaluation_seed), numbered_pictures())


def sine(training: dict | None = None, seed: int = 0, evaluation_seed: int = 0, **task: object) -> Sine:
    spec = spec_of({"dataset": "sine"} | task, training, seed, evaluation_seed)
    shape = training_shape(spec)
    return Sine(spec.task, shape, seed, evaluation_seed, spec.training.tasks, CPU, torch.float64)


def read(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Which picture each is (from 0) and how many quarter turns, counter-clockwise, it was given."""
    flat = (pictures * 255).round().long().flatten(-3)
    number, place = flat.max(-1)
    assert bool(((flat > 0).sum(-1) == 1).all())
    turns = torch.full((16,), -1)
    corner = torch.zeros(4, 4)
    corner[0, 0] = 1
    for turn in range(4):
        turns[int(torch.rot90(corner, turn).flatten().argmax())] = turn
    return number - 1, turns[place]


def class_of(packed: PackedImages, part: str, number: Tensor) -> Tensor:
    """The class that holds each picture, by looking through all of them."""
    owner = {}
    table = packed.parts[part]
    for c, (offset, count) in enumerate(zip(table.offsets, table.counts, strict=True)):
        owner |= dict.fromkeys(range(int(offset), int(offset + count)), c)
    return number.clone().apply_(lambda i: owner[i])


def same(one: Episodes, other: Episodes) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def chi_square(counts: Tensor, expected: Tensor | float) -> float:
    """How many standard deviations the chi-square statistic lies above its mean."""
    statistic = float(((counts - expected) ** 2 / expected).sum())
    freedom = counts.numel() - 1
    return (statistic - freedom) / math.sqrt(2 * freedom)


def kolmogorov_smirnov(sample: Tensor, distribution: Tensor) -> float:
    """√n times the largest distance of the sample's distribution function from `distribution`."""
    n = len(sample)
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    return math.sqrt(n) * float(torch.maximum(steps[1:] - distribution, distribution - steps[:-1]).max())


def uniform_distance(sample: Tensor, low: float, high: float) -> float:
    ordered = sample.flatten().sort().values
    return kolmogorov_smirnov(ordered, (ordered - low) / (high - low))


# Draws


def test_draws_are_a_function_of_key_index_and_position() -> None:
    index = torch.tensor([[5, 900], [2**40, 0]])
    for draw in (bits, uniform):
        drawn = draw(stream_key("a"), index, 6)
        assert drawn.shape == (2, 2, 6)
        assert torch.equal(draw(stream_key("a"), torch.tensor([900]), 6)[0], drawn[0, 1])
        assert torch.equal(draw(stream_key("a"), torch.tensor([2**40]), 3)[0], drawn[1, 0, :3])
        assert not torch.equal(draw(stream_key("b"), index, 6), drawn)
    assert stream_key("a", 1) != stream_key("a1")
    assert stream_key("a", "b") != stream_key("ab")


def test_splitmix64_gives_its_published_numbers() -> None:
    """The reference generator (Vigna's splitmix64.c) in Python's own integers."""
    mask = (1 << 64) - 1

    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    assert mix(1234567 + golden & mask) == 6457827717110365317  # the first number of seed 1234567
    key = stream_key("published")
    found = bits(key, torch.tensor([0, 3, 10**12]), 4)
    for row, index in zip(found.tolist(), [0, 3, 10**12], strict=True):
        seed = mix((index * golden + key) & mask)
        expected = [mix(mix((seed + position * golden) & mask)) for position in range(1, 5)]
        assert [value & mask for value in row] == expected


@pytest.mark.parametrize("layout", ["by index", "by position"])
def test_uniform_draws_are_even_and_unrelated(layout: str) -> None:
    shape = (20000, 3) if layout == "by index" else (20, 3000)
    drawn = uniform(stream_key("even", layout), torch.arange(shape[0]), shape[1])
    assert float(drawn.min()) >= 0
    assert float(drawn.max()) < 1
    assert uniform_distance(drawn, 0, 1) < KOLMOGOROV
    lines = drawn.T if layout == "by index" else drawn
    for one, other in ((lines[0], lines[1]), (lines[0], lines[2]), (lines[1][1:], lines[1][:-1])):
        related = torch.corrcoef(torch.stack([one, other]))[0, 1]
        assert abs(float(related)) < 4 / math.sqrt(len(one))
    cells = (lines[0] * 10).long() * 10 + (lines[1] * 10).long()
    assert abs(chi_square(cells.bincount(minlength=100).double(), len(cells) / 100)) < 4


def test_neighbouring_keys_and_seeds_are_unrelated() -> None:
    index = torch.arange(20000)
    streams = [uniform(stream_key("stream", seed), index, 1).squeeze(-1) for seed in range(3)]
    related = torch.corrcoef(torch.stack(streams)) - torch.eye(3, dtype=torch.float64)
    assert float(related.abs().max()) < 4 / math.sqrt(20000)


def test_every_bit_is_fair() -> None:
    drawn = bits(stream_key("bits"), torch.arange(20000), 1).squeeze(-1)
    shares = torch.stack([((drawn >> place) & 1).double().mean() for place in range(64)])
    assert float((shares - 0.5).abs().max()) < 4.5 * 0.5 / math.sqrt(20000)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_normal_draws_are_normal(count: int) -> None:
    drawn = normal(stream_key("normal"), torch.arange(12000), count)
    assert drawn.shape == (12000, count)
    sample = drawn.flatten()
    n = len(sample)
    for power, moment, spread in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)):
        assert abs(float(sample.pow(power).mean()) - moment) < 4 * math.sqrt(spread / n), power
    ordered = sample.sort().values
    assert kolmogorov_smirnov(ordered, (1 + torch.erf(ordered / math.sqrt(2))) / 2) < KOLMOGOROV
    if count > 1:
        related = torch.corrcoef(drawn.T) - torch.eye(count, dtype=torch.float64)
        assert float(related.abs().max()) < 5 / math.sqrt(12000)


def test_whole_numbers_are_even_below_their_bound() -> None:
    drawn = integers(stream_key("whole"), torch.arange(9000), 2, 7)
    assert set(drawn.flatten().tolist()) == set(range(7))
    assert abs(chi_square(drawn.flatten().bincount().double(), 18000 / 7)) < 4


# What a task depends on


def distributions(**seeds: int) -> list[TaskDistribution]:
    finite = {"tasks": 4}
    turned = [images(rotations=r, **seeds) for r in ("none", "drawn", "classes")]
    waves = [sine(**seeds), sine(finite, **seeds)]
    warped = images({"augment": "affine"}, rotations="drawn", **seeds)
    return [*turned, images(finite, rotations="drawn", **seeds), warped, *waves]


@pytest.mark.parametrize("part", PARTS)
def test_a_task_is_the_same_in_any_batch(part: str) -> None:
    for tasks in distributions():
        whole = tasks.episodes(part, torch.arange(40))
        some = torch.tensor([17, 3, 39, 3])
        picked = tasks.episodes(part, some)
        assert same(picked, Episodes(*(field[some] for field in whole)))
        assert same(whole.rows(8, 11), tasks.episodes(part, torch.tensor([8, 9, 10])))
        assert torch.equal(whole.indices, torch.arange(40))


@pytest.mark.parametrize("part", PARTS)
def test_training_hangs_on_the_run_and_testing_on_the_evaluation_seed(part: str) -> None:
    index = torch.arange(6)
    for plain, run, evaluation in zip(
        distributions(), distributions(seed=1), distributions(evaluation_seed=1), strict=True
    ):
        here = plain.episodes(part, index)
        assert same(here, run.episodes(part, index)) == (part != "train")
        assert same(here, evaluation.episodes(part, index)) == (part == "train")


def test_parts_are_different_tasks_and_other_classes() -> None:
    index = torch.arange(50)
    waves = [sine().episodes(part, index).detail for part in PARTS]
    assert not any(torch.equal(a, b) for a, b in ((waves[0], waves[1]), (waves[1], waves[2])))
    seen = [set(read(images().episodes(part, index).query_x)[0].flatten().tolist()) for part in PARTS]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    packed = numbered_pictures()
    for part, numbers in zip(PARTS, seen, strict=True):
        class_of(packed, part, torch.tensor(sorted(numbers)))


def test_training_episodes_may_have_another_shape() -> None:
    tasks = images({"ways": 6, "shots": 3, "queries": 1})
    train, test = (tasks.episodes(part, torch.arange(2)) for part in ("train", "test"))
    assert (train.support_y.shape, train.query_y.shape) == ((2, 18), (2, 6))
    assert (test.support_y.shape, test.query_y.shape) == ((2, 8), (2, 12))
    assert (tasks.outputs("train"), tasks.outputs("test")) == (6, 4)
    waves = sine({"shots": 3, "queries": 4}, shots=5, queries=6)
    assert waves.episodes("train", torch.arange(2)).query_x.shape == (2, 4, 1)
    assert waves.episodes("test", torch.arange(2)).support_x.shape == (2, 5, 1)


# Image episodes


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("rotations", ["none", "drawn", "classes"])
def test_an_episode_is_ways_classes_with_their_own_drawings(part: str, rotations: str) -> None:
    """Distinct classes, each with one label, balanced; no drawing twice; support and query turned alike."""
    tasks = images(rotations=rotations)
    packed = numbered_pictures()
    episodes = tasks.episodes(part, torch.arange(60))
    for t in range(60):
        members: dict[int, set] = {}
        used: list[tuple] = []
        for x, y in (
            (episodes.support_x[t], episodes.support_y[t]),
            (episodes.query_x[t], episodes.query_y[t]),
        ):
            number, turn = read(x)
            classes = class_of(packed, part, number)
            for label, c, k in zip(y.tolist(), classes.tolist(), turn.tolist(), strict=True):
                members.setdefault(label, set()).add((c, k))
            used += list(zip(number.tolist(), turn.tolist(), strict=True))
        assert sorted(members) == [0, 1, 2, 3]
        assert all(len(kinds) == 1 for kinds in members.values())
        kinds = [next(iter(members[label])) for label in range(4)]
        assert len(set(used)) == len(used) == 20
        if rotations == "classes":
            assert len(set(kinds)) == 4
        else:
            assert len({c for c, _ in kinds}) == 4
        if rotations == "none":
            assert all(k == 0 for _, k in kinds)
        assert episodes.detail[t].tolist() == [4 * c + k for c, k in kinds]
        assert episodes.support_y[t].bincount().tolist() == [2] * 4
        assert episodes.query_y[t].bincount().tolist() == [3] * 4


def test_turned_pictures_are_turned_as_a_whole() -> None:
    """A real picture, not one corner: every quarter turn against torch.rot90 of the original."""
    packed = packed_images({"train": [4] * 6, "validation": [4] * 6, "test": [4] * 6}, size=5, seed=2)
    spec = spec_of({"dataset": "glyphs", "rotations": "drawn", "ways": 4, "shots": 1, "queries": 2})
    episodes = image_tasks(spec, packed).episodes("test", torch.arange(10))
    originals = torch.from_numpy(packed.images).double() / 255
    seen = set()
    for t in range(10):
        for picture, label in zip(episodes.query_x[t], episodes.query_y[t], strict=True):
            matches = [
                (i, k)
                for i in range(48, 72)
                for k in range(4)
                if torch.equal(torch.rot90(originals[i], k, (-2, -1)), picture)
            ]
            assert len(matches) == 1
            i, k = matches[0]
            assert int(episodes.detail[t, label]) == 4 * ((i - 48) // 4) + k
            seen.add(k)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("rotations", ["none", "drawn", "classes"])
def test_classes_labels_turns_and_drawings_are_drawn_evenly(rotations: str) -> None:
    tasks = images(rotations=rotations)
    episodes = tasks.episodes("train", torch.arange(3000))
    kinds = episodes.detail if rotations != "none" else episodes.detail // 4
    many = 7 if rotations == "none" else 28
    for label in range(4):
        assert abs(chi_square(kinds[:, label].bincount(minlength=many).double(), 3000 / many)) < 4.5
    firsts = torch.stack([kinds[:, 0], kinds[:, 1]], 1)
    assert float((firsts[:, 0] < firsts[:, 1]).double().mean()) == pytest.approx(0.5, abs=0.05)
    for x, each in ((episodes.support_x, 2), (episodes.query_x, 3)):
        number, _ = read(x)
        counts = number.flatten().bincount(minlength=sum(SIZES["train"])).double()
        expected = torch.cat([torch.full((n,), 3000 * 4 * each / 7 / n) for n in SIZES["train"]])
        assert abs(chi_square(counts, expected)) < 5


def test_drawings_of_a_class_come_in_any_order() -> None:
    """The first support drawing is no lower or higher in the class than the last query drawing."""
    episodes = images().episodes("test", torch.arange(2000))
    first, last = read(episodes.support_x[:, :1])[0], read(episodes.query_x[:, 2:3])[0]
    assert float((first < last).double().mean()) == pytest.approx(0.5, abs=0.05)


def test_a_finite_set_brings_the_same_classes_with_new_drawings() -> None:
    tasks = images({"tasks": 5}, rotations="drawn")
    episodes = tasks.episodes("train", torch.arange(400))
    identity = episodes.identity
    assert set(identity.tolist()) == set(range(5))
    assert abs(chi_square(identity.bincount().double(), 80.0)) < 4
    for i in range(5):
        visits = (identity == i).nonzero().squeeze(1)
        assert bool((episodes.detail[visits] == episodes.detail[visits[0]]).all())
        drawings = {tuple(row) for row in read(episodes.support_x[visits])[0].tolist()}
        assert len(drawings) > len(visits) // 2
    assert len({tuple(row) for row in episodes.detail.tolist()}) == 5
    assert torch.equal(tasks.episodes("test", torch.arange(9)).identity, torch.arange(9))


def test_an_endless_stream_repeats_nothing() -> None:
    episodes = images().episodes("train", torch.arange(500))
    assert torch.equal(episodes.identity, torch.arange(500))
    drawn = {tuple(row) for row in read(episodes.support_x)[0].tolist()}
    assert len(drawn) > 490


@pytest.mark.parametrize("rotations", ["none", "drawn", "classes"])
def test_joint_examples_are_drawn_evenly_over_images(rotations: str) -> None:
    """Classes of unequal size weigh by their images; a turned class is a class of its own."""
    tasks = images(rotations=rotations)
    turns = 1 if rotations == "none" else 4
    assert tasks.joint_outputs == 7 * turns
    x, y, _ = tasks.examples(torch.arange(20000))
    assert x.shape == (1, 20000, 1, 4, 4)
    assert y.shape == (1, 20000)
    number, turn = read(x[0])
    classes = class_of(numbered_pictures(), "train", number)
    assert torch.equal(y[0], classes * turns + turn)
    total = sum(SIZES["train"])
    cells = (number * turns + turn).bincount(minlength=total * turns).double()
    assert len(cells) == total * turns
    assert abs(chi_square(cells, 20000 / total / turns)) < 4.5
    assert same_examples(tasks.examples(torch.tensor([70, 11])), x[:, [70, 11]], y[:, [70, 11]])


def test_warps_move_an_image_as_their_numbers_say() -> None:
    """A blob's middle goes where turn, shear, stretch and shift take it; no numbers, no change."""
    places = torch.arange(61, dtype=torch.float64)
    middle = torch.tensor([12.0, -8.0], dtype=torch.float64)  # to the right of the middle, above it
    squares = (places - 30 - middle[0]).square() + (places - 30 - middle[1]).square().unsqueeze(-1)
    blob = torch.exp(-squares / 18).reshape(1, 1, 61, 61)
    half = torch.full((1, 6), 0.5, dtype=torch.float64)
    assert close(warped(blob, half), blob, 1e-12)
    for seed in range(5):
        fraction = uniform(stream_key("blob", seed), torch.arange(1), 6)
        turn, shear, wide, high, right, down = (2 * fraction[0] - 1).tolist()
        c, s = math.cos(math.pi / 18 * turn), math.sin(math.pi / 18 * turn)
        stretch = torch.diag(torch.tensor([math.exp(0.1 * wide), math.exp(0.1 * high)]).double())
        sheared = torch.tensor([[1, 0.1 * shear], [0, 1]]).double()
        back = torch.tensor([[c, -s], [s, c]]).double() @ sheared @ stretch
        # A point p of the warped image shows the original at back · p + shift (5 % of 61 pixels at most).
        shift = torch.tensor([right, down]).double() * 0.05 * 61
        expected = torch.linalg.solve(back, middle - shift)
        found = warped(blob, fraction)[0, 0]
        weights = found / found.sum()
        centre = torch.stack([(weights.sum(0) * (places - 30)).sum(), (weights.sum(1) * (places - 30)).sum()])
        assert float((centre - expected).abs().max()) < 0.05


def test_augmentation_warps_images_of_training_alone_each_its_own_way() -> None:
    packed = packed_images({"train": [6] * 6, "validation": [6] * 6, "test": [6] * 6}, size=8)
    task = {"dataset": "glyphs", "ways": 4, "shots": 2, "queries": 2}
    plain, warps = (
        image_tasks(spec_of(task, {"augment": augment}), packed) for augment in ("none", "affine")
    )
    for part in ("validation", "test"):
        assert same(plain.episodes(part, torch.arange(4)), warps.episodes(part, torch.arange(4)))
    one, other = (tasks.episodes("train", torch.arange(4)) for tasks in (plain, warps))
    assert torch.equal(one.detail, other.detail)
    assert torch.equal(one.query_y, other.query_y)
    fraction = warps._warps("train", "warps", torch.arange(4), (4, 4))
    assert fraction is not None
    assert len(set(fraction.flatten().tolist())) == fraction.numel()
    assert close(other.support_x, warped(one.support_x, fraction[:, :, :2].flatten(1, 2)), 1e-12)
    assert close(other.query_x, warped(one.query_x, fraction[:, :, 2:].flatten(1, 2)), 1e-12)
    index = torch.arange(30)
    (x, y), (moved, labels) = plain.examples(index)[:2], warps.examples(index)[:2]
    fraction = warps._warps("train", "joint warps", index, ())
    assert torch.equal(y, labels)
    assert fraction is not None
    assert close(moved[0], warped(x[0], fraction), 1e-12)
    assert same_examples(warps.examples(torch.tensor([7, 3])), moved[:, [7, 3]], y[:, [7, 3]])


def same_examples(found: tuple, x: Tensor, y: Tensor) -> bool:
    return torch.equal(found[0], x) and torch.equal(found[1], y)


# Sine waves


def test_finns_waves_are_the_default() -> None:
    """y = A sin(x − φ), A in [0.1, 5], φ in [0, π], x in [−5, 5] (Finn 2017)."""
    episodes = sine().episodes("test", torch.arange(3000))
    amplitude, phase, frequency = episodes.detail.unbind(1)
    assert uniform_distance(amplitude, 0.1, 5.0) < KOLMOGOROV
    assert uniform_distance(phase, 0.0, math.pi) < KOLMOGOROV
    assert bool((frequency == 1).all())
    related = torch.corrcoef(torch.stack([amplitude, phase]))[0, 1]
    assert abs(float(related)) < 4 / math.sqrt(3000)
    for x, y in ((episodes.support_x, episodes.support_y), (episodes.query_x, episodes.query_y)):
        assert float(x.min()) >= -5
        assert float(x.max()) <= 5
        assert uniform_distance(x[:, :5], -5, 5) < KOLMOGOROV
        assert close(y, amplitude[:, None, None] * torch.sin(x - phase[:, None, None]), 1e-14)


@pytest.mark.parametrize(
    ("ranges", "sign"),
    [
        ({"shift": "plus", "phase": [0.0, 2 * math.pi]}, 1),
        ({"frequency": [0.0, math.pi], "phase": [0.0, 0.0]}, -1),
        ({"shift": "plus", "frequency": [0.8, 1.2], "phase": [0.0, math.pi]}, 1),
    ],
    ids=["a sin(x + b)", "A sin(wx)", "Li 2017"],
)
def test_families_of_waves(ranges: dict, sign: int) -> None:
    episodes = sine(**ranges).episodes("train", torch.arange(2000))
    amplitude, phase, frequency = (column[:, None, None] for column in episodes.detail.unbind(1))
    for values, key, default in (
        (amplitude, "amplitude", (0.1, 5.0)),
        (phase, "phase", (0, 0)),
        (frequency, "frequency", (1, 1)),
    ):
        low, high = ranges.get(key, default)
        if low == high:
            assert bool((values == low).all())
        else:
            assert uniform_distance(values, low, high) < KOLMOGOROV
    expected = amplitude * torch.sin(frequency * episodes.query_x + sign * phase)
    assert close(episodes.query_y, expected, 1e-14)


def test_support_points_may_lie_elsewhere_than_queries() -> None:
    tasks = sine(support_x=[0.0, 5.0], query_x=[-5.0, 0.0], shots=10, queries=30)
    episodes = tasks.episodes("test", torch.arange(300))
    assert episodes.support_x.shape == (300, 10, 1)
    assert episodes.query_x.shape == (300, 30, 1)
    assert uniform_distance(episodes.support_x, 0, 5) < KOLMOGOROV
    assert uniform_distance(episodes.query_x, -5, 0) < KOLMOGOROV
    x = tasks.examples(torch.arange(20000)).x
    assert float((x >= 0).double().mean()) == pytest.approx(0.25, abs=0.015)


def test_an_oracle_is_told_what_varies_and_sees_the_same_waves() -> None:
    """Finn's amplitude and phase; of A sin(wx) amplitude and frequency; nothing else differs."""
    for ranges, told in (({}, [0, 1]), ({"frequency": [0.0, math.pi], "phase": [0.0, 0.0]}, [0, 2])):
        plain, oracle = sine(**ranges), sine(oracle=True, **ranges)
        assert oracle.input_shape == (3,)
        for part in PARTS:
            seen, known = (tasks.episodes(part, torch.arange(5)) for tasks in (plain, oracle))
            for one, other in ((seen.support_x, known.support_x), (seen.query_x, known.query_x)):
                assert torch.equal(other[..., :1], one)
                assert all(torch.equal(other[:, n, 1:], seen.detail[:, told]) for n in range(one.shape[1]))
            assert torch.equal(known.support_y, seen.support_y)
            assert torch.equal(known.query_y, seen.query_y)
        x, y, _ = oracle.examples(torch.arange(200))
        assert torch.equal(y, plain.examples(torch.arange(200)).y)
        columns = dict(zip(told, x[0, :, 1:].T, strict=True))
        wave = torch.sin(columns.get(2, 1.0) * x[0, :, 0] - columns.get(1, 0.0))
        assert close(y[0, :, 0], columns[0] * wave, 1e-13)
    told, not_told = (resolve("sine-10shot", name).spec for name in ("oracle", "maml"))
    assert episodes_key(told) == episodes_key(not_told)


def test_a_finite_set_of_waves_has_new_points_at_each_visit() -> None:
    tasks = sine({"tasks": 6})
    episodes = tasks.episodes("train", torch.arange(300))
    assert abs(chi_square(episodes.identity.bincount(minlength=6).double(), 50.0)) < 4
    waves = {}
    for i, wave, points in zip(episodes.identity.tolist(), episodes.detail, episodes.support_x, strict=True):
        assert torch.equal(waves.setdefault(i, (wave, points))[0], wave)
    assert len({tuple(wave.tolist()) for wave, _ in waves.values()}) == 6
    assert len({tuple(points.flatten().tolist()) for points in episodes.support_x}) == 300
    x, y, _ = tasks.examples(torch.arange(500))
    for point, value in zip(x[0, :, 0], y[0, :, 0], strict=True):
        fits = [abs(float(w[0] * torch.sin(w[2] * point - w[1]) - value)) < 1e-12 for w, _ in waves.values()]
        assert any(fits)


def test_joint_points_are_each_of_their_own_wave() -> None:
    """Mean zero-function error of Finn's family: E[A²] E[sin²(x − φ)] over the whole rectangle."""
    x, y, _ = sine().examples(torch.arange(60000))
    assert uniform_distance(x[0, :20000], -5, 5) < KOLMOGOROV
    grid_x, grid_phase = torch.meshgrid(
        torch.linspace(-5, 5, 401, dtype=torch.float64),
        torch.linspace(0, math.pi, 401, dtype=torch.float64),
        indexing="ij",
    )
    squared_sine = float(torch.sin(grid_x - grid_phase).square().mean())
    squared_amplitude = (5.0**3 - 0.1**3) / 3 / 4.9
    assert float(y.square().mean()) == pytest.approx(squared_sine * squared_amplitude, rel=0.03)
    assert len(set(y.flatten().tolist())) == 60000


# The place in the stream


@pytest.mark.parametrize("tasks", [sine(shots=3, queries=4), images()], ids=["sine", "images"])
def test_the_stream_gives_each_iteration_its_own_indices(tasks: TaskDistribution) -> None:
    """Wherever one begins to read, iteration i has the tasks i · T up to (i + 1) · T."""
    size = 3
    stream = TrainingStream(tasks, size)
    for iteration in [*range(3), 63, 64, 65, 130, 2, 1000003]:
        expected = tasks.episodes("train", torch.arange(iteration * size, (iteration + 1) * size))
        assert same(stream.episodes(iteration), expected)
        assert same(TrainingStream(tasks, size).episodes(iteration), expected)
    joint = TrainingStream(tasks, size)
    for iteration in (0, 1, 64, 70, 129):
        expected = tasks.examples(torch.arange(iteration * size, (iteration + 1) * size))
        assert same_examples(joint.examples(iteration), expected.x, expected.y)
        assert torch.equal(joint.examples(iteration).indices, expected.indices)
