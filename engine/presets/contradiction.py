"""What a contradiction between keys of a spec is."""

from typing import NamedTuple


class Contradiction(NamedTuple):
    """Why a spec makes no sense, and the keys it lies between."""

    reason: str
    keys: tuple[str, ...]
