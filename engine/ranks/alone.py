"""What a trainer asks of the processes that share its batches; here of one alone, which has them whole."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from torch import Tensor

from engine.models import Parameters

OVER = "over"
"""Said when the training has had the seconds that it was given."""
WORDS = ("stop", "pause", "checkpoint", OVER)
"""What a process may ask for; all processes of a training obey at the same iteration."""


class Ranks:
    """One process alone: rank 0 of 1."""

    rank, count = 0, 1

    def __init__(self) -> None:
        self.asks: Callable[[], Set[str]] = frozenset
        """Which of `WORDS` this process asks for now."""

    def own(self, size: int) -> tuple[int, int]:
        """Which of `size` tasks (or examples, or episodes) are this rank's: from one up to another."""
        return 0, size

    def merged(self, slopes: Parameters, loss: float, size: int) -> tuple[Parameters, float]:
        """The slopes and the loss of a whole batch of `size` from the means over each rank's share of it."""
        return slopes, loss

    def words(self) -> Set[str]:
        """What any rank asked for by the end of this iteration."""
        return self.asks()

    def mean(self, tensors: Sequence[Tensor], size: int) -> Sequence[Tensor]:
        """Means over a whole batch of `size` from those over each rank's share of it."""
        return tensors

    def summed(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Sums over ranks."""
        return tensors

    def rows(self, tensors: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
        """The rows of all ranks, `[size, ...]` in the batch's order, from each rank's own."""
        return dict(tensors)

    def agree(self, tensors: Iterable[Tensor], iteration: int) -> None:
        """Nothing, where all ranks hold the same numbers bit for bit.

        Raises:
            RequestError: they do not.
        """

    def told(self, message: bytes = b"") -> bytes:
        """What rank 0 says to all."""
        return message
