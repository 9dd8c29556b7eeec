"""Less precision in training: refused where it would do nothing, part of a training's key and of a result's
card, and near enough to learn by."""

from collections.abc import Callable

import pytest
import torch
from plain_loop import CPU
from test_captured import CASES, RUN, captured_of, no_kernels, tensors, trained
from test_training import spec_of

from engine.devices import check_device
from engine.errors import RequestError
from engine.evaluate_job import _protocol
from engine.precision import Tf32, arithmetic
from engine.presets import resolve
from engine.runs.cards import card_of, differences

__all__ = ["no_kernels"]


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_on_the_cpu_it_is_refused(precision: str, kshot: Callable[..., tuple[int, str, str]]) -> None:
    said = f"training.precision {precision} is for CUDA alone, and the device is cpu; full works everywhere"
    setting = ("--set", f"training.precision={precision}", "--device", "cpu")
    code, out, error = kshot("train", "sine-10shot", "maml", *setting)
    assert (code, out) == (2, "") and said in error
    with pytest.raises(RequestError, match=said):
        arithmetic(precision, CPU)
    check_device("cpu", "full")
    with arithmetic("full", CPU):
        pass


def test_tf32_is_a_span() -> None:
    """It ends as it was, also where what is in it fails, and can be entered again."""
    span, matmul, cudnn = Tf32(), torch.backends.cuda.matmul, torch.backends.cudnn
    before = (matmul.allow_tf32, cudnn.allow_tf32)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), span:
            assert matmul.allow_tf32 and cudnn.allow_tf32
            _ = 1 / 0
        assert (matmul.allow_tf32, cudnn.allow_tf32) == before


def test_results_of_other_precision_say_so() -> None:
    cards = []
    for precision in ("full", "full", "bf16"):
        setting = [f"training.precision={precision}"]
        spec = resolve("sine-10shot", "maml", overrides=setting).spec
        cards.append([card_of({"protocol": _protocol(spec, best=True)})])
    told = differences(cards, None)
    assert told == [[], [], [{"what": "precision of training", "here": "bf16", "others": "full"}]]


@pytest.mark.parametrize("case", ["maml on waves", "maml++", "joint on images"])
def test_bfloat16_is_near_and_keeps_float32(case: str) -> None:
    """By the CPU's autocast: the same passes, second derivatives and running statistics among them."""
    spec = spec_of(*CASES[case], RUN)
    full, less = (captured_of(spec, torch.float32) for _ in range(2))
    less.arithmetic = torch.autocast("cpu", torch.bfloat16, cache_enabled=False)
    wanted, found = trained(full, 3), trained(less, 3)
    assert all(each.dtype == torch.float32 for each in tensors(less).values())
    for one, other in zip(found, wanted, strict=True):
        assert one["outer_loss"] == pytest.approx(other["outer_loss"], rel=0.1, abs=0.05)
        assert one["outer_loss"] != other["outer_loss"]
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=0.25)
